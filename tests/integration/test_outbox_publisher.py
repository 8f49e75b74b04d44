"""The outbox and its publisher: what was committed is published, once enough, in order, whatever happens in between."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from harness.broker import REPORTED, SUBMITTED, Broker, headers_of
from harness.database import Database
from harness.system import System
from harness.tcp_proxy import a_proxy, port_of
from harness.waiting import Stopwatch, eventually, soon
from prequal.core.settings import PublisherSettings, load
from prequal.core.topology import Service
from prequal.domain.application import LoanType
from prequal.domain.events import EventType
from prequal.local.kafka import Kafka
from prequal.messaging import outbox, outbox_producer
from prequal.messaging.delivery import DeliveryReports
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted, CreditReportGenerated, Event
from prequal.postgres.connections import connect
from prequal.publisher import queries, relay
from prequal.publisher.unpublished_topics import UnpublishedTopics
from prequal.telemetry import metrics
from prequal.telemetry.breakers import breaker_of
from tests.builders import APPLICATION_ID, CLIENT, PAN_HASH, REPORT_MAC, TOKEN
from tests.conftest import SystemMaker
from tests.support.publishing import INSERT_UNPUBLISHED, an_unpublished_row, publishing, unpublished


def nothing_waits(database: Database) -> bool:
    return database.unpublished() == 0


async def keys(broker: Broker, topic: str, count: int) -> list[UUID]:
    """The applications whose events were published, in order within a partition."""
    return [UUID(bytes(message.key() or b"").decode()) for message in await broker.arrived(topic, count)]


# ── what is stored ──────────────────────────────────────────────────────────────────────────────────────────────


BODIES: dict[type[Event], str] = {
    ApplicationSubmitted: ApplicationSubmitted.body(
        APPLICATION_ID,
        pan_number_encrypted=TOKEN,
        pan_number_hash=PAN_HASH,
        monthly_income_inr=Decimal(1),
        loan_amount_inr=Decimal(1),
        loan_type=LoanType.HOME,
        client=CLIENT,
    ),
    CreditReportGenerated: CreditReportGenerated.body(
        APPLICATION_ID,
        REPORT_MAC.make,
        pan_number_hash=PAN_HASH,
        monthly_income_inr=Decimal(1),
        loan_amount_inr=Decimal(1),
        loan_type=LoanType.HOME,
        cibil_score=None,
    ),
}


@pytest.mark.parametrize("event", BODIES)
def test_stored_event_is_the_text_that_was_made_with_the_time_in_it(database: Database, event: type[Event]) -> None:
    made = BODIES[event]

    stored = database.row(
        f"SELECT {outbox.with_time('body', event.time_field)} AS text, {outbox.NOW_TEXT} AS time "
        "FROM (SELECT %s::text AS body) AS given",
        made,
    )

    assert json.loads(made)[event.time_field] is None
    assert stored["text"] == made.replace(f'"{event.time_field}":null', f'"{event.time_field}":"{stored["time"]}"')
    assert json.loads(stored["text"]) == json.loads(made) | {event.time_field: stored["time"]}


# ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_event_is_published_with_its_key_its_headers_and_its_bytes(database: Database, broker: Broker) -> None:
    (application_id,) = unpublished(database, payload='{"name": "आशा"}')

    async with publishing(database, broker):
        (message,) = await broker.arrived(SUBMITTED, 1)

    assert message.key() == str(application_id).encode()
    assert message.value() == '{"name": "आशा"}'.encode()
    assert headers_of(message) == {
        "event_id": str(event_id(EventType.APPLICATION_SUBMITTED, application_id)),
        "event_type": "ApplicationSubmitted",
        "message_version": "v1",
        "correlation_id": "request-1",
    }


async def test_trace_of_a_row_becomes_a_header(database: Database, broker: Broker) -> None:
    unpublished(database)
    database.execute("UPDATE outbox_events SET traceparent = '00-trace', correlation_id = NULL")

    async with publishing(database, broker):
        (message,) = await broker.arrived(SUBMITTED, 1)

    assert headers_of(message)["traceparent"] == "00-trace"
    assert "correlation_id" not in headers_of(message)


async def test_published_event_moves_to_the_archive_unchanged(database: Database, broker: Broker) -> None:
    unpublished(database, 3, payload='{"a": 1}')
    columns = "id, topic, event_id, event_type, application_id, payload, correlation_id, traceparent, created_at"
    before = database.rows(f"SELECT {columns} FROM outbox_events ORDER BY id")

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database))

    assert database.rows(f"SELECT {columns} FROM outbox_archive ORDER BY id") == before


async def test_both_topics_are_published(database: Database, broker: Broker) -> None:
    unpublished(database, 5, topic=SUBMITTED)
    unpublished(database, 7, topic=REPORTED)

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database))

    assert (broker.published(SUBMITTED), broker.published(REPORTED)) == (5, 7)


async def test_events_of_one_application_are_published_in_the_order_they_were_written(
    database: Database, broker: Broker
) -> None:
    application_id = uuid4()
    with database.connect() as connection, connection.cursor() as cursor:
        rows = [an_unpublished_row(payload=str(number), application_id=application_id) for number in range(1500)]
        cursor.executemany(INSERT_UNPUBLISHED, rows)

    async with publishing(database, broker, publish_batch_max=100):
        messages = await broker.arrived(SUBMITTED, 1500)

    assert [int(message.value() or b"") for message in messages] == list(range(1500))


async def test_row_is_archived_by_its_own_acknowledgement_and_published_once(
    database: Database, broker: Broker
) -> None:
    applications = unpublished(database, 3000)

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database), within=60)

    published = Counter(await keys(broker, SUBMITTED, 3000))
    assert published == Counter(applications)
    assert database.count("outbox_archive") == 3000


async def test_row_with_a_lower_id_that_is_committed_later_is_published_too(database: Database, broker: Broker) -> None:
    late, early = an_unpublished_row(), an_unpublished_row()
    with database.connect() as slow:
        slow.execute(INSERT_UNPUBLISHED, late)
        with database.connect() as quick:
            quick.execute(INSERT_UNPUBLISHED, early)
        async with publishing(database, broker):
            assert await keys(broker, SUBMITTED, 1) == [early[3]]

            slow.commit()

            assert set(await keys(broker, SUBMITTED, 2)) == {early[3], late[3]}


async def test_gap_of_ids_that_were_rolled_back_stops_nothing(database: Database, broker: Broker) -> None:
    with database.connect() as undone:
        for _ in range(10):
            undone.execute(INSERT_UNPUBLISHED, an_unpublished_row())
        undone.rollback()
    applications = unpublished(database, 3)

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database))

    assert set(await keys(broker, SUBMITTED, 3)) == set(applications)


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_events_of_a_missing_topic_wait_with_a_reason_while_others_flow(
    database: Database, broker: Broker
) -> None:
    broker.delete(REPORTED)
    unpublished(database, 3, topic=REPORTED)
    async with publishing(database, broker):
        unpublished(database, 20, topic=SUBMITTED)
        await soon(lambda: broker.published(SUBMITTED) == 20)
        await soon(lambda: database.count("outbox_parked") == 3)

        reasons = {row["reason"] for row in database.rows("SELECT reason FROM outbox_parked")}
        broker.create()

        await soon(lambda: nothing_waits(database), within=60)
    assert all(reasons)
    assert broker.published(REPORTED) == 3
    assert database.value("SELECT count(*) FROM outbox_archive WHERE topic = %s", REPORTED) == 3


async def test_recreated_topic_is_published_by_a_new_producer(database: Database, broker: Broker) -> None:
    rebuilt = metrics.RETRIES.labels("producer")
    before = rebuilt._value.get()
    unpublished(database, 3)
    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database))
        broker.delete(SUBMITTED)
        unpublished(database, 3)
        await soon(lambda: database.count("outbox_parked") == 3)
        unpublished(database, 1, topic=REPORTED)

        broker.create()

        await soon(lambda: nothing_waits(database), within=60)
    assert broker.published(SUBMITTED) == 3
    assert rebuilt._value.get() == before + 1


class Dying:
    """A producer whose first life ends with its third message: no report comes of the first, it publishes the second,
    and of the third it says that it is dead. Its successor lives.
    """

    lives = 0

    def __init__(self, settings: dict[str, Any], **how: Any) -> None:
        Dying.lives += 1
        self._life, self._given = Dying.lives, 0
        self._to_fail: list[Any] = []
        self._client = Producer(settings, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def produce(self, topic: str, value: str, key: str, *, headers: Any, on_delivery: Any) -> None:
        self._given += 1
        if self._life > 1 or self._given == 2:
            self._client.produce(topic, value, key, headers=headers, on_delivery=on_delivery)
        elif self._given == 3:
            self._to_fail.append(on_delivery)
        elif self._given > 3:
            raise KafkaException(KafkaError(KafkaError._FATAL))

    def poll(self, seconds: float) -> int:
        served = self._client.poll(seconds)
        while self._to_fail:
            self._to_fail.pop()(KafkaError(KafkaError._FATAL), None)
            served += 1
        return served


@pytest.mark.parametrize("rows", [3, 20])
async def test_rows_of_a_dead_producer_are_published_by_the_next(
    rows: int, database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dying, "lives", 0)
    monkeypatch.setattr(outbox_producer, "Producer", Dying)
    rebuilt = metrics.RETRIES.labels("producer")
    before = rebuilt._value.get()
    applications = unpublished(database, rows)

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database), within=60)

    published = Counter(await keys(broker, SUBMITTED, rows))
    assert set(published) == set(applications)
    # The second alone may be published twice: its answer may have come after the death, and was then forgotten.
    assert {application for application, times in published.items() if times > 1} <= {applications[1]}
    assert database.count("outbox_archive") == rows
    assert (Dying.lives, rebuilt._value.get() - before) == (2, 1)


async def test_row_given_to_a_producer_just_built_by_another_relay_is_given_once(
    database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpublished(database, 3)
    address, given, read = kafka.bootstrap_servers, [], queries.read_unpublished
    settings = load(PublisherSettings, _env_file=None, database_url=database.url, kafka_bootstrap_servers=address)
    stand_in: Any = SimpleNamespace(
        generation=0,
        reports={SUBMITTED: DeliveryReports()},
        breaker=breaker_of("kafka_producer", address),
        publish=lambda row: given.append(row.id),
    )
    topic_relay = relay.TopicRelay(SUBMITTED, settings, stand_in, UnpublishedTopics(settings, [SUBMITTED]))

    async def rebuilt_meanwhile(*what: Any) -> list[outbox.OutboxRow]:
        rows = await read(*what)
        stand_in.generation += not given
        return rows

    monkeypatch.setattr(queries, "read_unpublished", rebuilt_meanwhile)

    for _ in range(3):
        topic_relay._rows_expected = True
        await topic_relay._round()

    await topic_relay._connection.close()
    assert len(given) == 3


async def test_row_that_was_refused_twice_is_parked_once(database: Database) -> None:
    unpublished(database)
    row_id = database.value("SELECT id FROM outbox_events")
    connection = await connect(database.url, "test")
    try:
        await queries.park(connection, SUBMITTED, [(row_id, "refused"), (row_id, "refused again")])
    finally:
        await connection.close()

    assert (database.count("outbox_events"), database.count("outbox_parked")) == (0, 1)


async def test_event_too_large_waits_with_a_reason_and_its_neighbours_are_published(
    database: Database, broker: Broker
) -> None:
    broker.configure(SUBMITTED, max_message_bytes="20000")
    (large,) = unpublished(database, payload="x" * 50_000)
    neighbours = unpublished(database, 30, payload="{}")
    async with publishing(database, broker):
        await soon(lambda: broker.published(SUBMITTED) == 30)
        parked = await soon(lambda: database.rows("SELECT * FROM outbox_parked"))
        published = await keys(broker, SUBMITTED, 30)

        broker.configure(SUBMITTED, max_message_bytes="1048588")

        await soon(lambda: nothing_waits(database), within=60)
    assert set(published) == set(neighbours)
    assert [row["application_id"] for row in parked] == [large]
    assert parked[0]["reason"]
    assert parked[0]["attempts"] >= 1
    assert large in await keys(broker, SUBMITTED, 31)


async def test_parked_event_is_tried_again_after_longer_and_longer_pauses(database: Database) -> None:
    unpublished(database)
    connection = await connect(database.url, "test")
    pauses = []
    try:
        for _ in range(8):
            row_id = database.value("SELECT id FROM outbox_events")
            await queries.park(connection, SUBMITTED, [(row_id, "refused")])
            pause = database.value("SELECT next_try_at - parked_at FROM outbox_parked")
            pauses.append(pause.total_seconds())
            database.execute("UPDATE outbox_parked SET next_try_at = now()")
            await queries.restore_due(connection, SUBMITTED, 10)
    finally:
        await connection.close()

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_parked_event_that_is_due_later_than_any_could_be_is_tried_again(database: Database) -> None:
    unpublished(database)
    row_id = database.value("SELECT id FROM outbox_events")
    connection = await connect(database.url, "test")
    try:
        await queries.park(connection, SUBMITTED, [(row_id, "refused")])
        database.execute("UPDATE outbox_parked SET next_try_at = now() + interval '50 seconds'")
        waits = await queries.restore_due(connection, SUBMITTED, 10)
        database.execute("UPDATE outbox_parked SET next_try_at = now() + interval '1 hour'")
        restored = await queries.restore_due(connection, SUBMITTED, 10)
    finally:
        await connection.close()

    assert (waits, restored) == (0, 1)


async def test_age_of_the_oldest_is_that_of_one_whose_time_the_clock_has_reached(database: Database) -> None:
    unpublished(database, 2)
    database.execute("UPDATE outbox_events SET created_at = now() + interval '1 hour'")
    unpublished(database)
    connection = await connect(database.url, "test")

    waiting = await outbox.waiting(connection, counted_max=10)

    await connection.close()
    assert waiting[SUBMITTED].oldest_seconds >= 1


async def test_same_rows_archived_twice_are_in_the_archive_once(database: Database) -> None:
    unpublished(database, 5)
    ids = [row["id"] for row in database.rows("SELECT id FROM outbox_events")]
    connection = await connect(database.url, "test")
    try:
        first = await outbox.archive_published(connection, SUBMITTED, ids, Service.PUBLISHER)
        second = await outbox.archive_published(connection, SUBMITTED, ids, Service.PUBLISHER)
    finally:
        await connection.close()

    assert (first, second) == (5, 0)
    assert database.count("outbox_archive") == 5


async def test_event_published_and_not_archived_is_published_again_with_the_same_id(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpublished(database, 5)
    working = outbox.archive_published

    async def broken(*_: Any) -> int:
        raise OSError("the connection is lost")

    monkeypatch.setattr(outbox, "archive_published", broken)
    async with publishing(database, broker):
        await soon(lambda: broker.published(SUBMITTED) == 5)
    assert database.count("outbox_events") == 5
    monkeypatch.setattr(outbox, "archive_published", working)

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database))

    published = Counter(headers_of(message)["event_id"] for message in await broker.arrived(SUBMITTED, 10))
    assert set(published.values()) == {2}
    assert len(published) == database.count("outbox_archive") == 5


async def test_event_that_is_in_flight_is_not_produced_again(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpublished(database, 5)
    working, failures = outbox.archive_published, iter(range(3))

    async def broken_at_first(*values: Any) -> int:
        if next(failures, None) is not None:
            raise OSError("the connection is lost")
        return await working(*values)

    monkeypatch.setattr(outbox, "archive_published", broken_at_first)

    async with publishing(database, broker):
        await soon(lambda: nothing_waits(database))

    assert broker.published(SUBMITTED) == 5
    assert database.count("outbox_archive") == 5


async def test_publisher_with_nothing_to_publish_asks_for_all_topics_in_one_statement(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, reads = [], []
    look, read = queries.topics_with_unpublished, queries.read_unpublished

    async def counted_look(*what: Any) -> list[str]:
        looks.append(what[1])
        return await look(*what)

    async def counted_read(*what: Any) -> list[outbox.OutboxRow]:
        reads.append(what[1].name)
        return await read(*what)

    monkeypatch.setattr(queries, "topics_with_unpublished", counted_look)
    monkeypatch.setattr(queries, "read_unpublished", counted_read)

    async with publishing(database, broker):
        await soon(lambda: len(reads) == 3)  # as each begins
        before = len(looks)
        await soon(lambda: len(looks) == before + 4)
        reads_while_idle = len(reads) - 3
        applications = unpublished(database)
        published = await keys(broker, SUBMITTED, 1)

    assert reads_while_idle == 0
    assert published == applications


# ── several publishers ──────────────────────────────────────────────────────────────────────────────────────────


async def test_two_publishers_at_once_lose_nothing_and_keep_the_order(database: Database, broker: Broker) -> None:
    application_id = uuid4()
    async with publishing(database, broker), publishing(database, broker):
        for start in range(0, 1000, 100):
            with database.connect() as connection, connection.cursor() as cursor:
                payloads = [str(start + step) for step in range(100)]
                rows = [an_unpublished_row(payload=each, application_id=application_id) for each in payloads]
                cursor.executemany(INSERT_UNPUBLISHED, rows)
            await asyncio.sleep(0)
        await soon(lambda: nothing_waits(database))

    numbers = [int(message.value() or b"") for message in await broker.arrived(SUBMITTED, 1000)]
    assert list(dict.fromkeys(numbers)) == list(range(1000))
    assert database.count("outbox_archive") == 1000


async def test_lease_has_one_holder_at_a_time(database: Database) -> None:
    connection = await connect(database.url, "test")
    one, other = uuid4(), uuid4()
    try:
        first = await queries.take_lease(connection, SUBMITTED, one, 60)
        refused = await queries.take_lease(connection, SUBMITTED, other, 60)
        renewed = await queries.take_lease(connection, SUBMITTED, one, 60)
        database.execute("UPDATE publisher_leases SET expires_at = now() - interval '1 second'")
        taken = await queries.take_lease(connection, SUBMITTED, other, 60)
        unpublished(database)
        assert first is not None
        assert taken is not None
        lost = await queries.read_unpublished(connection, first, [], 10)
        held = await queries.read_unpublished(connection, taken, [], 10)
    finally:
        await connection.close()

    assert refused is None
    assert renewed == first
    assert (first.epoch, taken.epoch) == (1, 2)
    assert (len(lost), len(held)) == (0, 1)


async def test_lease_that_ends_later_than_any_could_is_taken(database: Database) -> None:
    connection = await connect(database.url, "test")
    one, other = uuid4(), uuid4()
    first = await queries.take_lease(connection, SUBMITTED, one, 60)
    database.execute("UPDATE publisher_leases SET expires_at = now() + interval '1 hour'")
    unpublished(database)
    assert first is not None

    beyond = await queries.read_unpublished(connection, first, [], 10)
    taken = await queries.take_lease(connection, SUBMITTED, other, 3)
    refused = await queries.take_lease(connection, SUBMITTED, one, 3)

    await connection.close()
    assert (beyond, refused) == ([], None)
    assert taken is not None
    assert taken.epoch == 2


async def test_lease_that_another_publisher_has_is_asked_for_without_a_write(database: Database) -> None:
    holder, standby = uuid4(), uuid4()
    connection = await connect(database.url, "test")
    await queries.take_lease(connection, SUBMITTED, holder, 60)

    async with connection.transaction():
        refused = await queries.take_lease(connection, SUBMITTED, standby, 60)
        transaction = await connection.fetchval("SELECT pg_current_xact_id_if_assigned()")

    await connection.close()
    assert (refused, transaction) == (None, None)


def test_topic_of_a_killed_publisher_is_taken_over_when_its_lease_ends(database: Database, system: System) -> None:
    system.start("publisher")
    second = system.further("publisher", "second", LEASE_SECONDS="1")
    second.start()
    unpublished(database)
    eventually(lambda: nothing_waits(database))

    system.publisher.kill()
    applications = unpublished(database, 20)

    eventually(lambda: nothing_waits(database))
    assert database.count("outbox_archive") == 1 + len(applications)


def test_lease_of_a_publisher_that_stops_is_free_at_once(database: Database, a_system_with: SystemMaker) -> None:
    system = a_system_with(LEASE_SECONDS="60").start("publisher")
    second = system.further("publisher", "second", LEASE_SECONDS="60")
    second.start()
    unpublished(database)
    eventually(lambda: nothing_waits(database))

    assert system.publisher.end() == 0
    unpublished(database, 20)

    eventually(lambda: nothing_waits(database))


# ── the infrastructure ───────────────────────────────────────────────────────────────────────────────────────────


async def test_events_wait_while_the_broker_is_away_and_are_published_when_it_is_back(
    database: Database, broker: Broker
) -> None:
    with a_proxy(port_of(f"kafka://{broker.bootstrap_servers}")) as proxy:
        proxy.cut()
        blind = Broker.__new__(Broker)
        blind.bootstrap_servers = f"127.0.0.1:{proxy.port}"
        async with publishing(database, blind):
            unpublished(database, 50)
            await soon(lambda: database.value("SELECT count(*) FROM publisher_leases") >= 2)
            assert nothing_waits(database) is False
            longest = await longest_transaction(database, for_seconds=2)

            # The broker names its own address to each client, so that the way is needed for the first question only.
            proxy.restore()

            await soon(lambda: nothing_waits(database), within=60)
    assert longest < 1
    assert set(await keys(broker, SUBMITTED, 50)) == {
        row["application_id"] for row in database.rows("SELECT application_id FROM outbox_archive")
    }


async def longest_transaction(database: Database, for_seconds: float) -> float:
    """The age of the oldest transaction that was open during a while."""
    longest, watch = 0.0, Stopwatch()
    while watch.seconds < for_seconds:
        age = database.value(
            """
            SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """
        )
        longest = max(longest, age)
        await asyncio.sleep(0.02)
    return longest


async def test_error_of_the_database_is_waited_out(database: Database, broker: Broker) -> None:
    async with publishing(database, broker):
        unpublished(database)
        await soon(lambda: nothing_waits(database))
        database.execute("ALTER TABLE outbox_archive RENAME TO away")
        applications = unpublished(database, 3)
        await soon(lambda: broker.published(SUBMITTED) == 4)

        database.execute("ALTER TABLE away RENAME TO outbox_archive")

        await soon(lambda: nothing_waits(database))
    assert set(applications) < set(await keys(broker, SUBMITTED, 4))


def test_row_the_application_wrote_is_what_is_published(database: Database, system: System) -> None:
    import httpx

    from harness.applications import an_application

    system.start("api", "publisher")

    response = httpx.post(f"{system.api.url}/applications", json=an_application(), trust_env=False)

    eventually(lambda: nothing_waits(database))
    archived = database.row("SELECT * FROM outbox_archive")
    assert json.loads(archived["payload"])["application_id"] == response.json()["application_id"]


def test_without_partitions_for_today_nothing_is_archived_and_nothing_lost(database: Database) -> None:
    unpublished(database)
    partitions = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'outbox_archive'::regclass"
    for row in database.rows(partitions):
        database.execute(f"DROP TABLE {row['name']}")

    with pytest.raises(psycopg.errors.CheckViolation):
        database.execute(
            "WITH published AS (DELETE FROM outbox_events RETURNING *) "
            "INSERT INTO outbox_archive (id, topic, event_id, event_type, application_id, payload) "
            "SELECT id, topic, event_id, event_type, application_id, payload FROM published"
        )

    assert database.count("outbox_events") == 1
