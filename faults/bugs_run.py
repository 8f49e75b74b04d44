"""Shows that the checker sees: every seeded bug under the fault that brings it to light, red as it has to be.

    python -m faults.bugs_run                  every bug
    python -m faults.bugs_run no_inbox         this one

Invariant: a bug counts as caught only when the checker itself names an invariant that the bug must break, and all of
them; nothing else that goes wrong in a run counts.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from faults.bugs import BUGS, Bug
from faults.build import BUG, MIGRATIONS
from faults.plan import SHORT, Post
from faults.results import Result
from faults.run import FOLDER, Campaign
from faults.scenario import SCENARIOS, Run, Scenario, Stage
from faults.scenarios.failover import fails_over
from faults.scenarios.kills import dies_at
from faults.scenarios.policies import policy_switched
from faults.scenarios.reviews import reviewers_at_once
from faults.systems import CHECKOUT, BureauSystem, FailoverSystem, FaultSystem
from harness.applications import drawn_applications
from harness.backup import Dump, trial_step
from harness.broker import PARTITIONS, SUBMITTED
from harness.journal import Planted
from harness.raw_record import publish_unreadable
from harness.waiting import eventually
from prequal.core.failpoints import Place
from prequal.schema.migrate import downgrade

AT_REST_SECONDS: Final = 12.0
"""What a bug has lost does not come back: there is no use in waiting for it as long as the service promises."""
AS_IN_ITS_ROW: Final = {"the policy is switched": SCENARIOS["policy-switched"]}
"""Scenarios with the outage of their row and its time to come to rest: the bug loses nothing, processes are killed to
the end, and two versions of a policy agree on seven applications of eight, so that a handful shows no bug."""
DOWN_SECONDS: Final = 9.0
"""Longer than a message is tried for, and than `/ready` may take."""
REFUSED_SECONDS: Final = 3.0
"""A bureau that is gone refuses at once."""
POSTS: Final = 20
BACKUP_SECONDS: Final = 12.0
"""Longer than a transaction of ours may be open."""
AT_ITS_LOCK: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE applications ADD COLUMN IF NOT EXISTS trial%'"
)
MIGRATED_SECONDS: Final = 60.0

Act = Callable[[Run], None]


def load(run: Run) -> None:
    """Nothing happens."""
    run.load()


def a_quiet_while(run: Run) -> None:
    """Nothing happens, for a while."""
    run.load()
    run.sent()
    run.wait(14)


def broker_down(run: Run) -> None:
    """The broker is killed under load, and started again."""
    run.load()
    run.some_moment()
    with run.fault(away=("kafka",)) as fault:
        run.system.kill("kafka")
        run.wait(DOWN_SECONDS)
        fault.restore()
        run.system.start("kafka")


def one_pan_many_times(run: Run) -> None:
    """The same PAN in many posts, each with a key of its own."""
    body = next(drawn_applications(run.seed)) | {"monthly_income_inr": "150000.00", "loan_amount_inr": "50000.00"}
    run.send([Post(number / 50, body, f"{run.scenario.name}-{run.seed}-{number}") for number in range(POSTS)])
    run.load()


def database_fails_over(run: Run) -> None:
    """The standby is promoted, and the old primary stands behind the address for a while."""
    run.load()
    run.some_moment()
    fails_over(run, DOWN_SECONDS)
    run.load()
    run.sent()


def migrates_beside_a_backup(run: Run) -> None:
    """A migration with a trial step meets a backup that takes longer than any transaction of ours may."""
    steps = run.system.folder / f"steps-{run.scenario.name}-{run.seed}"
    with trial_step(steps):
        dump = Dump(run.system.database)
        migrating = _migrate(run, steps)
        try:
            run.load()
            eventually(lambda: run.system.database.value(AT_ITS_LOCK), MIGRATED_SECONDS)
            run.wait(BACKUP_SECONDS)
        finally:
            run.demand(dump.finish() == 0, "the backup failed")
        run.demand(migrating.wait(MIGRATED_SECONDS) == 0, "the migration failed")
        downgrade(run.system.database_url, "-1")


def _migrate(run: Run, steps: Path) -> "subprocess.Popen[bytes]":
    """Begin to migrate by a test build, which has the scenario's bug if it is one."""
    bug = {BUG: run.scenario.name} if run.scenario.name in BUGS else {}
    given = {MIGRATIONS: str(steps), "DATABASE_URL": run.system.database_url, "PYTHONPATH": str(CHECKOUT)}
    with run.system.data.log("migrate").open("ab") as log:
        command = [sys.executable, "-m", "faults.build", "migrate"]
        return subprocess.Popen(command, env={"PATH": os.environ["PATH"], **given, **bug}, stdout=log, stderr=log)


def headers_unreadable(run: Run) -> None:
    """Under load comes a message with a header whose name is no text."""
    run.load()
    run.some_moment()
    partition = run.chance.choice(PARTITIONS)
    offset = publish_unreadable(run.system.ports["kafka"], SUBMITTED, partition, b"{")
    run.journal.write(Planted(SUBMITTED, partition, offset))


def bureau_away(run: Run) -> None:
    """The bureau is gone for a while."""
    run.load()
    run.some_moment()
    with run.fault() as fault:
        run.system.kill("bureau")
        run.wait(REFUSED_SECONDS)
        fault.restore()
        run.system.start("bureau")


def nothing_more(_: Run) -> None:
    """The row of a bug demands nothing but the invariants."""


ACTS: Final[Mapping[str, Act]] = {
    "load": load,
    "a quiet while": a_quiet_while,
    "the broker is down": broker_down,
    "one PAN many times": one_pan_many_times,
    "the database fails over": database_fails_over,
    "a migration beside a backup": migrates_beside_a_backup,
    "a message whose headers cannot be read": headers_unreadable,
    "the API dies before its commit": dies_at("api", Place.API_BEFORE_COMMIT, nothing_more),
    "credit dies before its commit": dies_at("credit", Place.CREDIT_BEFORE_COMMIT, nothing_more),
    "credit dies after its commit": dies_at("credit", Place.CREDIT_AFTER_COMMIT, nothing_more),
    "the bureau is away": bureau_away,
    "a report after people decided": reviewers_at_once,
    "the policy is switched": policy_switched,
    "decision dies after its commit": dies_at("decision", Place.DECISION_AFTER_COMMIT, nothing_more),
}
"""What brings the bugs to light, by the names that they use."""

SYSTEMS: Final[Mapping[str, type[FaultSystem]]] = {
    "the database fails over": FailoverSystem,
    "the bureau is away": BureauSystem,
}
"""The systems of those that want another one than the usual."""


def scenario_of(bug: Bug, *, seeded: bool = True) -> Scenario:
    """The bug's scenario, on a system whose services have the bug, or all but the bug."""
    own = {service: dict(settings) for service, settings in bug.settings.items()}
    if seeded:
        own.setdefault(bug.service, {})[BUG] = bug.name
    system: Callable[..., FaultSystem] = SYSTEMS.get(bug.scenario, FaultSystem)
    opens = functools.partial(system, own=own) if own else system
    name = bug.name if seeded else bug.scenario.replace(" ", "-")
    row = AS_IN_ITS_ROW.get(bug.scenario)
    outage = row.outage_seconds if row else (0.0, 0.0)
    played = Scenario(0, name, ACTS[bug.scenario], outage, volume=SHORT, opens=opens)
    return replace(played, at_rest_seconds=row.at_rest_seconds if row else AT_REST_SECONDS) if seeded else played


@dataclass
class BugCampaign(Campaign):
    """A campaign in which every run is to be red.

    Attributes:
        caught: the bugs that the checker saw.
    """

    caught: set[str] = field(default_factory=set)

    def _keep_evidence(self, stage: Stage, violations: Sequence[str]) -> None:
        """That a seeded bug did harm needs no evidence."""

    def _keep(self, result: Result) -> None:
        bug = BUGS[result.name]
        seen = dict(reversed([words.split(" ", 1) for words in result.violations]))
        caught = set(bug.red) <= seen.keys()
        if caught:
            self.caught.add(bug.name)
        print(f"{bug.name}: {bug.words}", flush=True)
        for name in bug.red:
            print(f"    {name:<3} {'red: ' + seen[name][:100] if name in seen else 'NOT RED'}", flush=True)
        if not caught:
            print(
                f"    seen was: {'; '.join(result.violations) or result.not_run or result.spoilt or 'nothing'}",
                flush=True,
            )


def show(bugs: Iterable[Bug], folder: Path = FOLDER, *, controls: bool = True) -> list[str]:
    """Play each bug; the names of those that the checker did not see.

    With `controls` each scenario is played without its bug first: red without it, it could not show the bug.
    """
    bugs = list(bugs)
    tainted = _red_without(bugs, folder) if controls else set()
    campaign = BugCampaign([scenario_of(bug) for bug in bugs], short=True, folder=folder)
    campaign.play()
    return [bug.name for bug in bugs if bug.name not in campaign.caught or bug.scenario.replace(" ", "-") in tainted]


def _red_without(bugs: Iterable[Bug], folder: Path) -> set[str]:
    """The scenarios that are not clean without their bug."""
    without = {(bug.scenario, tuple(bug.settings)): scenario_of(bug, seeded=False) for bug in bugs}
    print("without a bug:", flush=True)
    campaign = Campaign(list(without.values()), short=True, folder=folder)
    campaign.play()
    return {name for name, word in {each.name: each.word for each in campaign.results}.items() if word != "clean"}


def main() -> None:
    """Show the bugs that are named, or all; exit code 1 when one was not caught, 2 when there is no such bug."""
    chosen = sys.argv[1:] or list(BUGS)
    if unknown := [name for name in chosen if name not in BUGS]:
        print(f"There is no bug {', '.join(unknown)}. There are: {', '.join(BUGS)}")
        sys.exit(2)
    missed = show((BUGS[name] for name in chosen), controls=os.environ.get("CONTROLS") != "0")
    names = f"; not caught: {', '.join(missed)}" if missed else ""
    print(f"{len(chosen) - len(missed)} of {len(chosen)} seeded bugs caught{names}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
