"""Decisions are heap-only updates, and what is undecided is found without an index that names the status."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from harness.applications import an_application
from harness.broker import Broker
from harness.database import PASSWORD, Database
from harness.ports import free_port
from harness.waiting import eventually, soon
from prequal.api import posts
from prequal.core.settings import PublisherSettings, load
from prequal.decision import undecided_mark
from prequal.local.logins import as_login
from prequal.postgres import connections, undecided
from prequal.postgres.connections import Connection
from prequal.postgres.shared_connection import SharedConnection
from prequal.publisher.queries import due_for_republishing
from prequal.publisher.republisher import Republisher
from prequal.schema.grants import Role
from tests.support.api import api_within, ready
from tests.support.reviews import SMALL, reported
from tests.support.submissions import a_submission, store, stored

LATER = UUID(int=(1 << 128) - 1)
BATCH = 32
UPDATES = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'applications'"
MARK = "SELECT passed FROM undecided_mark"


def found(database: Database) -> set[UUID]:
    return {row["id"] for row in database.rows(f"SELECT id FROM {undecided.UNDECIDED} AS undecided")}


@pytest.mark.parametrize("changes", [{}, SMALL], ids=["PRE_APPROVED", "MANUAL_REVIEW"])
async def test_nine_of_ten_decisions_are_heap_only_updates(database: Database, changes: dict[str, str]) -> None:
    submissions = stored(database, 20 * BATCH, **changes)

    for first in range(0, len(submissions), BATCH):
        await reported(database, submissions[first : first + BATCH])

    eventually(lambda: database.row(UPDATES)["n_tup_upd"] == len(submissions))
    assert database.row(UPDATES)["n_tup_hot_upd"] >= 0.9 * len(submissions)


async def test_undecided_are_found_on_either_side_of_the_mark_and_the_decided_on_neither(database: Database) -> None:
    decided_before, decided_after, waiting = below = stored(database, 3)
    await reported(database, [decided_before])
    connection = await connections.connect(database.url, "test")

    all_passed = await undecided.move_mark(connection, uuid7())
    beyond = stored(database, 2)
    await reported(database, [decided_after, beyond[0]])

    assert all_passed
    assert database.value(MARK) > below[-1].id
    assert found(database) == {waiting.id, beyond[1].id}
    await undecided.forget_decided(connection)
    assert database.rows("SELECT application_id FROM undecided_below_mark") == [{"application_id": waiting.id}]
    await connection.close()


async def test_mark_never_moves_back_and_passes_so_many_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undecided, "PASSED_MAX", 3)
    submissions = stored(database, 5)
    connection = await connections.connect(database.url, "test")

    steps = []
    for to in (LATER, LATER, submissions[0].id):
        came_there = await undecided.move_mark(connection, to)
        steps.append((came_there, database.value(MARK), found(database) == {each.id for each in submissions}))

    await connection.close()
    assert steps == [
        (False, submissions[2].id, True),
        (False, submissions[4].id, True),
        (True, submissions[4].id, True),
    ]


async def test_mark_waits_for_every_transaction_that_still_writes(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undecided, "BEHIND_SECONDS", -60)
    settings = load(
        PublisherSettings,
        _env_file=None,
        database_url=database.url,
        kafka_bootstrap_servers=broker.bootstrap_servers,
        http_port=free_port(),
    )
    republisher = Republisher(settings)
    begun = database.value(MARK)
    writer = database.connect()
    writer.execute("SELECT pg_current_xact_id()")

    for _ in range(2):
        await republisher._round()
    waited = database.value(MARK)
    writer.commit()
    for _ in range(2):
        await republisher._round()

    writer.close()
    await republisher._connection.close()
    assert waited == begun
    assert database.value(MARK) > begun


async def test_mark_is_moved_by_decision_service_while_no_publisher_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undecided_mark, "LOOK_EVERY_SECONDS", 0.05)
    now = database.value("SELECT extract(epoch FROM now())::bigint")
    decided, waiting, young = (a_submission().but(id=uuid7(nanoseconds=(now - ago) * 10**9)) for ago in (90, 80, 0))
    store(database, [decided, waiting, young])
    await reported(database, [decided])
    old, fresh = (uuid7(nanoseconds=(now - ago) * 10**9) for ago in (100, undecided.STANDS_AFTER_SECONDS // 2))
    database.execute("UPDATE undecided_mark SET passed = %s", old)

    async with moving(as_login(database.url, Role.DECISION, PASSWORD)):
        await soon(lambda: database.value(MARK) > waiting.id)
        found_with_mark_moved = found(database)
        database.execute("UPDATE undecided_mark SET passed = %s", fresh)
        looked = undecided.stands_still
        looks: list[bool] = []

        async def counted(connection: Connection) -> bool:
            looks.append(await looked(connection))
            return looks[-1]

        monkeypatch.setattr(undecided_mark, "stands_still", counted)
        await soon(lambda: len(looks) > 2)

    assert found_with_mark_moved == {waiting.id, young.id}
    assert (looks[-1], database.value(MARK)) == (False, fresh)


@asynccontextmanager
async def moving(database_url: str) -> AsyncIterator[None]:
    stop, shared = asyncio.Event(), SharedConnection(database_url, "decision in a test")
    running = asyncio.create_task(undecided_mark.keep_moving(shared, database_url, "decision", stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await shared.close()


async def test_two_that_move_the_mark_at_once_pass_nothing_undecided_and_never_move_it_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions = stored(database, 5)
    first = await connections.connect(database.url, "test first")
    second = await connections.connect(database.url, "test second")
    async with first.transaction():
        await undecided.move_mark(first, submissions[4].id)
        monkeypatch.setattr(undecided, "PASSED_MAX", 2)
        moving_second = asyncio.create_task(undecided.move_mark(second, LATER))
        await soon(lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    came_there = await moving_second

    await first.close()
    await second.close()
    assert not came_there
    assert database.value(MARK) == submissions[4].id
    assert found(database) == {each.id for each in submissions}


@pytest.mark.parametrize("behind_seconds", [undecided.LISTED_AFTER_SECONDS + 1, 3600])
async def test_application_of_a_process_whose_clock_is_behind_is_found(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch, behind_seconds: int
) -> None:
    now = database.value("SELECT extract(epoch FROM now())::bigint")
    monkeypatch.setattr(posts, "new_id", lambda: uuid7(nanoseconds=(now - behind_seconds) * 10**9))
    database.execute(
        "UPDATE undecided_mark SET passed = %s", uuid7(nanoseconds=(now - undecided.BEHIND_SECONDS) * 10**9)
    )
    async with api_within(database.url, broker.bootstrap_servers) as client:
        await ready(client)
        answer = await client.post("/applications", json=an_application())
    connection = await connections.connect(database.url, "test")

    await undecided.move_mark(connection, uuid7())

    await connection.close()
    listed = database.rows("SELECT application_id FROM undecided_below_mark")
    application = UUID(answer.json()["application_id"])
    assert listed == [{"application_id": application}]
    assert found(database) == {application}


async def test_old_undecided_application_that_the_mark_has_not_passed_is_due(database: Database) -> None:
    now = database.value("SELECT extract(epoch FROM now())::bigint")
    old, young = (a_submission().but(id=uuid7(nanoseconds=(now - ago) * 10**9)) for ago in (60, 1))
    store(database, [old, young])
    database.execute("UPDATE undecided_mark SET passed = %s", UUID(int=0))
    connection = await connections.connect(database.url, "test")

    due = await due_for_republishing(connection, 30, 10)

    await connection.close()
    assert due == [old.id]


async def test_mark_is_ahead_of_a_clock_that_was_set_back_and_what_comes_is_found(
    database: Database, broker: Broker
) -> None:
    database.execute("UPDATE undecided_mark SET passed = %s", LATER)
    async with api_within(database.url, broker.bootstrap_servers) as client:
        await ready(client)
        answer = await client.post("/applications", json=an_application())

    assert found(database) == {UUID(answer.json()["application_id"])}
