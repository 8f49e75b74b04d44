"""Lenders' apps that post as the API asks them to, and the checker of what became of their applications."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from harness import oracle
from harness.applications import a_rejected_application, an_application, an_idempotency_key
from harness.broker import REPORTED, REPORTED_DLQ, SUBMITTED, SUBMITTED_DLQ, Broker, headers_of
from harness.database import Database
from harness.system import DRAW_KEY
from harness.waiting import eventually
from prequal.domain.events import EventType

AGAIN = {409, 503}
"""Answers after which an app posts again, with the same key: in use, or unavailable."""


def applications(count: int) -> list[dict[str, Any]]:
    """Applications of every outcome, each with a PAN of its own."""
    kinds = (
        lambda: an_application(),
        lambda: an_application(loan_amount_inr="99000000.00"),
        lambda: a_rejected_application(),
        lambda: an_application(loan_type="AUTO", monthly_income_inr="30000.00", loan_amount_inr="1440000.00"),
    )
    return [kinds[number % len(kinds)]() for number in range(count)]


class Load:
    """Posts applications from several threads, each again and again with its key until it is accepted."""

    def __init__(self, url: str, threads: int = 8, patience_seconds: float = 40.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self._pool = ThreadPoolExecutor(threads)
        self._patience = patience_seconds
        self._lock = threading.Lock()
        self.accepted: dict[str, dict[str, Any]] = {}
        self.statuses: Counter[int] = Counter()
        self._posts: list[Future[None]] = []

    def post(self, bodies: Iterable[dict[str, Any]]) -> None:
        """Begin to post these; returns at once."""
        self._posts += [self._pool.submit(self._until_accepted, body) for body in bodies]

    def wait(self) -> dict[str, dict[str, Any]]:
        """Wait until all are accepted; what was posted, by id."""
        for post in self._posts:
            post.result(self._patience + 15)
        return self.accepted

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _until_accepted(self, body: dict[str, Any]) -> None:
        key, deadline = an_idempotency_key(), time.monotonic() + self._patience
        while time.monotonic() < deadline:
            try:
                response = self._client.post("/applications", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            with self._lock:
                self.statuses[response.status_code] += 1
                if response.status_code == 202:
                    self.accepted[response.json()["application_id"]] = body
                    return
            assert response.status_code in AGAIN, response.text
            time.sleep(0.05)
        raise AssertionError(f"an application was not accepted within {self._patience:g} s")


def assert_all_is_well(
    database: Database, broker: Broker, accepted: dict[str, dict[str, Any]], within: float = 30.0
) -> None:
    """Wait until nothing is on its way any more, and see that every accepted application ended as it should.

    Each is there, with the status that the oracle works out; nothing else is there; nothing waits; every event was
    published, with one id a fact; every decryption is on record.
    """
    eventually(lambda: database.value("SELECT count(*) FROM applications WHERE status = 'PENDING'") == 0, within)
    eventually(lambda: database.unpublished() == 0, within)
    eventually(lambda: broker.lag() == 0, within)
    found = {str(row["id"]): row for row in database.rows("SELECT * FROM applications")}
    assert set(found) == set(accepted)
    for application_id, body in accepted.items():
        _assert_decided_right(found[application_id], body)
    _assert_published(broker, SUBMITTED, EventType.APPLICATION_SUBMITTED, set(accepted))
    _assert_published(broker, REPORTED, EventType.CREDIT_REPORT_GENERATED, set(accepted))
    assert (broker.published(SUBMITTED_DLQ), broker.published(REPORTED_DLQ)) == (0, 0)
    _assert_recorded(database, set(accepted))


def _assert_decided_right(row: dict[str, Any], body: dict[str, Any]) -> None:
    score, status = oracle.outcome(
        DRAW_KEY, body["pan_number"], body["monthly_income_inr"], body["loan_amount_inr"], body["loan_type"]
    )
    assert (row["cibil_score"], row["status"]) == (score, status)
    assert row["version"] == 2


def _assert_published(broker: Broker, topic: str, event_type: EventType, accepted: set[str]) -> None:
    messages = broker.read(topic, len(accepted))
    facts = {(headers_of(message)["event_id"], bytes(message.key() or b"").decode()) for message in messages}
    assert len(facts) == len(accepted)
    assert {application_id for _, application_id in facts} == accepted
    assert {headers_of(message)["event_type"] for message in messages} == {event_type.value}


def _assert_recorded(database: Database, accepted: set[str]) -> None:
    records = database.rows("SELECT application_id, action, count(*) AS times FROM audit_log GROUP BY 1, 2")
    written = {str(record["application_id"]) for record in records if record["action"] == "WRITE"}
    read = {str(record["application_id"]) for record in records if record["action"] == "READ"}
    assert written == read == accepted
    assert all(record["times"] == 1 for record in records if record["action"] == "WRITE")
