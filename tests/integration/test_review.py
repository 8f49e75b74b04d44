"""Review: cases that the policy leaves to people, and `prequal review`."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, LiteralString
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from harness.database import Database
from prequal.cli.app import app
from prequal.core.errors import Refused, UsageError
from prequal.core.settings import StoresSettings, load
from prequal.domain.application import Status
from prequal.domain.policy import packaged
from prequal.domain.review import Rules
from prequal.messaging.handler import Outcome
from prequal.ops.backtest import backtest
from prequal.ops.timeline import build_timeline, read, trace
from prequal.postgres.connections import Connection, connected
from prequal.record.acts import Actor, ActorKind
from prequal.review import cases
from prequal.review.errors import (
    AlreadyDecided,
    ClaimedByAnother,
    LeaseOver,
    NoSuchCase,
    NotClaimed,
    SamePersonTwice,
    SecondPersonNeeded,
    UnfitText,
)
from prequal.review.queries import CaseState, Order
from prequal.schema import migrate
from tests.support.reviews import LARGE, SMALL, in_review, reported
from tests.support.submissions import stored

ASHA, RAVI, MEENA = (Actor(ActorKind.PERSON, name) for name in ("asha", "ravi", "meena"))
APPROVED, REJECTED = Status.PRE_APPROVED, Status.REJECTED
runner = CliRunner()


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connected(database.url, "test") as connection:
        yield connection


def acts(database: Database) -> list[tuple[str, str]]:
    return [(row["actor"], row["action"]) for row in database.rows("SELECT actor, action FROM acts ORDER BY id")]


# ── a case is opened with the machine's decision ────────────────────────────────────────────────────────────────────


async def test_application_left_to_people_has_its_case_with_its_decision(
    database: Database, connection: Connection
) -> None:
    application_id = await in_review(database)

    shown = await cases.show(connection, application_id)
    assert (shown.case.state, shown.case.people_needed) == (CaseState.OPEN, 1)
    assert shown.case.loan_amount_inr == Decimal("500000.00")
    assert shown.case.opened_at == database.application(application_id)["updated_at"]
    assert 23.9 < shown.case.hours_to_target <= 24
    assert (shown.subject.status, shown.subject.rule) == ("MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN")


async def test_application_that_the_policy_decides_has_no_case(database: Database) -> None:
    await reported(database, stored(database, 2))
    await reported(database, stored(database, 2), score=600)

    assert database.count("review_cases") == 0


async def test_same_report_twice_opens_one_case(database: Database) -> None:
    submissions = stored(database, 3, **SMALL)
    await reported(database, submissions)
    before = database.everything()

    results = await reported(database, submissions)

    assert results == [Outcome.DUPLICATE] * 3
    assert database.everything() == before
    assert database.count("review_cases") == 3


async def test_settings_give_target_time_and_amount_of_two_people(database: Database, connection: Connection) -> None:
    rules = Rules(target_hours=2, two_people_above_inr=Decimal("499999.99"))

    case = (await cases.show(connection, await in_review(database, rules=rules))).case

    assert case.people_needed == 2
    assert 1.9 < case.hours_to_target <= 2


# ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", Order)
async def test_queue_is_read_page_by_page_and_each_case_once(
    database: Database, connection: Connection, order: Order
) -> None:
    for amount in ("500000.00", "900000.00", "500000.00", "700000.00", "600000.00"):
        await in_review(database, SMALL | {"loan_amount_inr": amount})
    everything = await cases.page(connection, order)

    first = await cases.page(connection, order, 2)
    second = await cases.page(connection, order, 2, first[-1].application_id)
    third = await cases.page(connection, order, 2, second[-1].application_id)

    assert [case.application_id for case in everything] == [case.application_id for case in [*first, *second, *third]]
    sorted_by = [case.target_at if order is Order.AGE else -case.loan_amount_inr for case in everything]
    assert len(everything) == 5
    assert sorted_by == sorted(sorted_by)


async def test_page_goes_on_behind_a_case_that_was_decided_meanwhile(
    database: Database, connection: Connection
) -> None:
    ids = [await in_review(database) for _ in range(3)]
    await cases.claim(connection, ASHA, ids[0])
    await cases.decide(connection, ASHA, ids[0], APPROVED, "INCOME_CONFIRMED")

    page = await cases.page(connection, after=ids[0])

    assert [case.application_id for case in page] == ids[1:]


# ── a person's decision ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("outcome", "reason"), [(APPROVED, "INCOME_CONFIRMED"), (REJECTED, "INCOME_NOT_ENOUGH")])
async def test_decision_of_a_person_moves_the_status_once_and_is_recorded(
    database: Database, connection: Connection, outcome: Status, reason: str
) -> None:
    application_id = await in_review(database)
    before = database.application(application_id)
    await cases.claim(connection, ASHA, application_id)

    case = await cases.decide(connection, ASHA, application_id, outcome, reason)

    after = database.application(application_id)
    assert (case.state, case.outcome, case.reason, case.claimed_by) == (CaseState.DECIDED, outcome, reason, None)
    assert (after["status"], after["version"]) == (outcome, 3)
    assert after["updated_at"] == case.decided_at
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"status", "version", "updated_at"}
    assert acts(database) == [("asha", "review_claimed"), ("asha", "review_decided")]
    assert database.value("SELECT details FROM acts WHERE action = 'review_decided'") == {
        "outcome": outcome,
        "reason": reason,
        "people": "asha",
    }


async def test_person_may_decide_of_an_applicant_without_a_credit_file(
    database: Database, connection: Connection
) -> None:
    (submission,) = stored(database, pan="SANDB0404F", loan_amount_inr="500000.00")
    await reported(database, [submission], score=None)
    await cases.claim(connection, ASHA, submission.id)

    await cases.decide(connection, ASHA, submission.id, APPROVED, "REPAYMENT_CONFIRMED")

    assert database.application(submission.id)["status"] == "PRE_APPROVED"


async def test_late_and_duplicated_events_after_a_persons_decision_change_nothing(
    database: Database, connection: Connection
) -> None:
    submissions = stored(database, **SMALL)
    await reported(database, submissions)
    await cases.claim(connection, ASHA, submissions[0].id)
    await cases.decide(connection, ASHA, submissions[0].id, REJECTED, "INCOME_NOT_ENOUGH")
    before = database.everything()

    duplicated = await reported(database, submissions)
    database.execute("DELETE FROM processed_messages")
    late = await reported(database, submissions)

    assert [*duplicated, *late] == [Outcome.DUPLICATE] * 2
    assert database.everything() | {"processed_messages": []} == before | {"processed_messages": []}


async def test_larger_amount_is_decided_by_two_different_people(database: Database, connection: Connection) -> None:
    application_id = await in_review(database, LARGE)
    await cases.claim(connection, ASHA, application_id)
    waiting = await cases.decide(connection, ASHA, application_id, APPROVED, "INCOME_CONFIRMED")
    status = database.application(application_id)["status"]
    await cases.claim(connection, RAVI, application_id)

    case = await cases.decide(connection, RAVI, application_id, APPROVED, "REPAYMENT_CONFIRMED")

    assert (waiting.state, waiting.claimed_by, status) == (CaseState.SECOND_PERSON, None, "MANUAL_REVIEW")
    assert (case.state, case.reason) == (CaseState.DECIDED, "REPAYMENT_CONFIRMED")
    assert database.value("SELECT details->>'people' FROM acts WHERE action = 'review_decided'") == "asha, ravi"


async def test_two_people_who_disagree_leave_it_to_a_third(database: Database, connection: Connection) -> None:
    application_id = await in_review(database, LARGE)
    for actor, outcome, reason in (
        (ASHA, APPROVED, "INCOME_CONFIRMED"),
        (RAVI, REJECTED, "INCOME_NOT_ENOUGH"),
        (MEENA, REJECTED, "OBLIGATIONS_TOO_HIGH"),
    ):
        await cases.claim(connection, actor, application_id)
        case = await cases.decide(connection, actor, application_id, outcome, reason)

    assert (case.outcome, case.reason) == ("REJECTED", "OBLIGATIONS_TOO_HIGH")
    assert database.value("SELECT details->>'people' FROM acts WHERE action = 'review_decided'") == "ravi, meena"


async def test_second_look_needs_two_people_whatever_the_amount(database: Database, connection: Connection) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)

    case = await cases.ask_second_look(connection, ASHA, application_id, "Is this income regular?")

    assert (case.state, case.people_needed, case.claimed_by) == (CaseState.SECOND_PERSON, 2, None)
    (note,) = (await cases.show(connection, application_id)).notes
    assert (note.writer, note.note) == ("asha", "Is this income regular?")


async def test_of_two_reviewers_at_once_one_decides(database: Database, connection: Connection) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)

    async def decided() -> str:
        async with connected(
            database.url, "test", {"lock_timeout": "30000", "statement_timeout": "60000"}, 60.0
        ) as own:
            try:
                case = await cases.decide(own, ASHA, application_id, APPROVED, "INCOME_CONFIRMED")
            except Refused as error:
                return type(error).__name__
            return str(case.state)

    results = await asyncio.gather(*(decided() for _ in range(4)))

    assert sorted(results) == ["AlreadyDecided", "AlreadyDecided", "AlreadyDecided", "DECIDED"]
    assert database.application(application_id)["version"] == 3


# ── refused, and nothing moved ──────────────────────────────────────────────────────────────────────────────────────


async def refused(database: Database, kind: type[Refused], step: Any) -> None:
    before, recorded = database.everything(), database.count("acts")
    with pytest.raises(kind) as error:
        await step
    assert str(error.value).endswith(".")
    assert (database.everything(), database.count("acts")) == (before, recorded)


async def test_case_is_decided_once(database: Database, connection: Connection) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)
    await cases.decide(connection, ASHA, application_id, APPROVED, "INCOME_CONFIRMED")

    await refused(
        database,
        AlreadyDecided,
        cases.decide(connection, RAVI, application_id, REJECTED, "INCOME_NOT_ENOUGH"),
    )
    await refused(database, AlreadyDecided, cases.claim(connection, RAVI, application_id))
    await refused(database, AlreadyDecided, cases.note(connection, RAVI, application_id, "Too late."))


async def test_decision_without_a_claim_is_refused(database: Database, connection: Connection) -> None:
    application_id = await in_review(database)
    decision = (application_id, APPROVED, "INCOME_CONFIRMED")

    await refused(database, NotClaimed, cases.decide(connection, ASHA, *decision))
    await cases.claim(connection, ASHA, application_id)
    await refused(database, ClaimedByAnother, cases.decide(connection, RAVI, *decision))
    await refused(database, ClaimedByAnother, cases.claim(connection, RAVI, application_id))
    await refused(database, ClaimedByAnother, cases.ask_second_look(connection, RAVI, application_id, "Hm."))


async def test_lease_that_is_over_decides_nothing_and_frees_the_case(
    database: Database, connection: Connection
) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)
    database.execute("UPDATE review_cases SET lease_until = clock_timestamp()")

    await refused(database, LeaseOver, cases.decide(connection, ASHA, application_id, APPROVED, "INCOME_CONFIRMED"))
    assert (await cases.claim(connection, RAVI, application_id)).claimed_by == "ravi"


async def test_same_person_is_not_two_people(database: Database, connection: Connection) -> None:
    application_id = await in_review(database, LARGE)
    await cases.claim(connection, ASHA, application_id)
    await cases.decide(connection, ASHA, application_id, APPROVED, "INCOME_CONFIRMED")
    as_operator = Actor(ActorKind.OPERATOR, "asha")

    for actor in (ASHA, as_operator):
        await refused(database, SecondPersonNeeded, cases.claim(connection, actor, application_id))
        await refused(
            database,
            SamePersonTwice,
            cases.decide(connection, actor, application_id, APPROVED, "INCOME_CONFIRMED"),
        )


async def test_application_without_a_case_is_not_reviewed(database: Database, connection: Connection) -> None:
    (submission,) = stored(database)
    await reported(database, [submission])

    for application_id in (submission.id, uuid4()):
        await refused(database, NoSuchCase, cases.claim(connection, ASHA, application_id))
        await refused(database, NoSuchCase, cases.show(connection, application_id))


async def test_status_that_was_moved_by_hand_is_not_moved_again(database: Database, connection: Connection) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)
    database.execute("UPDATE applications SET status = 'REJECTED', version = 3")

    await refused(
        database, AlreadyDecided, cases.decide(connection, ASHA, application_id, APPROVED, "INCOME_CONFIRMED")
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("His PAN is ABCPE1234F.", id="PAN"),
        pytest.param("abcpe 1234 f", id="PAN with spaces"),
        pytest.param("seen:xxABCDE1234Fxx", id="PAN within a word"),
        pytest.param("Aadhaar 2341 2341 2346", id="Aadhaar"),
        pytest.param("   ", id="empty"),
        pytest.param("n" * 2001, id="too long"),
    ],
)
async def test_note_that_does_not_fit_is_refused(database: Database, connection: Connection, text: str) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)

    await refused(database, UnfitText, cases.note(connection, ASHA, application_id, text))
    await refused(database, UnfitText, cases.ask_second_look(connection, ASHA, application_id, text))


@pytest.mark.parametrize("reason", ["INCOME_NOT_ENOUGH", "BECAUSE", "ABCPE1234F"])
async def test_reason_is_one_of_the_outcomes_own(database: Database, connection: Connection, reason: str) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)

    await refused(database, UnfitText, cases.decide(connection, ASHA, application_id, APPROVED, reason))


# ── seen elsewhere ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_backtest_compares_the_policys_decision_and_not_the_persons(
    database: Database, connection: Connection
) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)
    await cases.decide(connection, ASHA, application_id, APPROVED, "INCOME_CONFIRMED")

    report = await asyncio.to_thread(backtest, database.url, packaged.current())

    assert (report["applications"], report["flips"]) == (1, [])
    assert report["replayed"]["otherwise_than_stored"] == []


async def test_timeline_tells_the_persons_decision_from_the_policys(database: Database, connection: Connection) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)
    await cases.decide(connection, ASHA, application_id, REJECTED, "INCOME_NOT_ENOUGH")
    stores = load(StoresSettings, _env_file=None, database_url=database.url, kafka_bootstrap_servers="localhost:1")

    timeline = await asyncio.to_thread(trace, stores, None, application_id)
    record = await read(connection, application_id)
    without_acts = build_timeline(replace(record, reviewed=[]), [])

    for each, who in ((timeline, ASHA.name), (without_acts, "review")):
        assert [(step.service, step.what) for step in each.steps if "decided" in step.what] == [
            ("decision-service", "decided: MANUAL_REVIEW"),
            (who, "decided: REJECTED, INCOME_NOT_ENOUGH"),
        ]


@pytest.mark.parametrize(
    "change",
    ["details = '{}'", "details = ('{\"n\":' || repeat('9', 5000) || '}')::jsonb", "occurred_at = 'infinity'"],
)
async def test_timeline_is_shown_where_a_superuser_altered_an_act(
    database: Database, connection: Connection, change: LiteralString
) -> None:
    application_id = await in_review(database)
    await cases.claim(connection, ASHA, application_id)
    await cases.decide(connection, ASHA, application_id, REJECTED, "INCOME_NOT_ENOUGH")
    database.execute("ALTER TABLE acts DISABLE TRIGGER ALL")
    database.execute("UPDATE acts SET " + change + " WHERE action = 'review_decided'")
    stores = load(StoresSettings, _env_file=None, database_url=database.url, kafka_bootstrap_servers="localhost:1")

    timeline = await asyncio.to_thread(trace, stores, None, application_id)

    assert timeline.steps[-1].service == ASHA.name
    assert ("not as they were written" in timeline.steps[-1].what) == ("details" in change)


async def test_application_in_review_from_before_there_were_cases_gets_its_case(
    database: Database, connection: Connection
) -> None:
    application_id, _ = await in_review(database, LARGE), await reported(database, stored(database))
    before = (await cases.show(connection, application_id)).case

    await asyncio.to_thread(migrate.downgrade, database.url, "0113")
    await asyncio.to_thread(migrate.upgrade, database.url)

    async with connected(database.url, "test") as again:
        (after,) = await cases.page(again)
    assert replace(after, hours_to_target=before.hours_to_target) == before


# ── the command line ────────────────────────────────────────────────────────────────────────────────────────────────


def run(database: Database, *words: str) -> Result:
    return runner.invoke(app, ["review", *words], env={"DATABASE_URL": database.url})


def done(database: Database, *words: str) -> Any:
    result = run(database, *words, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def test_case_is_listed_claimed_noted_and_decided_at_the_command_line(database: Database) -> None:
    application_id = str(asyncio.run(in_review(database)))

    (listed,) = done(database, "list", "--by", "amount")
    done(database, "claim", application_id)
    done(database, "note", application_id, "Salary slips are there.")
    shown = done(database, "show", application_id)
    decided = done(database, "decide", application_id, "PRE_APPROVED", "INCOME_CONFIRMED")

    assert (listed["application_id"], listed["state"]) == (application_id, "OPEN")
    assert shown["notes"][0]["note"] == "Salary slips are there."
    assert (decided["state"], decided["outcome"]) == ("DECIDED", "PRE_APPROVED")
    assert done(database, "list") == []
    assert {row["actor_kind"] for row in database.rows("SELECT actor_kind FROM acts")} == {"operator"}
    assert "Salary slips are there." in run(database, "show", application_id).output


def test_second_look_and_list_are_shown_in_lines(database: Database) -> None:
    application_id = str(asyncio.run(in_review(database)))
    run(database, "claim", application_id)

    result = run(database, "second-look", application_id, "Is this income regular?")

    assert "SECOND_PERSON, two people" in result.output, result.exception
    assert run(database, "list").output.endswith("1 case.\n")


@pytest.mark.parametrize(
    "words", [("list", "--by", "mood"), ("decide", "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44", "MAYBE", "BECAUSE")]
)
def test_unknown_word_is_bad_usage(database: Database, words: tuple[str, ...]) -> None:
    assert isinstance(run(database, *words).exception, UsageError)


def test_refusal_at_the_command_line_is_a_sentence(database: Database) -> None:
    result = run(database, "claim", "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44")

    assert isinstance(result.exception, NoSuchCase)


def test_reasons_are_listed_with_sentences_in_both_languages(database: Database) -> None:
    listed = done(database, "reasons")

    assert {each["outcome"] for each in listed} == {"PRE_APPROVED", "REJECTED"}
    assert all(each["en"] and each["hi"] and each["code"] in run(database, "reasons").output for each in listed)
