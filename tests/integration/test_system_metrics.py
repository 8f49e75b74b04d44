"""The metrics of the whole system that the publisher shows are what the database and the broker say."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from harness.broker import REPORTED_DLQ, SUBMITTED, SUBMITTED_DLQ, Broker, RawMessage
from harness.database import Database
from harness.ports import free_port
from harness.system import System
from harness.waiting import eventually, soon
from prequal.core.settings import PublisherSettings, load
from prequal.messaging import outbox
from prequal.postgres import connections
from prequal.publisher import system_metrics
from prequal.publisher.system_metrics import SystemMetrics
from prequal.telemetry import metrics
from prequal.telemetry.collected_gauge import CollectedGauge
from prequal.telemetry.metrics import COLLECTED
from tests.support.reviews import SMALL, reported
from tests.support.submissions import stored

DECIDED = (
    "UPDATE applications SET status = 'REJECTED', cibil_score = 600, decision_rule = 'SCORE_BELOW_MINIMUM',"
    " decision_measures = '{}', policy_version = 'v1', version = 2 WHERE id = %s"
)
WAITING = (
    "INSERT INTO outbox_events (topic, event_id, event_type, application_id, payload, created_at)"
    " VALUES (%s, gen_random_uuid(), 'ApplicationSubmitted', gen_random_uuid(), '{}', now() - interval '1 minute')"
)
OF_CREDIT = 'kafka_consumer_lag{group="credit-service-group"'


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    for fact in COLLECTED:  # a publisher of another test's may have known
        fact.clear()
    yield
    for fact in COLLECTED:
        fact.clear()


def value(fact: CollectedGauge, *labels: str) -> float | None:
    return fact._values.get(labels)


async def looked(settings: PublisherSettings, known: CollectedGauge, *hidden: CollectedGauge) -> None:
    """SystemMetrics until a fact is known, and others are hidden."""
    await looked_until(settings, lambda: bool(known._values) and not any(fact._values for fact in hidden))


async def looked_until(settings: PublisherSettings, truth: Callable[[], bool]) -> None:
    """SystemMetrics until something is so."""
    stop = asyncio.Event()
    surveying = asyncio.create_task(SystemMetrics(settings).run(stop))
    try:
        await soon(truth, within=60)
    finally:
        stop.set()
        await surveying


def settings(database_url: str, bootstrap_servers: str, **changes: object) -> PublisherSettings:
    return load(PublisherSettings, database_url=database_url, kafka_bootstrap_servers=bootstrap_servers, **changes)


async def test_what_waits_is_counted_in_the_database(database: Database, broker: Broker) -> None:
    decided, overdue, *_ = stored(database, 4)
    database.execute(DECIDED, decided.id)
    database.execute(
        "UPDATE applications SET created_at = created_at - interval '10 seconds' WHERE id = %s", overdue.id
    )
    database.execute(WAITING, SUBMITTED)

    await looked(settings(database.url, broker.bootstrap_servers), metrics.DB_TRANSACTIONS)

    assert (value(metrics.UNDECIDED), value(metrics.OVERDUE)) == (3, 1)
    assert 10 <= (value(metrics.OLDEST_UNDECIDED_SECONDS) or 0) < 60
    assert value(metrics.OUTBOX_DEPTH, SUBMITTED) == 1
    assert 60 <= (value(metrics.OUTBOX_OLDEST_SECONDS, SUBMITTED) or 0) < 120
    assert value(metrics.OUTBOX_PARKED, SUBMITTED) == 0
    assert value(metrics.ARCHIVE_DAYS_AHEAD) == 7


async def test_cases_in_review_are_counted_with_the_hours_of_the_oldest(database: Database) -> None:
    connection = await connections.connect(database.url, "test")
    none = await system_metrics.in_review(connection)
    overdue, _, decided = stored_cases = stored(database, 3, **SMALL)
    await reported(database, stored_cases)
    database.execute(
        "UPDATE review_cases SET target_at = now() - interval '90 minutes' WHERE application_id = %s", overdue.id
    )
    database.execute(
        "UPDATE review_cases SET state = 'DECIDED', outcome = 'REJECTED', reason = 'INCOME_NOT_ENOUGH',"
        " decided_at = now(), target_at = now() - interval '1 day' WHERE application_id = %s",
        decided.id,
    )

    found = await system_metrics.in_review(connection)

    await connection.close()
    assert none == {metrics.REVIEW_OPEN: 0, metrics.REVIEW_OVERDUE: 0, metrics.REVIEW_HOURS_TO_TARGET: {}}
    assert (found[metrics.REVIEW_OPEN], found[metrics.REVIEW_OVERDUE]) == (2, 1)
    assert found[metrics.REVIEW_HOURS_TO_TARGET] == pytest.approx(-1.5, abs=0.1)


async def test_the_server_is_asked_about_itself(database: Database, broker: Broker) -> None:
    holder = database.connect()
    holder.execute("SELECT 1")

    await looked(settings(database.url, broker.bootstrap_servers), metrics.DB_TRANSACTIONS)

    holder.close()
    assert 2 <= (value(metrics.DB_SERVER_CONNECTIONS) or 0) <= (value(metrics.DB_SERVER_CONNECTIONS_LIMIT) or 0)
    assert (value(metrics.DB_OLDEST_TRANSACTION_SECONDS) or 0) > 0
    assert (value(metrics.DB_SIZE_BYTES) or 0) > 1_000_000
    assert (value(metrics.DB_TRANSACTIONS, "committed") or 0) > 0
    assert value(metrics.DB_DEADLOCKS) == 0


async def test_disk_is_shown_of_the_folder_that_is_watched_and_of_no_other(
    database: Database, broker: Broker, tmp_path: object
) -> None:
    await looked(settings(database.url, broker.bootstrap_servers), metrics.DB_TRANSACTIONS)
    unwatched = value(metrics.DISK_SIZE_BYTES)
    await looked(settings(database.url, broker.bootstrap_servers, watched_folder=tmp_path), metrics.DISK_SIZE_BYTES)

    assert unwatched is None
    assert 0 < (value(metrics.DISK_FREE_BYTES) or 0) < (value(metrics.DISK_SIZE_BYTES) or 0)


async def test_a_database_that_is_away_hides_its_facts_and_not_those_of_the_broker(broker: Broker) -> None:
    metrics.OUTBOX_DEPTH.set({(SUBMITTED,): 5})
    away = f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/nowhere"

    await looked(settings(away, broker.bootstrap_servers), metrics.DEAD_LETTERS_STORED, metrics.OUTBOX_DEPTH)

    assert value(metrics.OUTBOX_DEPTH, SUBMITTED) is None
    assert value(metrics.DEAD_LETTERS_STORED, SUBMITTED_DLQ) == 0


async def test_a_broker_that_is_away_hides_its_facts_and_not_those_of_the_database(database: Database) -> None:
    metrics.CONSUMER_LAG.set({("credit-service-group", SUBMITTED, "0"): 5})

    await looked(settings(database.url, f"127.0.0.1:{free_port()}"), metrics.DB_TRANSACTIONS, metrics.CONSUMER_LAG)

    assert metrics.CONSUMER_LAG._values == {}


def test_lag_is_seen_by_every_publisher_though_no_consumer_lives(
    system: System, database: Database, broker: Broker
) -> None:
    broker.publish(SUBMITTED, [submission.submitted() for submission in stored(database, 5)])
    other = system.further("publisher", "other")
    system.start("publisher")
    other.start()

    eventually(lambda: [each.metric(OF_CREDIT) for each in (system.publisher, other)] == [5, 5])
    system.start("credit")

    eventually(lambda: [each.metric(OF_CREDIT) for each in (system.publisher, other)] == [0, 0])


async def test_dead_letters_are_counted_where_they_lie(database: Database, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", b"1"), RawMessage(b"{", b"2")])

    await looked_until(
        settings(database.url, broker.bootstrap_servers),
        lambda: value(metrics.DEAD_LETTERS_STORED, SUBMITTED_DLQ) == 2,
    )

    assert value(metrics.DEAD_LETTERS_STORED, REPORTED_DLQ) == 0


@pytest.mark.parametrize(
    ("counting", "arguments", "walks"),
    [
        (
            system_metrics.in_decision,
            "2, 100000",
            {
                "undecided_below_mark_pkey on undecided_below_mark": 1,
                "applications_pkey on applications": 2,
                "Index Cond: (id = undecided_below_mark.application_id)": 1,
                "Index Cond: (id >= (InitPlan": 1,
            },
        ),
        (system_metrics.in_review, "100000", {"using review_cases_": 3}),
        (
            partial(outbox.waiting, counted_max=100_000),
            "'{a,b}', 100000",
            {"using outbox_events_pkey": 2, "using outbox_parked_due": 1},
        ),
    ],
)
async def test_counting_what_waits_does_not_read_the_rest(
    database: Database, counting: Callable[..., Awaitable[object]], arguments: str, walks: dict[str, int]
) -> None:
    """As many as there are, and a plan made while there are none."""
    recorded: list[str] = []

    class Recorder:
        async def fetchrow(self, statement: str, *_: object) -> tuple[int, int, None]:
            recorded.append(statement)
            return 0, 0, None

        async def fetch(self, statement: str, *_: object) -> list[object]:
            recorded.append(statement)
            return []

    await counting(Recorder())
    connection = await connections.connect(database.url, "plan")
    await connection.execute(f"PREPARE counting AS {recorded[0]}")

    rows = await connection.fetch(f"EXPLAIN EXECUTE counting({arguments})")

    await connection.close()
    plan = "\n".join(row[0] for row in rows)
    assert {walk: plan.count(walk) for walk in walks} == walks, plan
    assert "Seq Scan" not in plan
