"""PostgreSQL or Kafka fails under the running services, and comes back: nobody restarts them, and nothing is lost."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from harness.applications import an_application
from harness.broker import REPORTED, SUBMITTED, Broker
from harness.database import Database, prepare
from harness.journal import SERVICES
from harness.load import Load, applications, assert_all_is_well
from harness.ports import free_ports
from harness.stores import a_postgres
from harness.system import System, a_system
from prequal.local.kafka import Kafka
from prequal.local.postgres import Postgres
from prequal.schema.retention import maintain

READY_AFTER_SECONDS = 10.0
TURNS_WITHIN_SECONDS = 5.0


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server that these tests may kill."""
    with a_postgres() as server:
        yield server


@dataclass
class OwnKafka:
    """A broker that these tests may freeze, and one more each time that one of them has killed it."""

    folders: pytest.TempPathFactory
    node: Kafka | None = None
    pid: int = 0

    def unharmed(self) -> Kafka:
        if self.node is not None and (self.node.pid, self.node.running) == (self.pid, True):
            return self.node
        self.end()
        self.node = Kafka(self.folders.mktemp("own-kafka") / "data", *free_ports(2))
        self.node.start()
        self.pid = self.node.pid
        return self.node

    def end(self) -> None:
        if self.node is not None:
            self.node.stop_for_good()


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnKafka]:
    brokers = OwnKafka(tmp_path_factory)
    yield brokers
    brokers.end()


@pytest.fixture
def own_kafka(brokers: OwnKafka) -> Iterator[Kafka]:
    node = brokers.unharmed()
    yield node
    node.send(signal.SIGCONT)


@pytest.fixture
def own_database(own_postgres: Postgres) -> Iterator[Database]:
    """The server's one database, made afresh."""
    if not own_postgres.running:
        own_postgres.start()
    database = Database(own_postgres.database_url)
    database.execute("DROP SCHEMA public CASCADE")
    database.execute("CREATE SCHEMA public")
    prepare(database.url)
    maintain(database.url)
    yield database
    database.close()


@pytest.fixture
def own_broker(own_kafka: Kafka) -> Broker:
    broker = Broker(own_kafka.bootstrap_servers)
    broker.renew()
    return broker


@pytest.fixture
def own_system(own_database: Database, own_broker: Broker, tmp_path: Path) -> Iterator[System]:
    with a_system(own_database.url, own_broker.bootstrap_servers, tmp_path) as system:
        yield system


@pytest.fixture
def load(own_system: System) -> Iterator[Load]:
    load = Load(own_system.api.url)
    yield load
    load.close()


def all_ready(system: System, within: float = READY_AFTER_SECONDS) -> None:
    for name in SERVICES:
        system.services[name].becomes(200, within)


def ended(system: System) -> list[int | None]:
    """Send SIGTERM to all four at once; their exit codes, each within ten seconds."""
    with ThreadPoolExecutor(len(SERVICES)) as threads:
        return list(threads.map(lambda name: system.services[name].end(within=10), SERVICES))


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_services_end_in_order_while_the_database_is_away(own_postgres: Postgres, own_system: System) -> None:
    own_system.start()
    own_postgres.kill()
    for name in SERVICES:
        own_system.services[name].becomes(503, TURNS_WITHIN_SECONDS, database="disconnected")

    assert ended(own_system) == [0, 0, 0, 0]


# ── Kafka ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_services_end_in_order_while_the_broker_is_frozen(own_kafka: Kafka, own_system: System) -> None:
    own_system.start()
    httpx.post(f"{own_system.api.url}/applications", json=an_application(), trust_env=False)
    own_kafka.send(signal.SIGSTOP)

    assert ended(own_system) == [0, 0, 0, 0]


def test_services_that_start_before_the_broker_wait_for_it(
    own_kafka: Kafka, own_database: Database, own_broker: Broker, own_system: System
) -> None:
    own_kafka.stop()
    for name in SERVICES:
        own_system.services[name].launch()
    own_system.api.becomes(200, within=60, kafka="disconnected")
    body = an_application()
    response = httpx.post(f"{own_system.api.url}/applications", json=body, trust_env=False)

    own_kafka.start()

    all_ready(own_system, within=60)
    assert response.status_code == 202
    assert_all_is_well(own_database, own_broker, {response.json()["application_id"]: body})


def test_services_that_start_before_the_topics_wait_for_them(
    own_database: Database, own_broker: Broker, own_system: System, load: Load
) -> None:
    own_broker.delete(SUBMITTED)
    for name in SERVICES:
        own_system.services[name].launch()
    own_system.api.becomes(200, within=60)
    load.post(applications(10))
    accepted = load.wait()

    own_broker.create()

    assert_all_is_well(own_database, own_broker, accepted)


def test_ready_names_a_topic_that_is_missing_and_how_to_fix_it(broker: Broker, system: System) -> None:
    system.start()
    broker.delete(REPORTED)
    httpx.post(f"{system.api.url}/applications", json=an_application(), trust_env=False).raise_for_status()

    of_publisher = system.publisher.becomes(503, 60, database="connected", kafka="connected")["reason"]
    of_decision = system.decision.becomes(503, 60, database="connected", kafka="connected")["reason"]
    broker.create()

    for name in SERVICES:
        system.services[name].becomes(200, 60)
    assert of_publisher.startswith(f"KAFKA_PUBLISH_ERROR on {REPORTED}")
    assert all("run `prequal topics`" in reason for reason in (of_publisher, of_decision))
