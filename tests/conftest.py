"""PostgreSQL, Kafka and the services as fixtures.

Invariant: nothing starts before a test asks for it, and each worker has stores of its own.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from harness.broker import Broker
from harness.database import Cluster, Database
from harness.stores import a_kafka, a_postgres
from harness.system import System, a_system
from harness.waiting import PATIENCE_SECONDS
from prequal.local.kafka import Kafka
from prequal.messaging import consumer_lag
from prequal.postgres import primary
from prequal.postgres.connections import SESSION
from prequal.telemetry.breakers import breaker_of


@pytest.fixture(scope="session", autouse=True)
def _priority_is_kept() -> Iterator[None]:
    """A command that gives way to everything else must not take along the tests that run it in their own process."""
    with mock.patch("os.nice"):
        yield


@pytest.fixture(scope="session", autouse=True)
def _stalled_machine_is_waited_for() -> Iterator[None]:
    """A connection that a test opens in its own process waits, however long the machine stands still."""
    with mock.patch.object(primary, "CONNECT_SECONDS", 30.0):
        yield


@pytest.fixture(autouse=True)
def _breakers_of_its_own() -> None:
    """A store that is away in one test is not left alone in the next one that has it at the same address."""
    breaker_of.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _leak_is_found_where_it_is_made() -> Iterator[None]:
    """What a module's tests leave unclosed fails the last of them, and not a later module's by chance."""
    yield
    gc.collect()


@pytest.fixture
def endless_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends no transaction in which nothing happens, however long a test keeps it open."""
    monkeypatch.setitem(SESSION, "idle_in_transaction_session_timeout", "600000")


@pytest.fixture
def offsets_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that has just started says late how far its topics reach, on a busy machine."""
    monkeypatch.setattr(consumer_lag, "ASK_SECONDS", PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL server for all tests of a worker, with a migrated template in it."""
    with a_postgres() as server:
        cluster = Cluster(server.database_url)
        cluster.make_template()
        yield cluster


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """One Kafka broker for all tests of a worker that do it no harm."""
    with a_kafka() as node:
        yield node


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A migrated database of the test's own."""
    with cluster.database() as database:
        yield database


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[Database]:
    """A database without a table."""
    with cluster.database("template0") as database:
        yield database


@pytest.fixture(scope="session")
def _broker(kafka: Kafka) -> Broker:
    return Broker(kafka.bootstrap_servers)


@pytest.fixture
def broker(_broker: Broker) -> Broker:
    """The broker, with empty topics that no group has read."""
    _broker.renew()
    return _broker


@pytest.fixture
def system(database: Database, broker: Broker, tmp_path: Path) -> Iterator[System]:
    """The four services, not started yet."""
    with a_system(database.url, broker.bootstrap_servers, tmp_path) as system:
        yield system


SystemMaker = Callable[..., System]


@pytest.fixture
def a_system_with(database: Database, broker: Broker, tmp_path: Path) -> Iterator[SystemMaker]:
    """Makes a system with settings of the test's choice."""
    with ExitStack() as systems:

        def make(**settings: str) -> System:
            return systems.enter_context(a_system(database.url, broker.bootstrap_servers, tmp_path, **settings))

        yield make
