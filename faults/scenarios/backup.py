"""A backup that takes long, beside migrations and the upkeep of the tables.

Invariant: the dump holds its locks from before the first step until after all have met them, and posts come meanwhile.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from faults.scenario import Run, Spoilt, scenario
from faults.scenarios.stores import pids
from harness.backup import Dump, trial_step
from prequal.schema.migrate import downgrade, upgrade
from prequal.schema.retention import maintain

OLD: Final = (
    "CREATE TABLE IF NOT EXISTS outbox_archive_20200101 PARTITION OF outbox_archive "
    "FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"
)
LAST_DAY: Final = "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'outbox_archive'::regclass"
IS_MADE: Final = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%s))"
IS_DROPPED: Final = "SELECT to_regclass('outbox_archive_20200101') IS NULL"
MADE_SECONDS: Final = 5.0
"""Within which a day's partition is made, which waits for no dump."""
ENDED_SECONDS: Final = 30.0
"""Within which what waited for the dump is done after its end: longer than the longest pause between two tries."""


@scenario(27, "dump-beside-migrate", outage=(9.0, 5.0), own_system=True)
def beside_migrate(run: Run) -> None:
    """A step that needs tables' locks meets a dump, and so does the way back."""
    lives = pids(run)
    with trial_step(run.system.folder / f"steps-{run.seed}-{threading.get_ident()}"):
        for step in (upgrade, functools.partial(downgrade, revision="-1")):
            with _beside_a_dump(run, step):
                run.wait(run.outage_seconds)
    _demand_untroubled(run, lives)


@scenario(27, "dump-beside-maintain", outage=(9.0, 5.0), own_system=True)
def beside_maintain(run: Run) -> None:
    """The upkeep, with an old day to drop and a new one to make, meets a dump: the new one is made beside it."""
    database, lives = run.system.database, pids(run)
    database.execute(OLD)
    ahead = database.value(LAST_DAY)
    database.execute(f"DROP TABLE {ahead}")
    with _beside_a_dump(run, maintain):
        made = functools.partial(database.value, IS_MADE, ahead)
        run.demand_soon(made, MADE_SECONDS, "the dump held up a day's partition")
        run.wait(run.outage_seconds)
    run.demand(database.value(IS_DROPPED), "the old day was not dropped")
    _demand_untroubled(run, lives)


@contextmanager
def _beside_a_dump(run: Run, step: Callable[[str], object]) -> Iterator[None]:
    """Let a step meet a dump under load; after the block the dump ends, and what waited for it."""
    run.volume = run.volume.lasting(run.outage_seconds)
    with ThreadPoolExecutor(1) as threads:
        dump = Dump(run.system.database)
        try:
            run.load()
            stepping = threads.submit(step, run.system.database_url)
            yield
            if stepping.done():
                raise Spoilt("the step met no lock")
            _say(run)
        finally:
            run.demand(dump.finish() == 0, "the dump failed")
        stepping.result(ENDED_SECONDS)


def _say(run: Run) -> None:
    answers = list(run.seen.answers)
    slowest = max(each.seconds for each in answers)
    print(
        f"    {run.scenario.name}: beside {run.outage_seconds:g} s of a dump {len(answers)} posts were answered,"
        f" the slowest after {slowest:.2f} s, and {len(run.seen.decided)} were seen decided",
        flush=True,
    )


def _demand_untroubled(run: Run, lives: Mapping[str, int | None]) -> None:
    run.come_to_rest()
    run.demand(lives == pids(run), "a service did not survive it")
    run.demand_all_accepted()
    run.demand_normal_time()
