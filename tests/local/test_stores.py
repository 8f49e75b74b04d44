"""PostgreSQL and Kafka on this machine: they start, stop, and come back after `kill -9`."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.cimpl import NewTopic

from harness.ports import free_ports
from harness.waiting import eventually
from prequal.core.errors import Misconfigured, Transient
from prequal.local.child_process import Child
from prequal.local.kafka import Kafka
from prequal.local.postgres import Postgres
from tests.local.machine import is_alive


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("database") / "postgres", *free_ports(1))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    broker = Kafka(tmp_path_factory.mktemp("broker") / "kafka", *free_ports(2))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def ended() -> Iterator[Callable[[Child], None]]:
    """Ends a test's own children, however the test ends."""
    children: list[Child] = []
    yield children.append
    for child in children:
        child.kill()


def cluster(port: int) -> ClusterMetadata:
    """The metadata that a new client gets; asked again where its first connection is late."""

    def metadata() -> ClusterMetadata | None:
        try:
            return AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=5)
        except KafkaException:
            return None

    found = eventually(metadata, within=60)
    assert found is not None
    return found


def query(postgres: Postgres, statement: str) -> object:
    with psycopg.connect(postgres.database_url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def execute(postgres: Postgres, statement: str) -> None:
    with psycopg.connect(postgres.database_url) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("log_statement", "none"),
        ("log_min_error_statement", "panic"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("max_wal_size", "4GB"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("jit", "off"),
    ],
)
def test_setting_of_postgres_is_in_effect(postgres: Postgres, setting: str, value: str) -> None:
    assert query(postgres, f"SHOW {setting}") == value


def test_postgres_asks_for_its_password(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://prequal:guessed@127.0.0.1:{postgres.port}/prequal")


def test_values_of_a_failing_statement_are_not_logged(postgres: Postgres) -> None:
    execute(postgres, "CREATE TABLE person (name text UNIQUE); INSERT INTO person VALUES ('Secret Name')")

    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(postgres, "INSERT INTO person VALUES ('Secret Name')")

    log = eventually(lambda: text if "duplicate key" in (text := postgres.log.read_text()) else "")
    assert "Secret" not in log


def test_postgres_keeps_what_was_committed_before_kill_9(postgres: Postgres) -> None:
    execute(postgres, "CREATE TABLE kept (number int); INSERT INTO kept VALUES (42)")

    postgres.kill()
    postgres.start()

    assert query(postgres, "SELECT number FROM kept") == 42


def test_backends_end_with_a_killed_postmaster(postgres: Postgres) -> None:
    with psycopg.connect(postgres.database_url) as connection:
        backend = connection.info.backend_pid

        postgres.kill()

        eventually(lambda: not is_alive(backend))
    postgres.start()


def test_killed_postgres_whose_backends_are_frozen_starts_again_at_once(postgres: Postgres) -> None:
    with psycopg.connect(postgres.database_url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        postgres.kill()
        began = time.monotonic()

        postgres.start()

    assert not is_alive(backend)
    assert time.monotonic() - began < 10
    assert query(postgres, "SELECT 1") == 1


def test_killed_postgres_behind_a_symbolic_link_whose_backends_are_frozen_starts_again(
    tmp_path: Path, ended: Callable[[Child], None]
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    server = Postgres(tmp_path / "link" / "postgres", *free_ports(1))
    ended(server)
    server.start()
    with psycopg.connect(server.database_url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        server.kill()

        server.start()

    assert not is_alive(backend)


def test_postgres_starts_though_another_program_has_its_recorded_pid(postgres: Postgres) -> None:
    pid_file = postgres.folder / "postmaster.pid"
    content = pid_file.read_text()
    postgres.kill()
    pid_file.write_text(content.replace(content.split("\n")[0], str(os.getpid()), 1))

    postgres.start()

    assert query(postgres, "SELECT 1") == 1


def test_stopped_postgres_leaves_a_clean_folder_and_starts_again(postgres: Postgres) -> None:
    postgres.stop()

    assert not (postgres.folder / "postmaster.pid").exists()
    postgres.start()


def test_interrupted_creation_is_begun_afresh(tmp_path: Path, ended: Callable[[Child], None]) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    server = Postgres(tmp_path / "postgres", *free_ports(1))
    ended(server)

    server.start()

    assert not (tmp_path / "postgres.new").exists()


def test_data_of_another_version_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(Misconfigured, match="PostgreSQL 15, not 18: move that folder away"):
        Postgres(tmp_path / "postgres", 1).start()


def test_password_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")

    with pytest.raises(Misconfigured, match=r"postgres/superuser\.password is missing: put it back, or move"):
        Postgres(tmp_path / "postgres", 1).start()


def test_postgres_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prequal.local.postgres.START_TRIES", 1)
    server = Postgres(tmp_path / "postgres", *free_ports(1))
    server.start()
    server.stop()
    shutil.rmtree(server.folder / "global")

    with pytest.raises(Transient, match=r"PostgreSQL did not start: .*global"):
        server.start()


def test_postgres_that_recovers_is_waited_for_and_says_so(
    tmp_path: Path, ended: Callable[[Child], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Postgres(tmp_path / "postgres", *free_ports(1))
    said: list[str] = []
    ended(server)
    server.start()
    server.stop()
    server.on_delay = said.append
    monkeypatch.setattr("prequal.local.postgres.START_SECONDS", 2.0)
    monkeypatch.setattr("prequal.local.postgres.SHOWN_SECONDS", 1.0)
    with (server.folder / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 2; false'\nhot_standby = off\n")
    (server.folder / "recovery.signal").touch()

    server.start()

    assert said == [f"postgres recovers from a crash or a backup, which may take minutes: {server.log}"]


def test_kafka_accepts_a_message_at_once_and_after_kill_9(kafka: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic("facts", 1, 1)])["facts"].result(10)
    assert produced(kafka)

    kafka.kill()
    kafka.start()

    assert produced(kafka)


def produced(kafka: Kafka) -> bool:
    """Whether the broker acknowledges a message."""
    acknowledged = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all", "log_level": 0})
    producer.produce("facts", b"fact", on_delivery=lambda error, _: acknowledged.append(error is None))
    producer.flush(10)
    return acknowledged == [True]


def test_kafka_creates_no_topic_by_itself(kafka: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})

    admin.list_topics("typo", timeout=20)

    assert "typo" not in cluster(kafka.port).topics


def test_kafka_keeps_its_cluster_id_over_a_restart(kafka: Kafka) -> None:
    cluster_id = cluster(kafka.port).cluster_id

    kafka.stop()
    kafka.start()

    assert cluster(kafka.port).cluster_id == cluster_id


def test_kafka_advertises_the_advertised_port(tmp_path: Path, ended: Callable[[Child], None]) -> None:
    port, controller_port = free_ports(2)
    broker = Kafka(tmp_path / "kafka", port, controller_port, advertised_port=1)
    ended(broker)

    broker.start()

    assert [each.port for each in cluster(port).brokers.values()] == [1]


def test_kafka_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    broker = Kafka(tmp_path / "kafka", *free_ports(2), properties={"process.roles": "teapot"})

    with pytest.raises(Misconfigured, match=r"kafka: .*kafka\.log"):
        broker.start()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=9\n", "of node 9, not 1"),
        ("version=0\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nbroker.id=1\n", "of format 0, not 1"),
        ("version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=1\n", "of another cluster"),
        ("", "of format unknown, not 1"),
    ],
    ids=["node", "version", "cluster", "cut off"],
)
def test_data_of_another_broker_is_one_sentence(tmp_path: Path, content: str, found: str) -> None:
    broker = Kafka(tmp_path / "kafka", *free_ports(2), cluster_id="MkU3OEVBNTcwNTJENDM2Qg")
    data = broker.folder / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text(content)

    with pytest.raises(Misconfigured, match=f"holds Kafka's data {found}: move that folder away"):
        broker.start()


def test_cluster_id_that_begins_with_a_dash_is_an_id_and_not_an_option(
    tmp_path: Path, ended: Callable[[Child], None]
) -> None:
    broker = Kafka(tmp_path / "kafka", *free_ports(2), cluster_id="-kU3OEVBNTcwNTJENDM2Qg")
    ended(broker)

    broker.launch()

    assert "cluster.id=-kU3" in (broker.folder / "data" / "meta.properties").read_text()


def test_three_brokers_make_a_cluster(tmp_path: Path, ended: Callable[[Child], None]) -> None:
    ports = [free_ports(2) for _ in range(3)]
    voters = ",".join(f"{node}@127.0.0.1:{controller}" for node, (_, controller) in enumerate(ports, 1))
    brokers = [
        Kafka(tmp_path / f"kafka-{node}", *pair, node_id=node, voters=voters, cluster_id="MkU3OEVBNTcwNTJENDM2Qg")
        for node, pair in enumerate(ports, 1)
    ]
    for broker in brokers:
        ended(broker)
        broker.launch()
    for broker in brokers:
        broker.wait_until_ready()

    eventually(lambda: len(cluster(brokers[0].port).brokers) == 3, within=60)
