"""The republisher: an application whose events were lost after they were published is decided all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest

from harness.applications import an_application
from harness.broker import REPORTED, SUBMITTED, Broker, RawMessage
from harness.database import Database
from harness.ports import free_port
from harness.system import System
from harness.waiting import eventually, soon
from prequal.core.settings import PublisherSettings, load
from prequal.messaging import consumer_lag
from prequal.postgres import connections
from prequal.publisher import queries, republisher
from prequal.telemetry import metrics
from tests.support.publishing import unpublished
from tests.support.submissions import stored

ANCIENT = "UPDATE applications SET created_at = created_at - interval '1 minute'"


def test_application_whose_events_were_lost_with_the_broker_is_decided(
    system: System, broker: Broker, database: Database
) -> None:
    system.start("api", "publisher")
    httpx.post(f"{system.api.url}/applications", json=an_application(), trust_env=False).raise_for_status()
    eventually(lambda: database.count("outbox_archive") == 1)
    broker.renew()
    database.execute(ANCIENT)
    let_the_mark_pass(database)

    system.start("credit", "decision")

    eventually(lambda: database.value("SELECT status <> 'PENDING' FROM applications"), within=30)
    assert database.row("SELECT times FROM republications") == {"times": 1}
    eventually(lambda: database.count("outbox_archive") == 2)


async def test_only_old_undecided_applications_are_due_and_not_at_once_again(database: Database) -> None:
    old, young, decided = stored(database, 3)
    database.execute(f"{ANCIENT} WHERE id <> %s", young.id)
    let_the_mark_pass(database)
    database.execute(
        "UPDATE applications SET status = 'REJECTED', cibil_score = 600, decision_rule = 'SCORE_BELOW_MINIMUM',"
        " decision_measures = '{}', policy_version = 'v1', version = 2 WHERE id = %s",
        decided.id,
    )
    connection = await connections.connect(database.url, "test")

    first = await queries.due_for_republishing(connection, 30, 10)
    await queries.record_republication(connection, first)
    again = await queries.due_for_republishing(connection, 30, 10)

    await connection.close()
    assert (first, again) == ([old.id], [])


async def test_pause_before_the_next_republication_doubles(database: Database) -> None:
    (old,) = stored(database, 1)
    connection = await connections.connect(database.url, "test")
    pauses = []

    for _ in range(9):
        await queries.record_republication(connection, [old.id])
        seconds = "SELECT extract(epoch FROM next_at - last_at)::integer AS pause FROM republications"
        pauses.append(database.value(seconds))

    await connection.close()
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


async def test_application_last_republished_at_a_time_to_come_is_due(database: Database) -> None:
    (old,) = stored(database, 1)
    database.execute(ANCIENT)
    let_the_mark_pass(database)
    connection = await connections.connect(database.url, "test")
    await queries.record_republication(connection, [old.id])
    before = await queries.due_for_republishing(connection, 30, 10)

    database.execute(
        "UPDATE republications SET last_at = last_at + interval '5 minutes', next_at = next_at + interval '5 minutes'"
    )
    found = await queries.due_for_republishing(connection, 30, 10)

    await connection.close()
    assert (before, found) == ([], [old.id])


# ── its bounds ──────────────────────────────────────────────────────────────────────────────────────────────────

Look = Callable[[], Awaitable[None]]
LookMaker = Callable[..., Look]


def a_republisher(database: Database, bootstrap_servers: str, **changes: Any) -> republisher.Republisher:
    settings = load(
        PublisherSettings,
        _env_file=None,
        database_url=database.url,
        kafka_bootstrap_servers=bootstrap_servers,
        http_port=free_port(),
        **changes,
    )
    return republisher.Republisher(settings)


@pytest.fixture
async def looks(database: Database, broker: Broker, offsets_are_waited_for: None) -> AsyncIterator[LookMaker]:
    """Makes republishers that look when a test asks them to."""
    async with AsyncExitStack() as links:

        def make(bootstrap_servers: str = broker.bootstrap_servers, **changes: Any) -> Look:
            made = a_republisher(database, bootstrap_servers, **changes)
            links.push_async_callback(made._connection.close)
            return made._round

        yield make


def published_long_ago(database: Database, count: int) -> list[UUID]:
    """Undecided applications, the oldest first, whose events were published and lost."""
    applications = [submission.id for submission in stored(database, count)]
    for minutes, application in zip(range(count, 0, -1), applications, strict=True):
        database.execute(
            "UPDATE applications SET created_at = now() - make_interval(mins => %s) WHERE id = %s", minutes, application
        )
        unpublished(database, application_id=application)
    publish_all(database)
    let_the_mark_pass(database)
    return applications


def let_the_mark_pass(database: Database) -> None:
    """Have what is there listed, as if its ids were as old as it is."""
    database.execute("INSERT INTO undecided_below_mark SELECT id FROM applications ON CONFLICT DO NOTHING")
    database.execute("UPDATE undecided_mark SET passed = %s", UUID(int=(1 << 128) - 1))


def publish_all(database: Database) -> None:
    """Let what waits have been published; an event that was published before is in the archive already."""
    columns = "id, topic, event_id, event_type, application_id, payload, correlation_id, traceparent, created_at"
    database.execute(
        f"""
        WITH published AS (DELETE FROM outbox_events RETURNING {columns}, republished)
        INSERT INTO outbox_archive ({columns}) SELECT {columns} FROM published WHERE NOT republished
        """
    )


def republished(database: Database) -> list[UUID]:
    """Whose events were put back, in the order of the outbox."""
    rows = database.rows("SELECT application_id FROM outbox_events WHERE republished ORDER BY id")
    return [row["application_id"] for row in rows]


def let_an_hour_pass(database: Database) -> None:
    database.execute(
        "UPDATE republications SET last_at = last_at - interval '1 hour', next_at = next_at - interval '1 hour'"
    )


async def test_no_more_than_so_many_are_republished_at_once_the_oldest_first(
    database: Database, looks: LookMaker
) -> None:
    first, second, third, fourth, fifth = published_long_ago(database, 5)
    look = looks(republish_max=2)
    each_time = []

    for _ in range(4):
        await look()
        each_time.append(set(republished(database)))
        publish_all(database)

    assert each_time == [{first, second}, {third, fourth}, {fifth}, set()]


async def test_undecided_application_is_republished_after_doubling_pauses(database: Database, looks: LookMaker) -> None:
    (application,) = published_long_ago(database, 1)
    look = looks()
    seen = []

    for _ in range(3):
        await look()
        publish_all(database)
        await look()  # too early: nothing is published
        assert republished(database) == []
        pause = "SELECT times, extract(epoch FROM next_at - last_at)::integer AS pause FROM republications"
        seen.append(tuple(database.row(pause).values()))
        let_an_hour_pass(database)

    assert seen == [(1, 30), (2, 60), (3, 120)]
    assert database.value("SELECT application_id FROM republications") == application


async def test_nothing_is_republished_while_the_outbox_is_old(database: Database, looks: LookMaker) -> None:
    published_long_ago(database, 1)
    unpublished(database, topic=REPORTED)
    database.execute("UPDATE outbox_events SET created_at = now() - interval '6 seconds'")
    look = looks()

    await look()
    while_it_is_old = republished(database)
    database.execute("UPDATE outbox_events SET created_at = now() - interval '1 second'")
    await look()

    assert (len(while_it_is_old), len(republished(database))) == (0, 1)


async def test_nothing_is_republished_while_the_consumers_are_behind(
    database: Database, broker: Broker, looks: LookMaker
) -> None:
    first, _ = published_long_ago(database, 2)
    look = looks(republish_max=1)
    broker.publish(SUBMITTED, [RawMessage(b"x")] * 900)
    broker.publish(REPORTED, [RawMessage(b"x")] * 100)

    await look()
    as_far_as_may_be = republished(database)
    publish_all(database)
    broker.publish(REPORTED, [RawMessage(b"x")])
    await look()

    assert (as_far_as_may_be, republished(database)) == ([first], [])


async def test_nothing_is_republished_while_the_lag_is_unknown(
    database: Database, looks: LookMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_lag, "ASK_SECONDS", 0.5)
    published_long_ago(database, 1)

    await looks(f"127.0.0.1:{free_port()}")()

    assert republished(database) == []
    assert database.count("republications") == 0


async def test_what_is_republished_is_counted_by_events(database: Database, looks: LookMaker) -> None:
    _, scored = published_long_ago(database, 2)
    unpublished(database, topic=REPORTED, application_id=scored)
    publish_all(database)
    before = metrics.REPUBLISHED._value.get()

    await looks()()

    assert metrics.REPUBLISHED._value.get() - before == len(republished(database)) == 3


async def test_of_two_republishers_one_stands_by(database: Database, looks: LookMaker) -> None:
    first, second = published_long_ago(database, 2)
    one, other = looks(republish_max=1), looks(republish_max=1)

    await one()
    await other()

    assert republished(database) == [first]
    await one()
    assert republished(database) == [first, second]


async def test_lease_of_a_republisher_that_stops_is_free_at_once(
    database: Database, broker: Broker, looks: LookMaker
) -> None:
    (application,) = published_long_ago(database, 1)
    one, other, stop = a_republisher(database, broker.bootstrap_servers), looks(), asyncio.Event()
    running = asyncio.ensure_future(one.run(stop))
    await soon(lambda: republished(database) == [application])
    publish_all(database)
    let_an_hour_pass(database)

    stop.set()
    await running
    await other()

    assert republished(database) == [application]
