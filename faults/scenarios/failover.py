"""A standby is promoted, and the old primary comes back at the address as a standby that cannot follow.

Invariant: no service is restarted by the scenario, but the consumers where their batches are to come again.
"""

import functools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import httpx

from faults.plan import SHORT
from faults.scenario import Run, scenario
from faults.scenarios.stores import pids
from faults.systems import FailoverSystem
from harness.broker import REPORTED_DLQ, SUBMITTED_DLQ
from harness.journal import SERVICES
from prequal.publisher.system_metrics import READ_EVERY_SECONDS

READY_SECONDS: Final = 5.0
"""Within which every service is ready, once the address is right."""
NORMAL_AFTER_SECONDS: Final = 10.0
"""After which posts and decisions take their usual time."""
OLD_COPY_SECONDS: Final = READ_EVERY_SECONDS[1] + 1.5
"""After which no metric can be one that was read from the primary before."""
OF_THE_DATABASE: Final = (
    "outbox_depth",
    "outbox_oldest_age_seconds",
    "applications_undecided",
    "oldest_undecided_age_seconds",
)
"""Gauges of the whole system, which nobody shows who cannot ask the primary."""
CONSUMERS: Final = ("credit", "decision")


def fails_over(run: Run, seconds: float, *, again: bool = False) -> None:
    """Fail over; the address leads to the old primary for so many seconds more.

    Args:
        run: the run, on a `FailoverSystem`.
        seconds: how long the old primary stands at the address; at a list of both servers that costs nothing.
        again: the consumers are killed and started meanwhile, so that what they had in hand comes again.
    """
    system = run.system
    assert isinstance(system, FailoverSystem)
    run.demand_soon(lambda: _shown(run) >= {*OF_THE_DATABASE}, OLD_COPY_SECONDS, "a metric of the database is missing")
    with run.fault(away=("database",), killed=CONSUMERS if again else ()) as fault:
        system.pair.fail_over()
        began = time.monotonic()
        if again:
            _kill_and_launch(run)
        run.wait(seconds)
        if time.monotonic() - began > OLD_COPY_SECONDS:
            shown = _shown(run)
            run.demand(not shown, f"read from the old copy: {', '.join(sorted(shown))}")
        fault.restore()
        system.pair.follow()
        run.demand_ready(READY_SECONDS, but=CONSUMERS if again else ())


def failover(*, again: bool = False, two: bool = False, listed: bool = False) -> Callable[[Run], None]:
    """A scenario with batches that come again, or with two API processes, behind one address or with a list of both."""

    def act(run: Run) -> None:
        second = run.share("api") if two else None
        lives = pids(run)
        run.load()
        run.some_moment()
        if listed:
            _promotes(run, again=again)
        else:
            fails_over(run, run.outage_seconds, again=again)
        _normal_again(run)
        run.demand(again or lives == pids(run), "a service did not survive it")
        if second is not None:
            run.demand(second.running, "the second API did not survive it")
            run.demand(second.metric("http_requests_total", 'status="202"') > 0, "the second API accepted nothing")

    return act


def _promotes(run: Run, *, again: bool) -> None:
    """The services know both servers: the promotion itself is all that they notice."""
    system = run.system
    assert isinstance(system, FailoverSystem)
    with run.fault(troubled=SERVICES, killed=CONSUMERS if again else ()) as fault:
        system.pair.fail_over()
        if again:
            _kill_and_launch(run)
        fault.restore()
        run.demand_ready(READY_SECONDS, but=CONSUMERS if again else ())


def _shown(run: Run) -> set[str]:
    """The gauges of the whole system that any process shows; one that starts shows none yet."""
    lines: list[str] = []
    for each in run.system.processes.values():
        with suppress(httpx.HTTPError):
            lines += each.get("/metrics").text.splitlines()
    return {gauge for gauge in OF_THE_DATABASE if any(line.startswith((f"{gauge}{{", f"{gauge} ")) for line in lines)}


def _normal_again(run: Run) -> None:
    """Demand that what is posted from ten seconds on is taken and decided as on any day, and that nothing is dead."""
    run.wait(max(0.0, run.restored_at + NORMAL_AFTER_SECONDS - time.time()))
    before = frozenset(run.seen.accepted)
    refused = len(run.seen.answers)
    run.load(SHORT)
    run.come_to_rest()
    late = [seen.status for seen in run.seen.answers[refused:] if seen.status >= 500]
    run.demand(not late, f"posts were answered {set(late)} ten seconds after the address was right")
    run.demand_normal_time(but=before)
    dead = {topic: run.system.broker.published(topic) for topic in (SUBMITTED_DLQ, REPORTED_DLQ)}
    run.demand(not any(dead.values()), f"events became dead letters: {dead}")


def _kill_and_launch(run: Run) -> None:
    for name in CONSUMERS:
        run.system.kill(name)
        run.system.launch(name)


OUTAGE: Final = (8.0, 8.0)
for name, act in {
    "failover": failover(),
    "failover-with-redelivery": failover(again=True),
    "failover-with-two-apis": failover(two=True),
}.items():
    scenario(26, name, outage=OUTAGE, own_system=True, opens=FailoverSystem)(act)
for name, act in {
    "failover-with-both-hosts": failover(listed=True),
    "failover-with-both-hosts-and-redelivery": failover(listed=True, again=True),
    "failover-with-both-hosts-and-two-apis": failover(listed=True, two=True),
}.items():
    scenario(26, name, own_system=True, opens=functools.partial(FailoverSystem, listed=True))(act)
