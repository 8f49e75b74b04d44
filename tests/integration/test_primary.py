"""Only the server that takes writes is used: of several hosts, behind one address, for commands and services."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from os import environ
from pathlib import Path

import psycopg
import pytest

from harness.broker import Broker
from harness.ports import free_ports
from harness.replicas import Pair, Replica
from harness.stores import started
from harness.waiting import soon
from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import PublisherSettings, load
from prequal.core.topology import ExitCode
from prequal.local.postgres import Postgres
from prequal.local.status import database_facts
from prequal.postgres.connections import Connection, ConnectionPool, SingleConnection, connect, connected
from prequal.postgres.primary import ReadOnlyServer
from prequal.publisher import system_metrics
from prequal.publisher.system_metrics import DATABASE_GAUGES, SystemMetrics
from prequal.schema.migrate import upgrade
from prequal.telemetry import metrics

IN_RECOVERY = "SELECT pg_is_in_recovery()"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A migrated primary and its standby; no test changes their roles."""
    folder, (one, other) = tmp_path_factory.mktemp("pair"), free_ports(2)
    with (
        started(Postgres(folder / "first", one, log=folder / "first.log")) as first,
        started(Replica(folder / "second", other, first, log=folder / "second.log")) as second,
    ):
        upgrade(first.database_url)
        pair = Pair(first, second)
        yield pair
        pair.proxy.close()


@pytest.fixture
def fence(pair: Pair) -> Iterator[None]:
    """Makes the primary read-only for new and for living sessions, until the end of the test."""
    with psycopg.connect(pair.first.database_url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
        yield
        admin.execute("SET default_transaction_read_only = off")
        admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
        admin.execute("SELECT pg_reload_conf()")


async def test_connection_to_a_standby_is_never_used(pair: Pair) -> None:
    single, pool = (
        SingleConnection(pair.second.database_url, "test"),
        ConnectionPool(pair.second.database_url, "test", 1),
    )

    with pytest.raises(ReadOnlyServer):
        await asked(single)
    async with pool:
        with pytest.raises(ReadOnlyServer):
            async with pool.use("status") as connection:
                await connection.fetchval(IN_RECOVERY)


async def test_answer_of_a_server_that_became_read_only_is_void(pair: Pair, request: pytest.FixtureRequest) -> None:
    single = SingleConnection(pair.first.database_url, "test")
    await asked(single)
    request.getfixturevalue("fence")

    with pytest.raises(ReadOnlyServer):
        await asked_until_void(single.use)
    await single.close()


async def test_pool_closes_the_connections_of_a_server_that_became_read_only(
    pair: Pair, request: pytest.FixtureRequest
) -> None:
    async with ConnectionPool(pair.first.database_url, "test", 1) as pool:
        async with pool.use("status") as connection:
            await connection.fetchval(IN_RECOVERY)
        request.getfixturevalue("fence")

        with pytest.raises(ReadOnlyServer):
            await asked_until_void(lambda: pool.use("status"))
        assert pool._pool.get_idle_size() == 0


async def test_metrics_of_a_server_that_became_read_only_are_shown_no_more(
    pair: Pair, broker: Broker, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_metrics, "READ_EVERY_SECONDS", (0.05, 0.1))
    settings = load(
        PublisherSettings, database_url=pair.first.database_url, kafka_bootstrap_servers=broker.bootstrap_servers
    )
    stop = asyncio.Event()
    showing = asyncio.create_task(SystemMetrics(settings).run(stop))
    try:
        await soon(lambda: metrics.DB_TRANSACTIONS._values)

        request.getfixturevalue("fence")

        await soon(lambda: not any(gauge._values for gauge in DATABASE_GAUGES))
    finally:
        stop.set()
        await showing
        for gauge in metrics.COLLECTED:
            gauge.clear()


async def asked(single: SingleConnection) -> None:
    async with single.use() as connection:
        await connection.fetchval(IN_RECOVERY)


async def asked_until_void(use: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
    """The server's processes hear of the change a moment later."""
    async with asyncio.timeout(30):
        while True:
            async with use() as connection:
                await connection.fetchval("SELECT pg_sleep(0.05)")


async def test_of_several_hosts_the_one_that_takes_writes_is_used(pair: Pair) -> None:
    for url in (pair.urls, pair.url_of(pair.second.port, pair.first.port)):
        async with connected(url, "test") as connection:
            assert await connection.fetchval(IN_RECOVERY) is False


async def test_frozen_host_leaves_time_for_the_next(pair: Pair) -> None:
    pair.proxy.freeze()

    try:
        async with connected(pair.url_of(pair.proxy.port, pair.first.port), "test") as connection:
            found = await connection.fetchval(IN_RECOVERY)
    finally:
        pair.proxy.restore()

    assert found is False


async def test_address_of_a_standby_alone_cannot_be_reached(pair: Pair) -> None:
    with pytest.raises(Transient, match="takes no writes"):
        await connect(pair.second.database_url, "test")


async def test_parameter_that_the_server_does_not_know_is_no_outage(pair: Pair) -> None:
    with pytest.raises(Misconfigured, match="DATABASE_URL"):
        await connect(f"{pair.first.database_url}?options=-c%20no_such_thing%3D1", "test")


@pytest.mark.parametrize("words", ["migrate", "maintain", "republish --all --dry-run"])
def test_command_finds_the_host_that_takes_writes(pair: Pair, words: str, tmp_path: Path) -> None:
    urls = pair.url_of(pair.second.port, pair.first.port)

    done = prequal(words, f"{urls}?target_session_attrs=read-write&connect_timeout=5", tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["migrate", "maintain", "republish --all --dry-run"])
def test_command_says_that_a_standby_takes_no_writes(pair: Pair, words: str, tmp_path: Path) -> None:
    done = prequal(words, pair.second.database_url, tmp_path)

    assert (done.returncode, "takes no writes" in done.stderr) == (ExitCode.UNREACHABLE, True)


@pytest.mark.parametrize("words", ["api", "publisher", "migrate", "maintain", "status", "dlq list", "up"])
def test_parameter_that_cannot_be_honoured_ends_every_command(words: str, tmp_path: Path) -> None:
    done = prequal(words, "postgresql://u:p@nowhere/prequal?target_session_attrs=standby", tmp_path)

    assert (done.returncode, "DATABASE_URL has target_session_attrs" in done.stderr) == (ExitCode.MISCONFIGURED, True)


def test_status_counts_on_the_host_that_takes_writes(pair: Pair) -> None:
    with pytest.raises(ReadOnlyServer):
        asyncio.run(database_facts(pair.second.database_url))

    assert asyncio.run(database_facts(pair.url_of(pair.second.port, pair.first.port))).applications == {}


def prequal(words: str, database_url: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command with this DATABASE_URL."""
    stores = {"DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "PREQUAL_DATA_DIR": str(folder)}
    command = [sys.executable, "-P", "-m", "prequal", *words.split()]
    return subprocess.run(
        command, env=environ | stores, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
