"""Every metric, with its unit and meaning. The names are public: dashboards and alerts are written against them.

Neighbours: whoever counts imports from here; `kernel.http` shows them with the process's `service` label.
Invariant: no label carries personal data, an id or anything a client chose.
"""

from collections.abc import Iterable
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
SCORES = tuple(range(300, 901, 50))

HTTP_REQUESTS = Counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Seconds from a request's head to its answer.",
    ["method", "route"],
    buckets=SECONDS,
)
HTTP_IN_PROGRESS = Gauge("http_requests_in_progress", "Requests being answered now.")

PUBLISHED = Counter("kafka_messages_published_total", "Messages that the broker acknowledged.", ["topic"])
PUBLISH_ERRORS = Counter("kafka_publish_errors_total", "Messages that the broker refused or lost.", ["topic", "error"])
CONSUMED = Counter("kafka_messages_consumed_total", "Messages settled, by how.", ["topic", "outcome"])
CONSUMER_LAG = Gauge("kafka_consumer_lag", "Messages between the committed offset and the end.", ["topic", "partition"])
DEAD_LETTERS = Counter("dead_letters_total", "Messages put aside because they can never succeed.", ["topic", "reason"])
CONSUMER_STOPPED = Gauge("consumer_stopped", "1 while too many dead letters in a row have stopped the consumer.")
PARTITIONS_HELD = Gauge("consumer_partitions_held", "Partitions that wait for a key nobody gave this process.")
RETRIES = Counter("retries_total", "Things tried again, by what was tried.", ["what"])

DB_CONNECTIONS_ACTIVE = Gauge("db_connections_active", "Connections to PostgreSQL at work.", ["use"])
DB_CONNECTIONS_IDLE = Gauge("db_connections_idle", "Connections to PostgreSQL open and idle.", ["use"])
DB_SECONDS = Histogram("db_query_duration_seconds", "Seconds a transaction took.", ["query"], buckets=SECONDS)

SUBMITTED = Counter("applications_submitted_total", "Applications accepted.", ["loan_type"])
BY_STATUS = Counter("applications_by_status_total", "Applications decided, by final status.", ["status"])
SCORE = Histogram("cibil_score_distribution", "Scores of the bureau.", buckets=SCORES)
DECISION_SECONDS = Histogram(
    "decision_duration_seconds", "Seconds from an application's acceptance to its final status.", buckets=SECONDS
)
PAN_DECRYPTS = Counter("pan_decrypts_total", "Sealed PANs opened.")

OUTBOX_DEPTH = Gauge("outbox_depth", "Events not yet told.", ["topic"])
OUTBOX_OLDEST_SECONDS = Gauge("outbox_oldest_age_seconds", "Age of the oldest event not yet told.", ["topic"])
OUTBOX_PARKED = Gauge("outbox_parked", "Events that the broker refused, waiting for their next try.", ["topic"])
OLDEST_UNDECIDED_SECONDS = Gauge("oldest_undecided_age_seconds", "Age of the oldest application without a decision.")

RETOLD = Counter("events_retold_total", "Events told again for applications undecided for too long.")

BREAKER_STATE = Gauge(
    "breaker_state",
    "How a dependency is used: 0 closed (freely), 1 half-open (one probe), 2 open (not at all).",
    ["breaker"],
)
DEPENDENCY_UP = Gauge("dependency_up", "1 while the dependency answers.", ["dependency"])


class Labelled(Collector):
    """Everything registered in this process, each sample with the label `service`."""

    def __init__(self, service: str) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """The metrics of the process, labelled."""
        for metric in REGISTRY.collect():
            metric.samples = [self._labelled(sample) for sample in metric.samples]
            yield metric

    def _labelled(self, sample: Any) -> Any:
        return sample._replace(labels={**sample.labels, "service": self._service})
