"""Archived events republished, in a real database and through a real publisher."""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from harness.applications import an_application
from harness.broker import REPORTED, SUBMITTED, Broker
from harness.database import Database
from harness.ports import free_port
from harness.system import System
from harness.waiting import eventually
from prequal.core.errors import Misconfigured, Transient, UsageError
from prequal.core.topology import Service, topic_of
from prequal.domain.events import EventType
from prequal.messaging import outbox
from prequal.messaging.event_ids import event_id
from prequal.ops.republish import RepublishRequest, count, republish
from prequal.postgres import connections
from prequal.publisher import queries
from prequal.record.acts import operator
from tests.support.submissions import Submission, stored

SUBMISSION, REPORT = EventType.APPLICATION_SUBMITTED, EventType.CREDIT_REPORT_GENERATED
PUBLISHED = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=2)
"""A time for which the archive has a partition."""


def archive(
    database: Database,
    submissions: Sequence[Submission],
    type_: EventType = SUBMISSION,
    published_at: datetime = PUBLISHED,
) -> None:
    """Insert these events into the archive, the first as the oldest."""
    for submission in submissions:
        database.execute(
            """
            INSERT INTO outbox_archive (
                id, topic, event_id, event_type, application_id, payload, correlation_id, traceparent,
                created_at, published_at
            )
            SELECT 1 + count(*), %s, %s, %s, %s, %s, 'request-1', '00-x', now() - interval '3 days', %s
            FROM outbox_archive
            """,
            *(topic_of(type_), event_id(type_, submission.id), type_, submission.id, f"{type_} body", published_at),
        )


def an_archived(
    database: Database, count: int = 1, type_: EventType = SUBMISSION, published_at: datetime = PUBLISHED
) -> list[Submission]:
    """New applications whose events were published."""
    submissions = stored(database, count)
    archive(database, submissions, type_, published_at)
    return submissions


def in_outbox(database: Database) -> list[UUID]:
    return [row["application_id"] for row in database.rows("SELECT application_id FROM outbox_events ORDER BY id")]


def ids(submissions: Sequence[Submission]) -> list[UUID]:
    return [submission.id for submission in submissions]


async def with_connection(database: Database, work: Callable[[connections.Connection], Any]) -> Any:
    connection = await connections.connect(database.url, "republication in a test")
    try:
        return await work(connection)
    finally:
        await connection.close()


# ── the selection ────────────────────────────────────────────────────────────────────────────────────────────────


def test_republishing_whose_progress_fails_does_not_blame_postgresql_and_keeps_what_is_committed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.ops.republish.BATCH", 2)
    an_archived(database, 5)

    def lost(_: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        republish(database.url, operator(), RepublishRequest(), lost)

    assert database.count("outbox_events") == 2
    assert database.value("SELECT details->>'events' FROM acts WHERE action = 'events_republished'") == "2"


def test_republished_event_is_the_same_to_the_last_byte(database: Database) -> None:
    an_archived(database)

    assert republish(database.url, operator(), RepublishRequest()) == 1

    assert database.row("SELECT action, details FROM acts") == {
        "action": "events_republished",
        "details": {"events": 1},
    }
    fields = f"topic, {outbox.EVENT}"
    assert database.rows(f"SELECT {fields} FROM outbox_events") == database.rows(f"SELECT {fields} FROM outbox_archive")


def test_events_keep_their_old_order(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prequal.ops.republish.BATCH", 3)
    submissions = an_archived(database, 10)
    progress: list[int] = []

    republish(database.url, operator(), RepublishRequest(), progress.append)

    assert in_outbox(database) == ids(submissions)
    assert progress == [3, 6, 9, 10]


def test_event_that_still_waits_is_not_added_again(database: Database) -> None:
    an_archived(database, 2)
    republish(database.url, operator(), RepublishRequest(limit=1))
    database.execute(
        f"""
        WITH waits AS (DELETE FROM outbox_events RETURNING *)
        INSERT INTO outbox_parked (id, topic, attempts, {outbox.EVENT}, reason, next_try_at)
        SELECT id, topic, 1, {outbox.EVENT}, 'too large', now() FROM waits
        """
    )

    assert [republish(database.url, operator(), RepublishRequest()) for _ in range(3)] == [1, 0, 0]
    assert database.count("outbox_events") == 1


def test_event_that_was_archived_several_times_is_republished_once(database: Database) -> None:
    submissions = an_archived(database, 3)
    archive(database, submissions)
    archive(database, submissions[:1], published_at=PUBLISHED + timedelta(days=2))

    assert count(database.url, RepublishRequest()) == republish(database.url, operator(), RepublishRequest()) == 3
    assert in_outbox(database) == ids(submissions)


def test_two_republications_at_once_make_one_row_an_event(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prequal.ops.republish.BATCH", 7)
    submissions = an_archived(database, 100)

    with ThreadPoolExecutor(4) as threads:
        republished = sum(threads.map(lambda _: republish(database.url, operator(), RepublishRequest()), range(4)))

    assert republished == 100
    assert sorted(in_outbox(database)) == sorted(ids(submissions))


def test_filters_select_by_time_by_application_and_by_topic(database: Database) -> None:
    first, second = an_archived(database), an_archived(database, published_at=PUBLISHED + timedelta(days=1))
    archive(database, first, REPORT, PUBLISHED + timedelta(seconds=1))

    def selected(**request: Any) -> int:
        return count(database.url, RepublishRequest(**request))

    assert [selected(since=PUBLISHED), selected(since=PUBLISHED + timedelta(milliseconds=1))] == [3, 2]
    assert [selected(until=PUBLISHED), selected(until=PUBLISHED + timedelta(milliseconds=1))] == [0, 1]
    assert selected(since=PUBLISHED + timedelta(seconds=1), until=PUBLISHED + timedelta(days=1)) == 1
    assert [selected(since=timedelta(hours=2)), selected(until=timedelta(hours=2))] == [3, 0]
    assert [selected(application_ids=ids(first)), selected(application_ids=ids(first + second))] == [2, 3]
    assert [selected(topic=REPORTED), selected(topic=SUBMITTED)] == [1, 2]
    assert [selected(limit=1), selected(limit=2, application_ids=ids(second))] == [1, 1]


def test_limit_selects_the_oldest_and_the_next_run_the_next(database: Database) -> None:
    submissions = an_archived(database, 3)

    republish(database.url, operator(), RepublishRequest(limit=2))

    assert in_outbox(database) == ids(submissions[:2])
    assert count(database.url, RepublishRequest(limit=2)) == 1


def test_dry_run_counts_and_changes_nothing(database: Database) -> None:
    an_archived(database, 2)
    before = database.everything()

    assert count(database.url, RepublishRequest()) == 2

    assert database.everything() == before


def test_unknown_application_is_refused_and_nothing_is_republished(database: Database) -> None:
    unknown = uuid4()

    with pytest.raises(UsageError, match=rf"^There is no application {unknown}\.$"):
        republish(database.url, operator(), RepublishRequest(application_ids=[*ids(an_archived(database)), unknown]))

    assert in_outbox(database) == []


def test_database_that_is_away_is_out_of_reach() -> None:
    with pytest.raises(Transient, match="PostgreSQL cannot be reached"):
        republish(f"postgresql://127.0.0.1:{free_port()}/prequal", operator(), RepublishRequest())


def test_database_that_is_not_migrated_is_one_sentence(empty_database: Database) -> None:
    with pytest.raises(Misconfigured, match="run `prequal migrate`"):
        count(empty_database.url, RepublishRequest())


# ── the republished rows ────────────────────────────────────────────────────────────────────────────────────────


async def test_republishing_applications_adds_all_their_events_in_one_transaction(database: Database) -> None:
    submissions = an_archived(database, 3)
    archive(database, submissions, REPORT)

    async def republish(connection: connections.Connection) -> int:
        async with connection.transaction():
            return await outbox.republish(connection, ids(submissions[:2]))

    assert await with_connection(database, republish) == 4
    assert in_outbox(database) == ids(submissions[:2]) * 2
    with pytest.raises(AssertionError):
        await with_connection(database, lambda connection: outbox.republish(connection, ids(submissions)))


async def test_republished_row_is_not_archived_again_not_even_after_it_was_parked(database: Database) -> None:
    an_archived(database)
    archived = database.rows("SELECT * FROM outbox_archive")

    def row_id() -> Any:
        return database.value("SELECT id FROM outbox_events")

    async def park_and_archive(connection: connections.Connection) -> None:
        async with connection.transaction():
            await outbox.republish(connection, [row["application_id"] for row in archived])
        await queries.park(connection, SUBMITTED, [(row_id(), "too large")])
        async with connection.transaction():
            assert await outbox.republish(connection, [row["application_id"] for row in archived]) == 0
        await connection.execute("UPDATE outbox_parked SET next_try_at = now()")
        await queries.restore_due(connection, SUBMITTED, 10)
        assert await outbox.archive_published(connection, SUBMITTED, [row_id()], Service.PUBLISHER) == 1

    await with_connection(database, park_and_archive)

    assert database.rows("SELECT * FROM outbox_archive") == archived
    assert in_outbox(database) == []


def test_republished_rows_do_not_make_the_outbox_look_old(database: Database) -> None:
    an_archived(database)
    republish(database.url, operator(), RepublishRequest())

    waiting = asyncio.run(with_connection(database, lambda connection: outbox.waiting(connection, counted_max=10)))

    assert waiting[SUBMITTED] == outbox.OutboxBacklog(events=1, oldest_seconds=0.0, parked=0)


def test_publisher_publishes_it_and_leaves_the_archive_as_it_was(
    database: Database, broker: Broker, system: System
) -> None:
    (submission,) = an_archived(database)
    archived = database.rows("SELECT * FROM outbox_archive")
    system.start("publisher")

    republish(database.url, operator(), RepublishRequest())
    (message,) = broker.read(SUBMITTED, 1)
    eventually(lambda: not in_outbox(database))

    assert (message.key(), message.value()) == (str(submission.id).encode(), b"ApplicationSubmitted body")
    assert dict(message.headers() or [])["event_id"] == str(submission.event_id).encode()
    assert database.rows("SELECT * FROM outbox_archive") == archived


def test_everything_republished_twice_while_the_services_run_changes_nothing(
    database: Database, broker: Broker, system: System
) -> None:
    system.start()
    with httpx.Client(base_url=system.api.url, trust_env=False) as client:
        assert [client.post("/applications", json=an_application()).status_code for _ in range(5)] == [202] * 5
    eventually(lambda: database.count("outbox_archive") == 10 and broker.lag() == 0)
    facts = ("applications", "audit_log", "processed_messages", "outbox_archive", "pan_claims")
    before = {table: database.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in facts}

    for _ in range(2):
        assert republish(database.url, operator(), RepublishRequest()) == 10
        eventually(lambda: not in_outbox(database))
    # More than these where a writer or the publisher stood still for a second: then both publish a row.
    eventually(lambda: broker.published(SUBMITTED) >= 15 and broker.published(REPORTED) >= 15 and broker.lag() == 0)

    assert {table: database.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in facts} == before


@pytest.mark.parametrize("values", ["0, now()", "1, now() - interval '1 hour'", "NULL, now()", "1, NULL"])
def test_database_refuses_a_nonsensical_republication(values: str, database: Database) -> None:
    with pytest.raises(psycopg.errors.IntegrityError):
        database.execute(
            f"INSERT INTO republications (application_id, times, next_at) VALUES (gen_random_uuid(), {values})"
        )


# ── the command ──────── ────────────────────────────────────────────────────────────────────────────────────────


def test_command_reports_its_count(prequal_on_database: Any, database: Database) -> None:
    (first, *_) = an_archived(database, 3)

    dry = prequal_on_database("republish", "--all", "--dry-run")
    one = prequal_on_database("republish", "--application", str(first.id), "--topic", SUBMITTED)
    rest = prequal_on_database("republish", "--since", "2h", "--limit", "9", "--json")

    assert dry.stdout == "3 events would be republished.\n"
    assert one.stdout == "1 event will be republished.\n"
    assert rest == {"dry_run": False, "events": 2}


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--until 2h",
        "--topic loan_applications_submitted",
        "--since yesterday",
        "--application 7",
        "--all --topic nonsense",
        "--all --until 2026-11-23",
    ],
)
def test_malformed_arguments_are_refused_before_any_store_is_asked(words: str, prequal_without_stores: Any) -> None:
    problem = prequal_without_stores("republish", *words.split()).exception

    assert isinstance(problem, UsageError)
    assert re.match("Say which events|--", str(problem))
    assert "\n" not in str(problem)
