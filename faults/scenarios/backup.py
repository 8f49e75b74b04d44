"""A backup that takes long, beside migrations and the upkeep of the tables.

Invariant: the dump holds its locks from before the first step until after all have met them.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
ENDED_SECONDS: Final = 30.0
"""Within which what waited for the dump is done after its end: longer than the longest pause between two tries."""


def beside_a_dump(step: Callable[[str], object]) -> Callable[[Run], None]:
    """A scenario in which a step that needs a table's lock meets a dump under load."""

    def act(run: Run) -> None:
        lives, url = pids(run), run.system.database_url
        run.system.database.execute(OLD)
        with (
            ThreadPoolExecutor(1) as threads,
            trial_step(run.system.folder / f"steps-{run.seed}-{threading.get_ident()}"),
        ):
            dump = Dump(run.system.database)
            try:
                run.load()
                stepping = threads.submit(step, url)
                run.wait(run.outage_seconds)
                if stepping.done():
                    raise Spoilt("the step met no lock")
            finally:
                run.demand(dump.finish() == 0, "the dump failed")
            stepping.result(ENDED_SECONDS)
            run.come_to_rest()
            if run.system.database.value("SELECT version_num FROM alembic_version") == "trial":
                downgrade(url, "-1")
        run.demand_all_accepted()
        run.demand_normal_time()
        run.demand(lives == pids(run), "a service did not survive it")

    return act


STEPS: Final[dict[str, Callable[[str], object]]] = {"dump-beside-migrate": upgrade, "dump-beside-maintain": maintain}
for name, step in STEPS.items():
    scenario(27, name, outage=(9.0, 5.0), own_system=True)(beside_a_dump(step))
