"""Whole processes: all killed at once, each stopped as a deployment stops it, and one publisher too many.

Invariant: every process that ran before a run runs after it, unarmed.
"""

import time
from typing import Final

from faults.plan import SHORT
from faults.scenario import Run, scenario
from faults.systems import with_publisher_alone
from harness.journal import SERVICES
from harness.own_system import EVERYBODY
from harness.system import at_once
from prequal.core.failpoints import Place

BACK_SECONDS: Final = 30.0
LEASE_OVER_SECONDS: Final = 4.0
"""A publisher that was silent for so long has lost its leases (`LEASE_SECONDS` is 3)."""
REFUSED: Final = "ConnectionRefusedError"


@scenario(5, "everything-killed")
def everything_killed(run: Run) -> None:
    """All six killed in one moment, and started again in an order that the seed chooses."""
    run.load()
    run.some_moment()
    order = run.chance.sample(EVERYBODY, len(EVERYBODY))
    with run.fault(away=("database", "kafka"), killed=SERVICES) as fault:
        at_once(run.system.kill, EVERYBODY)
        fault.restore()
        for name in order:
            run.system.launch(name)
        at_once(lambda name: run.system.child(name).wait_until_ready(), EVERYBODY)
    seconds = run.healed_at - run.restored_at
    run.demand(seconds <= BACK_SECONDS, f"back only after {seconds:.0f} s (started in the order {', '.join(order)})")
    run.come_to_rest()


@scenario(6, "rolling-restart")
def rolling_restart(run: Run) -> None:
    """One service after the other is stopped and started, as a deployment does it, and posts come all the while."""
    run.load()
    with run.load_meanwhile():
        for name in run.chance.sample(SERVICES, len(SERVICES)):
            run.wait(run.chance.uniform(0.1, 0.4))
            with run.fault(killed=(name,)) as fault:
                _stops_cleanly(run, name)
                fault.restore()
                run.system.start(name)
    _nobody_was_cut_off(run)
    run.come_to_rest()


@scenario(6, "all-stopped-at-once")
def all_stopped_at_once(run: Run) -> None:
    """All four get SIGTERM in one moment: none needs another to end."""
    run.load()
    run.some_moment()
    with run.fault(killed=SERVICES) as fault:
        at_once(lambda name: _stops_cleanly(run, name), SERVICES)
        fault.restore()
        at_once(run.system.start, SERVICES)
    _nobody_was_cut_off(run)
    run.come_to_rest()


@scenario(19, "two-publishers", opens=with_publisher_alone)
def two_publishers(run: Run) -> None:
    """A second publisher stands by, takes over when the first is frozen, and meets it again when it is thawed."""
    with run.system.one_more("publisher") as second:
        run.load()
        run.some_moment()
        with run.fault(killed=("publisher",)) as fault:
            run.system.freeze("publisher")
            run.wait(LEASE_OVER_SECONDS + run.chance.random())
            run.demand_soon(
                lambda: second.metric("kafka_messages_published_total") > 0,
                20,
                "the second publisher never took over",
            )
            fault.restore()
            run.system.thaw("publisher")
        run.come_to_rest()


@scenario(19, "publisher-stalls-past-its-lease", volume=SHORT, opens=with_publisher_alone)
def publisher_stalls(run: Run) -> None:
    """A publisher stands still with acknowledgements in hand until another one has its leases, and then goes on."""
    with run.system.one_more("publisher") as second:
        with run.fault(killed=("publisher",)) as fault:
            stall = LEASE_OVER_SECONDS + run.chance.random()
            run.system.arm("publisher", f"{Place.PUBLISHER_AFTER_ACK}=stall@{run.chance.randint(1, 10)}:{stall}")
            run.load()
            with run.load_meanwhile(10.0):
                run.demand_soon(
                    lambda: second.metric("kafka_messages_published_total") > 0,
                    run.volume.seconds + 15,
                    "the second publisher never took over",
                )
            fault.restore()
            run.demand_soon(lambda: run.system.ready("publisher")[0] == 200, stall + 5, "the first one did not go on")
        run.come_to_rest()


def _stops_cleanly(run: Run, name: str) -> None:
    began = time.monotonic()
    code = run.system.terminate(name)
    run.demand(code == 0, f"{name} ended with {code} after {time.monotonic() - began:.1f} s of SIGTERM")


def _nobody_was_cut_off(run: Run) -> None:
    """Requests in flight finish: while the API is away a connection is refused, and none is cut."""
    run.sent()
    cut = [reason for _, reason in run.seen.lost if reason != REFUSED]
    run.demand(not cut, f"requests in flight were cut: {cut[:5]}")
