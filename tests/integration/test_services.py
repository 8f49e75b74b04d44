"""All four services together: every application that was accepted ends as the oracle says, whatever is killed."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.applications import a_pan, an_application
from harness.broker import DECIDED, SUBMITTED, Broker
from harness.database import Database
from harness.journal import SERVICES
from harness.load import Load, applications, assert_all_is_well
from harness.system import Service, System, a_system
from harness.tcp_proxy import a_proxy, port_of
from harness.waiting import eventually
from prequal.local.kafka import Kafka
from prequal.messaging.events import ApplicationDecided
from prequal.messaging.kafka_clients import message_headers
from prequal.security.pan_encryption import KeyRing
from tests.support.submissions import stored


@pytest.fixture
def load(system: System) -> Iterator[Load]:
    load = Load(system.api.url)
    yield load
    load.close()


def post(service: Service, body: dict[str, Any], **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{service.url}/applications", json=body, headers=names, timeout=15, trust_env=False)


def test_request_id_is_found_at_every_step(database: Database, broker: Broker, system: System) -> None:
    system.start(PUBLISH_DECISIONS="true")
    response = httpx.post(
        f"{system.api.url}/applications",
        json=an_application(),
        headers={"X-Request-ID": "step-by-step"},
        trust_env=False,
    )
    application_id = response.json()["application_id"]

    eventually(lambda: database.application(application_id)["status"] != "PENDING")

    records = database.rows("SELECT action, request_id FROM audit_log WHERE application_id = %s", application_id)
    eventually(lambda: database.count("outbox_archive") == 3)
    archived = database.rows("SELECT correlation_id FROM outbox_archive")
    (message,) = broker.read(DECIDED, 1)
    assert {record["request_id"] for record in records} == {"step-by-step"}
    assert [row["correlation_id"] for row in archived] == ["step-by-step"] * 3
    assert ("correlation_id", b"step-by-step") in message_headers(message)
    decided = ApplicationDecided.decode(message.value())
    assert str(decided.application_id) == application_id == (message.key() or b"").decode()
    assert decided.status == database.application(application_id)["status"]


def test_public_metrics_are_shown_by_those_who_count_them(system: System, load: Load, database: Database) -> None:
    system.start()
    load.post(applications(20))
    load.wait()
    eventually(lambda: database.value("SELECT count(*) FROM applications WHERE status = 'PENDING'") == 0)
    eventually(lambda: database.count("outbox_events") == 0)

    publishing = (system.api, system.credit, system.publisher)
    counted = {
        "applications_submitted_total": system.api.metric("applications_submitted_total{"),
        "kafka_messages_published_total": sum(
            service.metric("kafka_messages_published_total{") for service in publishing
        ),
        "kafka_messages_consumed_total": system.credit.metric("kafka_messages_consumed_total{", 'outcome="done"'),
        "cibil_score_distribution": system.credit.metric("cibil_score_distribution_count"),
        "pan_decrypts_total": system.credit.metric("pan_decrypts_total"),
        "applications_by_status_total": system.decision.metric("applications_by_status_total{"),
        "decision_duration_seconds": system.decision.metric("decision_duration_seconds_count"),
    }

    assert counted == {name: 40 if name == "kafka_messages_published_total" else 20 for name in counted}


def test_ready_says_why_a_consumer_with_its_dependencies_cannot_work(
    database: Database, broker: Broker, system: System
) -> None:
    system.start("credit")
    (submission,) = stored(database, keys=KeyRing(b"a key that nobody gave to credit"))

    broker.publish(SUBMITTED, [submission.submitted()])

    answer = system.credit.becomes(503, database="connected", kafka="connected")
    assert "encryption key" in answer["reason"]
    assert system.credit.get("/health").status_code == 200


# ── several of one kind ─────────────────────────────────────────────────────────────────────────────────────────


def test_two_apis_at_once_accept_one_application_a_pan(database: Database, system: System) -> None:
    system.start("api")
    second = system.further("api", "second api")
    second.start()
    pans = [a_pan() for _ in range(10)]
    posts = [(service, an_application(pan_number=pan)) for pan in pans for service in (system.api, second)] * 3

    with ThreadPoolExecutor(20) as threads:
        statuses = list(threads.map(lambda post_: post(*post_).status_code, posts))

    assert sorted(statuses) == [202] * 10 + [409] * 50
    assert database.count("applications") == 10
    eventually(lambda: database.count("outbox_archive") == 10)


# ── killed and stopped ──────────────────────────────────────────────────────────────────────────────────────────


def test_service_stopped_under_load_ends_in_order_and_loses_nothing(
    database: Database, broker: Broker, system: System, load: Load
) -> None:
    system.start()
    for name in SERVICES:
        service, answers = system.services[name], list[str]()
        whole = families(service.get("/metrics").text)
        load.post(applications(60))
        with ThreadPoolExecutor(3) as threads:
            scrapers = [threads.submit(scrape_until_refused, service, answers) for _ in range(3)]
            eventually(lambda answers=answers: len(answers) > 5)  # type: ignore[misc]

            code = service.end(within=10)

            for scraper in scrapers:
                scraper.result()
        assert code == 0, name
        assert service.logged("stopped"), name
        assert all(families(answer) == whole for answer in answers), name
        service.launch()
        load.wait()
    assert_all_is_well(database, broker, load.accepted)
    assert {row["status"] for row in database.rows("SELECT DISTINCT status FROM applications")} == {
        "PRE_APPROVED",
        "MANUAL_REVIEW",
        "REJECTED",
    }


def scrape_until_refused(service: Service, answers: list[str]) -> None:
    """Take one scrape after another, each on a connection of its own; raises when one is cut off."""
    with httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=10, trust_env=False) as client:
        while True:
            try:
                answer = client.get(f"{service.url}/metrics")
            except httpx.ConnectError as error:
                if "refused" not in str(error):
                    raise
                return
            assert answer.status_code == 200
            answers.append(answer.text)


def families(exposition: str) -> list[str]:
    """The names and kinds of what is shown."""
    assert exposition.endswith("\n")
    return [line for line in exposition.splitlines() if line.startswith("# TYPE")]


def test_requests_in_flight_finish_after_sigterm(database: Database, kafka: Kafka, tmp_path: Path) -> None:
    with (
        a_proxy(port_of(database.url)) as proxy,
        a_system(proxy.url(database.url), kafka.bootstrap_servers, tmp_path) as system,
        ThreadPoolExecutor(10) as threads,
        httpx.Client(timeout=15, trust_env=False) as client,
    ):
        system.start("api")
        proxy.freeze()  # so that none is written before it is restored
        posts = [
            threads.submit(client.post, f"{system.api.url}/applications", json=an_application()) for _ in range(10)
        ]
        eventually(lambda: system.api.metric("http_requests_in_progress") == 11)  # the question is the eleventh

        system.api.send(signal.SIGTERM)
        eventually(lambda: system.api.logged("stopping"))
        proxy.restore()

        statuses = [answer.result().status_code for answer in posts]
        assert system.api.exit_code() == 0
    assert statuses == [202] * 10
    assert database.count("applications") == 10


def test_client_that_connected_before_the_door_closed_is_answered(system: System) -> None:
    system.start("api")
    with socket.create_connection(("127.0.0.1", system.api.port)) as early:
        system.api.send(signal.SIGTERM)
        eventually(lambda: not is_open(system.api.port))

        early.sendall(b"GET /health HTTP/1.1\r\nHost: api\r\n\r\n")

        assert early.recv(100).startswith(b"HTTP/1.1 200")
    assert system.api.exit_code() == 0


def is_open(port: int) -> bool:
    """Whether the port does not refuse: of a server that is to end the kernel may ask again after a second only."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
    except ConnectionRefusedError:
        return False
    except TimeoutError:
        return True
    return True


def test_idle_services_end_at_once_and_log_only_whole_json_lines(
    database: Database, system: System, load: Load
) -> None:
    system.start()
    load.post(applications(5))
    load.wait()
    eventually(lambda: database.value("SELECT count(*) FROM applications WHERE status = 'PENDING'") == 0)

    codes = [system.services[name].end(within=10) for name in SERVICES]

    assert codes == [0, 0, 0, 0]
    assert all(system.services[name].logged("stopped") for name in SERVICES)
    assert not any(system.services[name].logged("shutdown_forced") for name in SERVICES)
    for name, service in zip(SERVICES, ("prequal-api", "credit-service", "decision-service", "publisher"), strict=True):
        lines = [json.loads(line) for line in system.services[name].log.read_text().splitlines()]
        assert lines
        assert all({"timestamp", "level", "service", "event"} <= set(line) for line in lines)
        assert {line["service"] for line in lines} == {service}
