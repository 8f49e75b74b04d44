"""The bureau over HTTP: frozen, killed, and slow about one person, under load.

Invariant: nobody is decided without the bureau's answer: the checker compares every score with what the bureau says.
"""

import uuid
from collections.abc import Iterable
from typing import Final

from faults.plan import SHORT, Post
from faults.scenario import Run, Spoilt, scenario
from faults.systems import BureauSystem
from harness.applications import drawn_applications
from harness.broker import REPORTED_DLQ, SUBMITTED_DLQ
from prequal.bureau.simulator import FAILS_TWICE, SLOW

ROW: Final = 30
IN_FLIGHT_SECONDS: Final = 1.0
"""Within which what the bureau has answered before is reported."""
REST_SECONDS: Final = 30.0
SCORED: Final = "SELECT count(*) FROM processed_messages WHERE consumer = 'credit-service'"
P99_MS: Final = """
    SELECT 1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM updated_at - created_at)::float8)
    FROM applications WHERE id = ANY (%s::uuid[])
"""


@scenario(ROW, "bureau-frozen-20s", outage=(20, 4), opens=BureauSystem, takes_minutes=True)
def bureau_frozen(run: Run) -> None:
    """The bureau takes connections and answers nothing, and then goes on."""
    dead = _dead_letters(run)
    run.load()
    run.some_moment()
    with run.fault() as fault:
        run.system.freeze("bureau")
        _nobody_is_scored_for(run, run.outage_seconds)
        fault.restore()
        run.system.thaw("bureau")
    run.come_to_rest()
    run.demand(_dead_letters(run) == dead, "somebody became a dead letter")


@scenario(ROW, "bureau-killed-10s", outage=(10, 4), opens=BureauSystem)
def bureau_killed(run: Run) -> None:
    """The bureau is killed, credit-service too while it waits, and both are started again."""
    dead = _dead_letters(run)
    run.load()
    run.some_moment()
    with run.fault(killed=("credit",)) as fault:
        run.system.kill("bureau")
        _nobody_is_scored_for(run, run.outage_seconds / 2)
        run.system.kill("credit")
        run.system.start("credit")
        _nobody_is_scored_for(run, run.outage_seconds / 2)
        fault.restore()
        run.system.start("bureau")
    run.come_to_rest()
    run.demand(_dead_letters(run) == dead, "somebody became a dead letter")


@scenario(ROW, "bureau-slow-about-one", volume=SHORT, own_system=True, opens=BureauSystem, takes_minutes=True)
def bureau_slow(run: Run) -> None:
    """The bureau is slow about one person and fails twice about another: a load before it, and one beside it."""
    cold = _at_rest_after_a_load(run)
    before = _at_rest_after_a_load(run) - cold
    with run.fault():
        run.send(_posts_of(run, SLOW.reveal(), FAILS_TWICE.reveal()))
        run.load()
        run.sent()
    run.come_to_rest()
    held_up = SLOW.reveal(), FAILS_TWICE.reveal()
    others = {id_ for id_, body in run.seen.accepted.items() if body["pan_number"] not in held_up}
    quiet, busy = _p99_ms(run, before), _p99_ms(run, others - before - cold)
    print(
        f"        p99 of the others: {quiet:.0f} ms before, {busy:.0f} ms beside, {busy / quiet:.2f} times", flush=True
    )


def _at_rest_after_a_load(run: Run) -> set[str]:
    """Put the load on and wait until it is decided; everything that was accepted so far."""
    run.load()
    run.sent()
    run.demand_soon(run.is_quiet, REST_SECONDS, "the load before did not come to rest")
    return set(run.seen.accepted)


def _nobody_is_scored_for(run: Run, seconds: float) -> None:
    """Wait while the bureau is away. Raises Spoilt when nobody waits for it at the end."""
    run.wait(IN_FLIGHT_SECONDS)
    scored = run.system.database.value(SCORED)
    run.wait(max(0.0, seconds - IN_FLIGHT_SECONDS))
    run.demand(run.system.database.value(SCORED) == scored, "somebody was scored while the bureau was away")
    if not run.system.metric("credit", "bureau_applications_waiting"):
        raise Spoilt("nobody waited for the bureau")


def _dead_letters(run: Run) -> int:
    return run.system.broker.published(SUBMITTED_DLQ) + run.system.broker.published(REPORTED_DLQ)


def _posts_of(run: Run, *pans: str) -> list[Post]:
    drawn = drawn_applications(f"{run.scenario.name}/{run.seed}/slow")
    return [
        Post(0.0, dict(next(drawn)) | {"pan_number": pan}, str(uuid.UUID(int=run.chance.getrandbits(128), version=4)))
        for pan in pans
    ]


def _p99_ms(run: Run, ids: Iterable[str]) -> float:
    milliseconds: float = run.system.database.value(P99_MS, sorted(ids))
    return milliseconds
