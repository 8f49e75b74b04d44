"""How a service starts: with the right keys, database and port, or not at all, with one sentence and exit code 2."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.database import Database
from harness.journal import SERVICES
from harness.ports import free_port
from harness.system import KEYS, OTHER_KEY, System, run_once
from harness.waiting import eventually
from prequal.local.kafka import Kafka

NOBODY = "127.0.0.1:1"
"""Where no broker and no database is: bad settings are found before anybody is asked."""

NOWHERE = f"postgresql://u:p@{NOBODY}/x"


def settings(database_url: str = NOWHERE, bootstrap_servers: str = NOBODY) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, **KEYS}


def test_api_that_others_reach_does_not_start_without_authentication(tmp_path: Path) -> None:
    given = settings() | {"API_AUTHENTICATION": "none", "HTTP_HOST": "0.0.0.0"}
    command = [sys.executable, "-m", "prequal", "api"]

    done = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "API_AUTHENTICATION=none is for a loopback address alone" in done.stderr


def assert_refuses(name: str, given: dict[str, str], folder: Path, *words: str) -> None:
    """See that a command ends by itself with code 2 and one sentence with these words, and without a secret."""
    done = run_once(name, given, folder)

    assert done.returncode == 2, (done.stdout, done.stderr)
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("prequal: ")
    assert sentence.endswith(".")
    assert not [word for word in words if word not in sentence], sentence
    assert not [secret for secret in (*KEYS.values(), OTHER_KEY) if secret in done.stderr + done.stdout]


# ── what is ready ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_is_ready_has_its_statements_planned_so_that_the_first_application_waits_for_nothing(
    database: Database, system: System
) -> None:
    system.start("api", "credit", "decision")

    rows = database.rows("SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database()")
    last = {row["application_name"].rpartition(" ")[0]: row["query"] for row in rows}
    assert "WITH fit AS" in last["prequal-api write"]
    assert [row["query"] for row in rows if "FROM reused_reports" in row["query"] and "read" in row["application_name"]]
    assert "WITH key AS" in last["credit-service"]
    assert "WITH undecided AS" in last["decision-service"]
    assert database.count("applications") == database.count("audit_log") == database.count("outbox_events") == 0


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_start_records_what_its_keys_are_known_by(database: Database, system: System) -> None:
    system.start("api")

    rows = database.rows("SELECT purpose, key_id, check_value FROM key_checks ORDER BY purpose")
    assert [row["purpose"] for row in rows] == ["ENCRYPTION_KEY", "PAN_HASH_KEY"]
    assert [len(row["key_id"]) for row in rows] == [8, 8]
    assert [len(row["check_value"]) for row in rows] == [32, 32]


def test_later_start_with_the_same_keys_records_nothing(database: Database, system: System) -> None:
    system.start("api", "credit")
    before = database.everything()["key_checks"]
    system.api.end()
    system.credit.end()

    system.start("api", "credit", "decision")

    assert database.everything()["key_checks"] == before


@pytest.mark.parametrize(
    ("name", "key"), [("api", "PAN_HASH_KEY"), ("api", "ENCRYPTION_KEY"), ("credit", "ENCRYPTION_KEY")]
)
def test_valid_but_wrong_key_stops_the_start(
    database: Database, system: System, kafka: Kafka, tmp_path: Path, name: str, key: str
) -> None:
    system.start("api")
    system.stop()

    assert_refuses(
        name, settings(database.url, kafka.bootstrap_servers) | {key: OTHER_KEY}, tmp_path, key, "not the key"
    )


def test_two_first_starts_at_once_with_other_keys_leave_one(database: Database, kafka: Kafka, tmp_path: Path) -> None:
    one = System(database.url, kafka.bootstrap_servers, tmp_path)
    other = System(database.url, kafka.bootstrap_servers, tmp_path, PAN_HASH_KEY=OTHER_KEY)
    other.api.log = tmp_path / "other.log"
    try:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda service: service.launch(), (one.api, other.api)))

        eventually(lambda: one.api.running != other.api.running)
        left = one.api if one.api.running else other.api
        left.wait_until_ready()
        assert database.value("SELECT count(*) FROM key_checks WHERE purpose = 'PAN_HASH_KEY'") == 1
    finally:
        one.stop()
        other.stop()


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@127.0.0.1/x"),
        ("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:70000/x"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_POOL_SIZE", "-17"),
        ("PAN_HOLDER_TYPES", "person"),
        ("WRITE_BATCH_MAX", "many"),
    ],
)
def test_bad_setting_is_named_and_its_value_is_not_repeated(tmp_path: Path, setting: str, value: str) -> None:
    system = System(NOWHERE, NOBODY, tmp_path, **{setting: value})
    system.api.environment |= {setting: value}
    system.api.launch()

    assert system.api.exit_code() == 2
    (sentence,) = system.api.log.read_text().splitlines()
    assert setting in sentence
    assert "hunter2" not in sentence
    assert value not in sentence


def test_wrong_password_stops_the_start(database: Database, kafka: Kafka, tmp_path: Path) -> None:
    wrong = database.url.replace(":", ":wrong", 2).replace("wrong//", "//", 1)

    assert_refuses(
        "decision", settings(database.url, kafka.bootstrap_servers) | {"DATABASE_URL": wrong}, tmp_path, "DATABASE_URL"
    )


def test_missing_database_stops_the_start(database: Database, kafka: Kafka, tmp_path: Path) -> None:
    given = settings(database.url, kafka.bootstrap_servers) | {"DATABASE_URL": database.url + "_that_is_not_there"}

    assert_refuses("publisher", given, tmp_path, "DATABASE_URL")


# ── the database's revision, the port ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SERVICES)
def test_database_without_tables_stops_the_start(
    empty_database: Database, kafka: Kafka, tmp_path: Path, name: str
) -> None:
    assert_refuses(name, settings(empty_database.url, kafka.bootstrap_servers), tmp_path, "prequal migrate")


def test_database_of_code_before_the_first_release_stops_the_start(
    database: Database, kafka: Kafka, tmp_path: Path
) -> None:
    database.execute("UPDATE alembic_version SET version_num = '0006'")

    given = settings(database.url, kafka.bootstrap_servers)
    assert_refuses("api", given, tmp_path, "0006", "before the first release", "empty database")
    assert_refuses("migrate", {"DATABASE_URL": database.url}, tmp_path, "0006", "before the first release")


def test_database_ahead_of_the_code_stops_the_start(database: Database, kafka: Kafka, tmp_path: Path) -> None:
    database.execute("UPDATE alembic_version SET version_num = '9999'")

    assert_refuses("credit", settings(database.url, kafka.bootstrap_servers), tmp_path, "9999", "newer code")


@pytest.mark.parametrize("name", SERVICES)
def test_busy_port_stops_the_start(system: System, name: str) -> None:
    service = system.services[name]
    with socket.create_server(("127.0.0.1", service.port)):
        service.launch()

        assert service.exit_code() == 2
    (sentence,) = [line for line in service.log.read_text().splitlines() if not line.startswith("{")]
    assert str(service.port) in sentence
    assert "HTTP_PORT" in sentence


def test_metrics_are_shown_on_a_port_of_their_own_when_set(system: System) -> None:
    port = free_port()
    service = system.further("decision", "metrics")
    service.environment |= {"PROMETHEUS_PORT": str(port)}
    service.start()

    assert "kafka_messages_consumed_total" in system.new("decision", port).get("/metrics").text


def test_taken_metrics_port_is_said_once_and_waited_for_while_the_service_works(system: System) -> None:
    port = free_port()
    service = system.further("decision", "metrics")
    service.environment |= {"PROMETHEUS_PORT": str(port)}
    with socket.create_server(("127.0.0.1", port)):
        service.start()
        eventually(lambda: service.logged("metrics_port_taken"))
        shown = service.get("/metrics").text

    system.new("decision", port).becomes(200)

    assert "kafka_messages_consumed_total" in shown
    assert len(service.logged("metrics_port_taken")) == 1


# ── dependencies that are not there yet ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SERVICES)
def test_service_lives_and_says_what_is_away_until_its_database_is_there(
    kafka: Kafka, tmp_path: Path, name: str
) -> None:
    system = System(f"postgresql://u:p@127.0.0.1:{free_port()}/x", kafka.bootstrap_servers, tmp_path)
    service = system.services[name]
    try:
        service.launch()
        eventually(lambda: service.logged("retrying"))

        health, (status, ready) = service.get("/health"), service.ready()

        assert (health.status_code, health.json()) == (200, {"status": "healthy"})
        assert (status, ready["database"]) == (503, "disconnected")
        assert service.end() == 0
    finally:
        system.stop()
