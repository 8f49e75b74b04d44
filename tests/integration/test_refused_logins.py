"""A login that PostgreSQL refuses once a process has started: it is tried again, as a server that is away is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from harness.database import PASSWORD, Database
from harness.system import ENCRYPTION_KEY, REPORT_KEY
from harness.waiting import soon
from prequal.api import commit_in_doubt
from prequal.api.commit_in_doubt import Transaction
from prequal.console import listing
from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import CreditSettings, load
from prequal.decision import undecided_mark
from prequal.local.logins import as_login
from prequal.postgres.connections import Connection
from prequal.postgres.shared_connection import SharedConnection
from prequal.record import chain
from prequal.schema.grants import Role
from prequal.security import key_file
from prequal.security.key_file import RingKeys
from prequal.service import key_watch, known_keys
from prequal.service.key_watch import KeyWatch
from tests.builders import a_key

Task = Callable[[Database, asyncio.Event], Awaitable[None]]


@asynccontextmanager
async def refused(database: Database, role: Role) -> AsyncIterator[None]:
    """Within, the role's password is another one."""
    database.execute(f"ALTER ROLE {role.login} PASSWORD 'another password'")
    try:
        yield
    finally:
        database.execute(f"ALTER ROLE {role.login} PASSWORD '{PASSWORD}'")


def a_watch(database: Database, ring: Path | None = None) -> KeyWatch:
    keys = {"encryption_key_file": str(ring), "score_draw_key": ENCRYPTION_KEY} if ring else {}
    given = {"encryption_key": ENCRYPTION_KEY, "report_key": REPORT_KEY, "kafka_bootstrap_servers": "localhost:9"}
    if ring:
        del given["encryption_key"]
    return KeyWatch(load(CreditSettings, database_url=as_login(database.url, Role.CREDIT, PASSWORD), **given, **keys))


def of_decision(database: Database) -> SharedConnection:
    return SharedConnection(as_login(database.url, Role.DECISION, PASSWORD), "decision")


async def keep_moving(database: Database, stop: asyncio.Event) -> None:
    url = as_login(database.url, Role.DECISION, PASSWORD)
    await undecided_mark.keep_moving(of_decision(database), url, "decision", stop)


async def known(database: Database, stop: asyncio.Event) -> None:
    await known_keys.watch(of_decision(database), [], stop)


async def report(database: Database, stop: asyncio.Event) -> None:
    watch = a_watch(database)
    watch.ring.uses.update({b"12345678": 1})
    await watch.run(stop)


async def follow(database: Database, stop: asyncio.Event) -> None:
    await listing.follow(as_login(database.url, Role.CONSOLE, PASSWORD), stop)


async def chain_on(database: Database, stop: asyncio.Event) -> None:
    await chain.follow(as_login(database.url, Role.CONSOLE, PASSWORD), a_key(3), stop)


@pytest.mark.parametrize(
    ("role", "task", "said"),
    [
        (Role.DECISION, keep_moving, "undecided_mark"),
        (Role.DECISION, known, "keys"),
        (Role.CREDIT, report, "counts of keys"),
        (Role.CONSOLE, follow, "applications_not_listed"),
        (Role.CONSOLE, chain_on, "record_not_chained"),
    ],
)
async def test_task_of_a_process_that_has_started_waits_a_refused_login_out(
    database: Database, monkeypatch: pytest.MonkeyPatch, role: Role, task: Task, said: str
) -> None:
    for module, name in (
        (undecided_mark, "LOOK_EVERY_SECONDS"),
        (known_keys, "LOOK_EVERY_SECONDS"),
        (key_watch, "LOOK_EVERY_SECONDS"),
        (key_watch, "REPORT_EVERY_SECONDS"),
        (listing, "EVERY_SECONDS"),
        (chain, "EVERY_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.05)
    stop = asyncio.Event()

    with capture_logs() as logs:
        async with refused(database, role):
            running = asyncio.ensure_future(task(database, stop))
            await soon(lambda: running.done() or [line for line in logs if said in (line.get("target"), line["event"])])
            is_over = running.done()
        stop.set()
        await running

    assert not is_over


async def test_ring_is_taken_over_once_the_login_is_taken_again(database: Database, tmp_path: Path) -> None:
    ring = tmp_path / "ring"
    key_file.write(ring, RingKeys(a_key(1)))
    watch = a_watch(database, ring)
    key_file.write(ring, RingKeys(a_key(2), (a_key(1),)))

    async with refused(database, Role.CREDIT):
        await watch._take_over()
        before = len(watch.ring.checks)
    await watch._take_over()

    assert (before, len(watch.ring.checks)) == (1, 2)


async def test_commit_in_doubt_that_cannot_be_looked_up_is_no_fault_of_the_settings(database: Database) -> None:
    url = as_login(database.url, Role.API, PASSWORD)
    lost = Transaction(1, "prequal-api write", 1)

    async with refused(database, Role.API):
        with pytest.raises(Transient):
            await commit_in_doubt.resolve(url, "prequal-api", lost, [uuid4()], asyncpg.InterfaceError("lost"))


async def test_key_that_the_database_does_not_know_ends_the_watch_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "LOOK_EVERY_SECONDS", 0.05)

    async def unknown(_: Connection) -> None:
        raise Misconfigured("The key is retired.")

    shared = of_decision(database)

    with pytest.raises(Misconfigured, match="is retired"):
        await known_keys.watch(shared, [unknown], asyncio.Event())

    await shared.close()
