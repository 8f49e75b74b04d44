"""Row 31: the policy is switched under load, with a challenger part of the time, while those who decide are killed."""

import asyncio
import functools
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from faults.scenario import Run, Spoilt, scenario
from faults.scenarios.overload import begun, ended
from harness.policies import RAVI, approved, policy_text
from prequal.policy_versions import challenges, life, queries
from prequal.postgres.connections import Connection, connected

ROW: Final = 31
MINIMUMS: Final = {"row31-strict": 700, "row31-challenger": 600}
"""Of versions beside v1, whose minimum is 650: of most scores of a load one of the three decides otherwise."""
V1: Final = "v1"
STRICT, CHALLENGER = MINIMUMS
SHARE: Final = 5_000
SWITCH_EVERY_SECONDS: Final = 2.0
BEATS_MAX: Final = 40
KILL_EVERY: Final = 50
"""Decisions: a process that is slow to start comes to work before the next one is killed."""
KILLED: Final = ("decision", "credit")
CONNECTIONS: Final = 64
RATE: Final = 1_000.0
DECIDED: Final = "SELECT count(*) FROM applications WHERE id = ANY (%s::uuid[]) AND status <> 'PENDING'"
DECIDED_BY: Final = "SELECT DISTINCT policy_version FROM applications WHERE id = ANY (%s::uuid[])"


@scenario(ROW, "policy-switched", outage=(60, 12), at_rest_seconds=180)
def policy_switched(run: Run) -> None:
    """Every two seconds another policy is in force, mostly with a challenger, and now and then somebody is killed."""
    with run.load_meanwhile(run.volume.rate):
        _switch_and_kill(run)
    run.come_to_rest()


@scenario(
    ROW, "policy-switched-at-1000-a-second", outage=(60, 12), own_system=True, takes_minutes=True, at_rest_seconds=300
)
def policy_switched_at_1000_a_second(run: Run) -> None:
    """The same while a crowd posts 1,000 applications a second, without waiting for answers."""
    posting = begun(run, CONNECTIONS, run.outage_seconds, RATE)
    with run.load_meanwhile():
        _switch_and_kill(run)
    ended(run, posting)
    run.come_to_rest()


def _switch_and_kill(run: Run) -> None:
    asyncio.run(_committed(run, _approve))
    with run.fault(killed=KILLED) as fault, run.system.one_more("decision"):
        began, victims, decided = time.monotonic(), itertools.cycle(KILLED), 0
        for beat in _beats(run):
            asyncio.run(_committed(run, functools.partial(_switch, beat)))
            if beat % 4:
                asyncio.run(_committed(run, _challenge))
            if _decided(run) >= decided + KILL_EVERY:
                victim, decided = next(victims), _decided(run)
                run.system.kill(victim)
                run.system.launch(victim)
            run.wait(max(0.0, began + (beat + 1) * SWITCH_EVERY_SECONDS - time.monotonic()))
        fault.restore()
        for name in KILLED:
            run.system.child(name).wait_until_ready()
        asyncio.run(_committed(run, _switch_back))


def _beats(run: Run) -> Iterator[int]:
    """The switches: for as long as the outage, and until each version has decided. Raises `Spoilt` if one does not."""
    for beat in range(BEATS_MAX):
        if beat * SWITCH_EVERY_SECONDS >= run.outage_seconds and not _idle(run):
            return
        yield beat
    if idle := _idle(run):
        raise Spoilt(f"nothing was decided by {', '.join(sorted(idle))}")


def _idle(run: Run) -> set[str]:
    """The versions by which nothing of this run is decided yet."""
    rows = run.system.database.rows(DECIDED_BY, list(run.seen.accepted))
    return {V1, *MINIMUMS} - {row["policy_version"] for row in rows}


def _decided(run: Run) -> int:
    return int(run.system.database.value(DECIDED, list(run.seen.accepted)))


async def _committed(run: Run, act: Callable[[Connection], Awaitable[None]]) -> None:
    async with connected(run.system.database_url, "policies") as connection, connection.transaction():
        await act(connection)


async def _approve(connection: Connection) -> None:
    """Have the versions approved that are not there from a run before."""
    for version, minimum in MINIMUMS.items():
        if await queries.version(connection, version) is None:
            await approved(connection, policy_text(version, minimum))


async def _switch(beat: int, connection: Connection) -> None:
    version = V1 if beat % 2 else STRICT
    if not (await life.found(connection, version)).is_in_force:
        await life.activate(connection, RAVI, version)


async def _challenge(connection: Connection) -> None:
    await challenges.begin(connection, RAVI, CHALLENGER, SHARE)


async def _switch_back(connection: Connection) -> None:
    """Leave v1 in force, unchallenged, to the runs that follow."""
    if not (await life.found(connection, V1)).is_in_force:
        await life.activate(connection, RAVI, V1)
    if await challenges.current(connection):
        await challenges.end(connection, RAVI)
