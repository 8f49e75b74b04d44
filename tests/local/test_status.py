"""`prequal status` on tables of every size: what it counts, what it estimates, and that it says which."""

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException

from harness.database import Database
from prequal.cli.status import _applications
from prequal.local import status
from prequal.local.status import Overview, database_facts

DECIDED = {"MANUAL_REVIEW": 300, "PRE_APPROVED": 1100, "REJECTED": 600}
UNDECIDED = 40


def fill(database: Database) -> None:
    """Applications of every status, the undecided last, as they come."""
    for outcome, count in {**DECIDED, "PENDING": UNDECIDED}.items():
        decided = "NULL, NULL, NULL, NULL" if outcome == "PENDING" else "700, 'r', '{}', 'v1'"
        database.execute(
            f"""
            INSERT INTO applications (
                id, pan_number_encrypted, pan_number_hash, pan_number_masked, monthly_income_inr, loan_amount_inr,
                loan_type, status, cibil_score, decision_rule, decision_measures, policy_version
            )
            SELECT uuidv7(), decode(repeat('00', 47), 'hex'), repeat('5e', 32), 'XXXXX1234F', 1, 1, 'HOME',
                   '{outcome}', {decided}
            FROM generate_series(1, {count})
            """
        )


def insert_inbox_rows(database: Database, count: int) -> None:
    for consumer, ago in (("decision-service", "5 s"), ("credit-service", "5 s"), ("decision-service", "2 min")):
        database.execute(
            f"""
            INSERT INTO processed_messages
            SELECT '{consumer}', gen_random_uuid(), 'd', now() - interval '{ago}', gen_random_uuid()
            FROM generate_series(1, {count})
            """
        )


def test_small_table_is_counted(database: Database) -> None:
    fill(database)
    insert_inbox_rows(database, 7)

    facts = asyncio.run(database_facts(database.url))

    assert facts.applications == {**DECIDED, "PENDING": UNDECIDED}
    assert facts.applications_exact
    assert facts.decisions_last_minute == 7


def test_large_table_is_estimated_and_its_undecided_are_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "EXACT_BYTES_MAX", 0)
    fill(database)
    database.execute("ANALYZE applications")
    database.execute(
        "DELETE FROM applications WHERE id IN (SELECT id FROM applications WHERE status = 'PENDING' LIMIT 1)"
    )

    facts = asyncio.run(database_facts(database.url))

    assert not facts.applications_exact
    assert facts.applications.pop("PENDING") == UNDECIDED - 1
    assert facts.applications == pytest.approx(DECIDED, rel=0.02)


def test_large_table_that_was_never_analysed_shows_the_undecided(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "EXACT_BYTES_MAX", 0)
    fill(database)

    assert asyncio.run(database_facts(database.url)).applications == {"PENDING": UNDECIDED}


def test_backlog_is_counted_up_to_a_bound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "EXACT_BYTES_MAX", 0)
    monkeypatch.setattr(status, "COUNTED_MAX", UNDECIDED - 1)
    fill(database)

    assert asyncio.run(database_facts(database.url)).applications["PENDING"] == UNDECIDED - 1


@pytest.mark.parametrize(("exact", "shown"), [(True, "90,00,000"), (False, "about 90,00,000")])
def test_screen_says_what_is_an_estimate(exact: bool, shown: str) -> None:
    facts = status.DatabaseFacts(0, 0, 0, {"REJECTED": 9_000_000, "PENDING": 100_000}, exact, 0)

    cells = list(_applications(Overview([], facts, None, None)).columns[1].cells)

    assert cells == [shown, "1,00,000 or more", "0"]


@pytest.mark.parametrize(
    ("failure", "kind"), [(KafkaException(KafkaError(KafkaError._TIMED_OUT)), "_TIMED_OUT"), (OSError("x"), "OSError")]
)
def test_store_that_does_not_answer_is_named_with_the_kind_of_its_failure(failure: Exception, kind: str) -> None:
    def ask() -> None:
        raise failure

    problems: list[str] = []

    assert status._answer_of("Kafka", ask, problems) is None
    assert problems == [f"Kafka does not answer ({kind})"]
