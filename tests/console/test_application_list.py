"""What is rare is found at once by a list beside the applications, whatever happened to them and to who fills it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from harness.database import Database, url_of_service
from harness.waiting import soon
from prequal.console import listing
from prequal.console.queries import application_list, applications
from prequal.console.queries.application_list import NO_BAND
from prequal.console.queries.applications import Wanted
from prequal.domain.application import LAST_ID, Status
from prequal.postgres import connections, undecided
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, ActorKind
from prequal.review import cases
from tests.support.reviews import SMALL, in_review, reported
from tests.support.submissions import stored

ASHA = Actor(ActorKind.PERSON, "asha")
STATUSES = ("", *Status)
BEGIN_AT = "UPDATE application_list_range SET lowest = %s, below = %s"
BANDS = (None, NO_BAND, 550, 700)


@pytest.fixture
async def console(database: Database) -> AsyncIterator[Connection]:
    """A connection of the console's login."""
    connection = await connections.connect(url_of_service(database.url, "console"), "test console")
    yield connection
    await connection.close()


@pytest.fixture
async def publisher(database: Database) -> AsyncIterator[Connection]:
    """A connection of the publisher's, which moves the mark of the undecided."""
    connection = await connections.connect(url_of_service(database.url, "publisher"), "test publisher")
    yield connection
    await connection.close()


def kept(database: Database, wanted: Wanted) -> list[UUID]:
    """What fits by the applications' own table, the newest first."""
    bands = {None: "true", NO_BAND: "cibil_score IS NULL AND status <> 'PENDING'"}
    bands |= {550: "cibil_score BETWEEN 550 AND 599", 700: "cibil_score BETWEEN 700 AND 749"}
    rows = database.rows(
        f"SELECT id FROM applications WHERE %s::text IN ('', status) AND %s::text IN ('', client) "
        f"AND pan_number_masked LIKE %s AND {bands[wanted.band]} ORDER BY id DESC",
        wanted.status,
        wanted.client,
        f"XXXXX%{wanted.tail}",
    )
    return [row["id"] for row in rows]


async def found(connection: Connection, wanted: Wanted) -> list[UUID]:
    """What the search finds, page by page to the end."""
    ids: list[UUID] = []
    older: UUID | None = LAST_ID
    while older is not None:
        page = await applications.search(connection, older, wanted)
        ids += [each.id for each in page.applications]
        older = page.older
    return ids


async def finds_everything(database: Database, connection: Connection, tail: str) -> None:
    for status, client, band, end in itertools.product(STATUSES, ("", "local", "nobody00"), BANDS, ("", tail)):
        wanted = Wanted(status, client, end, band)
        assert await found(connection, wanted) == kept(database, wanted), wanted


async def fill(connection: Connection) -> None:
    while not await listing.fill(connection):
        pass


def listed(database: Database) -> dict[UUID, str]:
    return {row["id"]: row["status"] for row in database.rows("SELECT id, status FROM application_list")}


def decided(database: Database) -> dict[UUID, str]:
    rows = database.rows("SELECT id, status FROM applications WHERE status <> 'PENDING'")
    return {row["id"]: row["status"] for row in rows}


@pytest.mark.parametrize("page", [2, 50], ids=["pages of two", "whole pages"])
async def test_search_finds_what_the_table_holds_in_each_state_of_the_list(
    database: Database, console: Connection, publisher: Connection, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(applications, "SHOWN_MAX", page)
    if page == 2:
        monkeypatch.setattr(applications, "NEWER_MAX", 3)
        monkeypatch.setattr(applications, "OLDER_MAX", 3)
        monkeypatch.setattr(application_list, "BATCH", 2)
    submissions = stored(database, 7)
    database.execute(BEGIN_AT, *[submissions[3].id] * 2)
    tail = submissions[2].pan[5:]
    await reported(database, submissions[:2], 560)
    await reported(database, submissions[4:5], None)
    await finds_everything(database, console, tail)

    await undecided.move_mark(publisher, uuid7())
    await fill(console)
    newer = stored(database, 4)
    await finds_everything(database, console, tail)

    await reported(database, [submissions[2], submissions[5], *newer[:3]], 720)
    await finds_everything(database, console, tail)

    await undecided.forget_decided(publisher)
    assert database.count("application_list_changes") == 2
    await finds_everything(database, console, tail)

    await undecided.move_mark(publisher, uuid7())
    await fill(console)
    assert database.count("application_list_changes") == 0
    assert listed(database) == decided(database)
    await finds_everything(database, console, tail)


async def test_decision_of_people_and_a_deletion_come_into_the_list(
    database: Database, console: Connection, publisher: Connection
) -> None:
    application = await in_review(database)
    other = await in_review(database)
    await undecided.move_mark(publisher, uuid7())
    await fill(console)

    await cases.claim(console, ASHA, application)
    await cases.decide(console, ASHA, application, Status.PRE_APPROVED, "INCOME_CONFIRMED")
    before = await found(console, Wanted("PRE_APPROVED")), await found(console, Wanted("MANUAL_REVIEW"))
    await fill(console)
    after = await found(console, Wanted("PRE_APPROVED")), await found(console, Wanted("MANUAL_REVIEW"))
    database.execute("DELETE FROM review_cases WHERE application_id = %s", other)
    database.execute("DELETE FROM applications WHERE id = %s", other)
    await fill(console)

    assert before == after == ([application], [other])
    assert listed(database) == {application: "PRE_APPROVED"}


@pytest.mark.parametrize("step", listing.STEPS, ids=lambda step: step.__name__)
async def test_batch_that_a_crash_takes_back_is_listed_again_and_nothing_twice(
    database: Database, console: Connection, publisher: Connection, step: listing.Step
) -> None:
    old, late, new = stored(database, 3, **SMALL)
    database.execute(BEGIN_AT, *[late.id] * 2)
    await reported(database, [old])
    await undecided.move_mark(publisher, uuid7())
    await reported(database, [late, new])
    await undecided.forget_decided(publisher)
    transaction = console.transaction()
    await transaction.start()

    await step(console)
    await transaction.rollback()
    taken_back = listed(database)
    await step(console)
    await fill(console)

    assert taken_back == {}
    assert listed(database) == decided(database)
    assert database.row("SELECT lowest, below >= %s AS is_up FROM application_list_range", new.id) == {
        "lowest": UUID(int=0),
        "is_up": True,
    }


async def test_while_one_fills_another_leaves_it_alone(
    database: Database, console: Connection, publisher: Connection
) -> None:
    await reported(database, stored(database, 1))
    await undecided.move_mark(publisher, uuid7())
    other = await connections.connect(url_of_service(database.url, "console"), "other console")

    async with other.transaction():
        held = await application_list.lock(other)
        is_whole = await listing.fill(console)
        during = listed(database)

    await other.close()
    assert (held, is_whole, during) == (True, True, {})


async def test_console_fills_while_it_runs_and_goes_on_after_its_connection_was_ended(
    database: Database, publisher: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "EVERY_SECONDS", 0.05)
    stop = asyncio.Event()
    running = asyncio.create_task(listing.follow(url_of_service(database.url, "console"), stop))

    for _ in range(2):
        await reported(database, stored(database, 1))
        await undecided.move_mark(publisher, uuid7())
        await soon(lambda: listed(database) == decided(database))
        database.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'listing %'")

    stop.set()
    await running
