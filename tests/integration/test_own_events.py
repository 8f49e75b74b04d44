"""Writers that publish their own events, beside the publisher that publishes what they leave."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest

from harness.applications import an_application
from harness.broker import REPORTED, SUBMITTED, Broker, headers_of
from harness.database import Database
from harness.ports import free_port
from harness.system import ANYBODY, KEYS, System
from harness.tcp_proxy import a_proxy, port_of
from harness.waiting import PATIENCE_SECONDS, eventually, soon
from prequal.api import service as api_service
from prequal.core.circuit_breaker import Breaker
from prequal.core.errors import Transient
from prequal.core.settings import ApiSettings, CreditSettings, load
from prequal.core.topology import Service
from prequal.credit import service as credit_service
from prequal.messaging import outbox_producer, own_event_publisher
from prequal.messaging.consumer import BatchConsumer
from prequal.messaging.delivery import DeliveryReport, DeliveryReports
from prequal.messaging.outbox import ROW, OutboxRow
from prequal.messaging.outbox_producer import OutboxProducer, ProducerDied
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.postgres.connections import Connection, connect
from prequal.publisher import queries
from prequal.service import process
from tests.support.api import api_within, ready
from tests.support.publishing import publishing, unpublished


@asynccontextmanager
async def own_events(database: Database, broker: Broker) -> AsyncIterator[OwnEventPublisher]:
    """The API's own events, for as long as the block lasts."""
    keys = {name.lower(): value for name, value in KEYS.items()}
    url, address = database.url, broker.bootstrap_servers
    settings = load(ApiSettings, _env_file=None, database_url=url, kafka_bootstrap_servers=address, **keys)
    events, stop = OwnEventPublisher(settings, Service.API, SUBMITTED), asyncio.Event()
    running = asyncio.create_task(events.run(stop))
    await asyncio.sleep(0)
    try:
        yield events
    finally:
        stop.set()
        await running


def rows(database: Database, count: int = 5, **fields: str) -> list[OutboxRow]:
    """Rows that a transaction has just committed."""
    unpublished(database, count, **fields)
    return [OutboxRow(**row) for row in database.rows(f"SELECT {ROW} FROM outbox_events ORDER BY id")]


async def test_events_are_published_and_archived_unchanged_by_their_writer(database: Database, broker: Broker) -> None:
    columns = f"{ROW}, created_at"
    async with own_events(database, broker) as events:
        committed = rows(database)
        before = database.rows(f"SELECT {columns} FROM outbox_events ORDER BY id")

        events.publish(committed)

        await soon(lambda: database.unpublished() == 0)
    assert database.rows(f"SELECT {columns} FROM outbox_archive ORDER BY id") == before
    assert {row["by"] for row in database.rows("SELECT published_by AS by FROM outbox_archive")} == {"prequal-api"}
    messages = await broker.arrived(SUBMITTED, len(committed))
    assert {headers_of(message)["event_id"] for message in messages} == {str(row.event_id) for row in committed}
    assert broker.published(SUBMITTED) == len(committed)


async def test_what_is_on_its_way_when_the_writer_stops_is_archived(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_producer, "FLUSH_SECONDS", PATIENCE_SECONDS)
    async with own_events(database, broker) as events:
        events.publish(rows(database))

    assert (database.unpublished(), database.count("outbox_archive")) == (0, 5)


class DiesOnce:
    """An `OutboxProducer` that dies of its first row; of all others the test says when they are acknowledged."""

    def __init__(self, *_: object) -> None:
        self.breaker = Breaker("own_events")
        self.reports = {SUBMITTED: DeliveryReports()}
        self.generation = 0
        self.held: list[int] = []
        self.times_served = 0

    def publish(self, row: OutboxRow) -> None:
        if self.generation == 0:
            self.generation += 1
            raise ProducerDied
        self.held.append(row.id)

    def serve(self) -> None:
        self.times_served += 1

    def acknowledge(self) -> None:
        for row in self.held:
            self.reports[SUBMITTED].add(DeliveryReport(row, None))

    async def flush(self) -> None: ...

    def stop(self) -> None: ...


async def test_what_the_next_producer_is_given_at_once_is_archived_when_it_is_acknowledged(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = DiesOnce()
    monkeypatch.setattr(own_event_publisher, "OutboxProducer", lambda *_: producer)
    async with own_events(database, broker) as events:
        first, *others = rows(database, 3)
        events.publish([first])
        events.publish(others)
        await soon(lambda: producer.times_served == 1)

        producer.acknowledge()

        await soon(lambda: database.unpublished() == 1)
    assert [row["id"] for row in database.rows("SELECT id FROM outbox_events")] == [first.id]


async def a_lease(connection: Connection) -> queries.Lease:
    """The topic's, for a publisher beside which there is none."""
    lease = await queries.take_lease(connection, SUBMITTED, uuid4(), 60)
    assert lease is not None
    return lease


async def test_young_event_is_left_to_its_writer_and_an_older_one_is_the_publishers(database: Database) -> None:
    connection = await connect(database.url, "test")
    rows(database, 1)
    lease = await a_lease(connection)

    database.execute("UPDATE outbox_events SET created_at = now()")
    young = await queries.read_unpublished(connection, lease, [], 10)
    age = f"interval '{queries.UNPUBLISHED_SECONDS} seconds'"
    database.execute(f"UPDATE outbox_events SET created_at = now() - {age} - interval '1 millisecond'")
    older = await queries.read_unpublished(connection, lease, [], 10)

    await connection.close()
    assert (len(young), len(older)) == (0, 1)


async def test_event_whose_time_is_ahead_of_the_servers_clock_is_not_left_to_its_writer(database: Database) -> None:
    connection = await connect(database.url, "test")
    rows(database, 1)
    lease = await a_lease(connection)

    database.execute("UPDATE outbox_events SET created_at = now() + interval '1 hour'")
    found = await queries.read_unpublished(connection, lease, [], 10)

    await connection.close()
    assert len(found) == 1


async def test_where_writers_do_not_publish_the_publisher_leaves_them_nothing(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "UNPUBLISHED_SECONDS", 3600.0)
    rows(database)

    async with publishing(database, broker, publish_own_events=False):
        await soon(lambda: database.unpublished() == 0)

    assert broker.published(SUBMITTED) == 5


async def test_application_is_accepted_while_its_writer_reaches_no_broker_and_its_event_is_published(
    database: Database, broker: Broker
) -> None:
    with a_proxy(port_of(f"kafka://{broker.bootstrap_servers}")) as proxy:
        proxy.cut()
        async with (
            api_within(database.url, f"127.0.0.1:{proxy.port}", publish_own_events=True) as client,
            publishing(database, broker),
        ):
            await ready(client)

            answers = [await client.post("/applications", json=an_application()) for _ in range(5)]

            await soon(lambda: database.unpublished() == 0)
    assert [answer.status_code for answer in answers] == [202] * 5
    assert broker.published(SUBMITTED) == database.count("outbox_archive") == 5


@pytest.mark.parametrize(
    ("writer", "kind", "topic"),
    [(api_service, ApiSettings, SUBMITTED), (credit_service, CreditSettings, REPORTED)],
    ids=["api", "credit"],
)
async def test_writer_connects_its_producer_before_it_is_ready(
    database: Database,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    writer: ModuleType,
    kind: type[ApiSettings] | type[CreditSettings],
    topic: str,
) -> None:
    connected: list[list[str]] = []
    connect_to = OutboxProducer.connect

    async def connect(self: OutboxProducer, seconds: float) -> None:
        await connect_to(self, seconds)
        connected.append(list(self.reports))

    async def consume_nothing(self: BatchConsumer[Any], stop: asyncio.Event) -> None:
        await stop.wait()
        await self._handler.close()

    monkeypatch.setattr(OutboxProducer, "connect", connect)
    monkeypatch.setattr(BatchConsumer, "run", consume_nothing)
    monkeypatch.setattr(process, "freeze_memory", lambda: None)
    given = {name.lower(): value for name, value in (KEYS | ANYBODY).items()}
    ports = {"http_port": free_port(), "admin_port": free_port()}
    url, address = database.url, broker.bootstrap_servers
    settings = load(kind, _env_file=None, database_url=url, kafka_bootstrap_servers=address, **given, **ports)
    stop = asyncio.Event()

    running = asyncio.create_task(writer._main(settings, stop))
    await soon(lambda: connected)

    stop.set()
    await running
    assert connected == [[topic]]


async def test_acknowledged_event_that_was_not_archived_is_published_again_and_archived_once(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_: OwnEventPublisher) -> None:
        raise Transient("the database is away")

    monkeypatch.setattr(OwnEventPublisher, "_archive", lost)
    async with own_events(database, broker) as events:
        events.publish(rows(database))
        await soon(lambda: broker.published(SUBMITTED) == 5)
    assert database.unpublished() == 5

    async with publishing(database, broker):
        await soon(lambda: database.unpublished() == 0)

    published = Counter(headers_of(message)["event_id"] for message in await broker.arrived(SUBMITTED, 10))
    assert set(published.values()) == {2}
    assert database.count("outbox_archive") == 5


async def test_writer_and_publisher_that_publish_the_same_events_archive_each_once(
    database: Database, broker: Broker
) -> None:
    prompt = {"publish_own_events": False, "publish_poll_seconds": 0.01}
    async with publishing(database, broker, **prompt), own_events(database, broker) as events:
        for _ in range(20):
            events.publish(rows(database, 20))
            await asyncio.sleep(0.01)
        await soon(lambda: database.unpublished() == 0)

    assert database.count("outbox_archive") == 400
    assert len({message.key() for message in await broker.arrived(SUBMITTED, broker.published(SUBMITTED))}) == 400


async def test_event_that_the_broker_refuses_is_parked_by_the_publisher_alone(
    database: Database, broker: Broker
) -> None:
    broker.configure(SUBMITTED, max_message_bytes="20000")
    async with own_events(database, broker) as events:
        events.publish(rows(database, 1, payload="x" * 50_000))
        await soon(lambda: not events._in_flight)
    assert (database.count("outbox_events"), database.count("outbox_parked")) == (1, 0)

    async with publishing(database, broker):
        await soon(lambda: database.count("outbox_parked") == 1)
    broker.configure(SUBMITTED, max_message_bytes="1048588")


def test_writers_that_publish_their_events_need_no_publisher(database: Database, system: System) -> None:
    system.start("api", "credit", "decision")

    response = httpx.post(f"{system.api.url}/applications", json=an_application(), trust_env=False)

    application_id = response.json()["application_id"]
    eventually(lambda: system.api.get(f"/applications/{application_id}/status").json()["status"] != "PENDING")
    eventually(lambda: database.count("outbox_archive") == 2)
    assert database.unpublished() == 0
    assert system.api.metric("kafka_messages_published_total", f'topic="{SUBMITTED}"') == 1
