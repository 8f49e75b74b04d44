"""People who decide what the policy leaves to them: several at once, one who dies, reports that come afterwards.

Invariant: an attempt is in the journal before it is made, and its answer before anybody acts upon it.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from faults.build import FAILPOINT
from faults.checker.reviews import DECIDED
from faults.plan import SHORT
from faults.scenario import Run, Spoilt, scenario
from faults.scenarios.kills import KILLED, MORE, wait_for_death
from faults.systems import CHECKOUT
from harness.broker import REPORTED, RawMessage
from harness.journal import Reviewed, Reviewing
from harness.waiting import eventually
from prequal.core.errors import Refused
from prequal.core.failpoints import Place
from prequal.domain.application import Status
from prequal.messaging.kafka_clients import message_headers
from prequal.postgres.connections import Connection, connected
from prequal.record.acts import Actor, ActorKind, operator
from prequal.review import cases
from prequal.review.errors import ClaimedByAnother
from prequal.review.queries import CaseState

ROW: Final = 29
AT_ONCE: Final = 5
"""So many cases are decided under the eyes of a row: each needs two people, all amounts of the load being large."""
REASONS: Final = {Status.PRE_APPROVED: "INCOME_CONFIRMED", Status.REJECTED: "INCOME_NOT_ENOUGH"}
REVIEWERS: Final = {"asha": Status.REJECTED, "ravi": Status.REJECTED, "meena": Status.PRE_APPROVED}
PATIENCE_SECONDS: Final = 30.0
UNDECIDED: Final = """
    SELECT application_id FROM review_cases
    WHERE application_id = ANY (%s::uuid[]) AND outcome IS NULL AND people_needed = 2
    ORDER BY application_id LIMIT %s
"""
STANDING: Final = """
    SELECT id, status, version, updated_at FROM applications WHERE id = ANY (%s::uuid[]) ORDER BY id
"""


@scenario(ROW, "reviewers-at-once", volume=SHORT)
def reviewers_at_once(run: Run) -> None:
    """Three people go for the same cases at once; then the reports come again, some of them forgotten by the inbox."""
    chosen = _cases(run, AT_ONCE)
    answers = asyncio.run(_at_once(run, chosen))
    decided = [application_id for application_id, answer in answers if answer == DECIDED]
    run.demand(sorted(decided) == sorted(chosen), f"of {len(chosen)} cases people decided {len(decided)}")
    reports_come_again(run, chosen)
    run.come_to_rest()


@scenario(ROW, "killed-in-a-review", volume=SHORT)
def killed_in_a_review(run: Run) -> None:
    """The process of a person dies before its commit and after it, decision-service after its own; all try again."""
    before, after = chosen = _cases(run, 2)
    for application_id in chosen:
        asyncio.run(_decides(run, "asha", application_id, Status.REJECTED))
        asyncio.run(_claims(run, application_id))
    with run.fault(killed=("decision",)) as fault:
        run.system.arm("decision", f"{Place.DECISION_AFTER_COMMIT}=die@1")
        _dies_deciding(run, before, Place.REVIEW_BEFORE_COMMIT)
        _dies_deciding(run, after, Place.REVIEW_AFTER_COMMIT)
        run.load(MORE)
        wait_for_death(run, "decision")
        fault.restore()
        run.system.start("decision")
    standing = {row["id"]: row["version"] for row in run.system.database.rows(STANDING, chosen)}
    run.demand(standing == {before: 2, after: 3}, f"what died before its commit and after it left versions {standing}")
    answers = [asyncio.run(_decides(run, operator().name, each, Status.REJECTED)) for each in chosen]
    run.demand(answers == [DECIDED, "AlreadyDecided"], f"who tried again was answered {answers}")
    reports_come_again(run, chosen)
    run.come_to_rest()


def reports_come_again(run: Run, chosen: Sequence[UUID]) -> None:
    """Publish the reports of decided cases once more, with and without an inbox that knows them: nothing may change."""
    run.system.database.execute(
        "DELETE FROM processed_messages WHERE consumer = 'decision-service' AND application_id = ANY (%s::uuid[])",
        list(chosen[::2]),
    )
    keys = {str(each).encode() for each in chosen}
    reports = {message.key(): message for message in run.system.broker.read(REPORTED, 0) if message.key() in keys}
    before = run.system.database.rows(STANDING, list(chosen))
    again = [RawMessage(each.value(), each.key(), message_headers(each)) for each in reports.values()]
    run.system.broker.publish(REPORTED, again * 2)
    eventually(lambda: run.system.broker.lag() == 0, PATIENCE_SECONDS)
    run.demand(len(reports) == len(chosen), "a report was not on its topic any more")
    changed = run.system.database.rows(STANDING, list(chosen)) != before
    run.demand(not changed, "a report that came again changed what people had decided")


def _cases(run: Run, count: int) -> list[UUID]:
    """Put the load on, and wait for so many cases of it that nobody has decided."""
    run.load()
    run.sent()
    try:
        eventually(lambda: len(_undecided(run, count)) == count, PATIENCE_SECONDS)
    except AssertionError:
        raise Spoilt(f"the policy did not leave {count} applications to people") from None
    return _undecided(run, count)


def _undecided(run: Run, count: int) -> list[UUID]:
    return [row["application_id"] for row in run.system.database.rows(UNDECIDED, list(run.seen.accepted), count)]


async def _at_once(run: Run, chosen: Sequence[UUID]) -> list[tuple[UUID, str]]:
    """Everybody decides every case at the same time; what each was answered."""

    async def one(person: str, application_id: UUID, outcome: Status) -> tuple[UUID, str]:
        return application_id, await _decides(run, person, application_id, outcome)

    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asyncio.gather(
            *(one(person, each, outcome) for each in chosen for person, outcome in REVIEWERS.items())
        )


async def _decides(run: Run, person: str, application_id: UUID, outcome: Status) -> str:
    """Claim a case, waiting while another has it, and vote; the answer as the journal has it."""
    actor = operator() if person == operator().name else Actor(ActorKind.PERSON, person)
    number = next(run.numbers)
    run.journal.write(Reviewing(number, time.time(), str(application_id), person, outcome.value))
    try:
        async with connected(run.system.database_url, "review") as connection:
            await _claimed(connection, actor, application_id)
            case = await cases.decide(connection, actor, application_id, outcome, REASONS[outcome])
            answer = DECIDED if case.state is CaseState.DECIDED else "voted"
    except Refused as refusal:
        answer = type(refusal).__name__
    run.journal.write(Reviewed(number, time.time(), answer))
    return answer


async def _claimed(connection: Connection, actor: Actor, application_id: UUID) -> None:
    while True:
        try:
            await cases.claim(connection, actor, application_id)
            return
        except ClaimedByAnother:
            await asyncio.sleep(0.01)


async def _claims(run: Run, application_id: UUID) -> None:
    """Take a case for the command that is to die."""
    async with connected(run.system.database_url, "review") as connection:
        await cases.claim(connection, operator(), application_id)


def _dies_deciding(run: Run, application_id: UUID, place: Place) -> None:
    """`prequal review decide`, killed at `place`: nobody has an answer."""
    number, outcome = next(run.numbers), Status.REJECTED
    run.journal.write(Reviewing(number, time.time(), str(application_id), operator().name, outcome.value))
    given = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CHECKOUT),
        "DATABASE_URL": run.system.database_url,
        FAILPOINT: f"{place}=die@1",
    }
    command = [sys.executable, "-m", "faults.build", "review", "decide", str(application_id), outcome, REASONS[outcome]]
    done = subprocess.run(command, env=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode != KILLED:
        raise Spoilt(f"the reviewer's command ended with {done.returncode}: {done.stderr.decode()[-200:]}")
