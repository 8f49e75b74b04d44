"""The metrics of each process, with the series that exist from its start, and their page.

Invariant: every series that can be foreseen exists from the start, at 0, so that its first event counts as an
increase.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from prequal.core.errors import KINDS
from prequal.core.topology import TOPICS, Service, topic_of
from prequal.domain.api_client import LOCAL
from prequal.domain.application import LoanType
from prequal.domain.events import EventType
from prequal.domain.policy.packaged import CURRENT, outcomes
from prequal.telemetry import metrics
from prequal.telemetry.collected_gauge import CollectedGauge
from prequal.telemetry.metrics import READ_ROUTES, SUBMIT_ROUTE

Labels: TypeAlias = tuple[str, ...]
Metrics: TypeAlias = Counter | Gauge | Histogram | CollectedGauge

_LOAN_TYPES = [(loan_type.value,) for loan_type in LoanType]
_FINAL = [status.value for status in dict.fromkeys(outcomes().values())]
_OUTCOMES = ("ok", "refused", "failed")


def _of(*labels: str) -> list[Labels]:
    return [(label,) for label in labels]


def _own(*queries: str) -> dict[Metrics, list[Labels]]:
    """The metrics of every process, with the names of its transactions."""
    return {
        metrics.DEPENDENCY_UP: _of("database", "kafka"),
        metrics.BREAKER_STATE: _of("database"),
        metrics.HTTP_CONNECTIONS: [],
        metrics.HTTP_CONNECTIONS_LIMIT: [],
        metrics.PYTHON_BUILD: [],
        metrics.HTTP_CONNECTIONS_CLOSED: _of("idle", "head", "unread", "room", "refused", "handshake"),
        metrics.DB_CONNECTIONS_ACTIVE: _of("own"),
        metrics.DB_CONNECTIONS_IDLE: _of("own"),
        metrics.DB_SECONDS: _of(*queries),
    }


def _consumer(topic: str, *queries: str) -> dict[Metrics, list[Labels]]:
    return _own(*queries) | {
        metrics.BREAKER_STATE: _of("database", "kafka_producer"),
        metrics.CONSUMED: [(topic, outcome) for outcome in ("done", "duplicate", "dead", "postponed")],
        metrics.DEAD_LETTERS: [(topic, reason) for reason in KINDS],
        metrics.CONSUMER_STOPPED: [],
        metrics.PARTITIONS_WITHOUT_KEY: [],
        metrics.PARTITIONS_IN_TRANSACTION: [],
        metrics.HOP_SECONDS: [(topic, "outbox"), (topic, "topic")],
    }


def _writer(topic: str) -> dict[Metrics, list[Labels]]:
    """The metrics of a process that publishes its own events."""
    return {
        metrics.PUBLISHED: _of(topic),
        metrics.PUBLISH_ERRORS: list(product((topic,), metrics.PUBLISH_ERROR_NAMES)),
    }


_POOL: dict[Metrics, list[Labels]] = {
    **dict.fromkeys((metrics.DB_CONNECTIONS_ACTIVE, metrics.DB_CONNECTIONS_IDLE), _of("own", "pool")),
    metrics.DB_CONNECTIONS_LIMIT: _of("pool"),
}
_SUBMIT_STATUSES = ("202", "400", "401", "403", "408", "409", "413", "415", "422", "429", "500", "503")
_READ_STATUSES = ("200", "401", "403", "404", "422", "429", "500", "503")
_PROBES = (("/health", "200"), ("/ready", "200"), ("/ready", "503"), ("/metrics", "200"))
_UNREAD_STATUSES = ("400", "408", "414", "431", "503")
"""Of what is refused before it is a request."""

SHOWN: Mapping[Service, Mapping[Metrics, Sequence[Labels]]] = {
    Service.API: _own("write", "archive", "status", "decision", "policy", "clients")
    | _writer(topic_of(EventType.APPLICATION_SUBMITTED))
    | {
        metrics.HTTP_REQUESTS: [
            *(("POST", SUBMIT_ROUTE, status) for status in _SUBMIT_STATUSES),
            *(("GET", *read) for read in product(READ_ROUTES.values(), _READ_STATUSES)),
            *(("GET", *probe) for probe in _PROBES),
            *(("other", "other", status) for status in _UNREAD_STATUSES),
        ],
        metrics.HTTP_SECONDS: [
            (*place, outcome)
            for place in (
                ("POST", SUBMIT_ROUTE),
                *(("GET", route) for route in READ_ROUTES.values()),
            )
            for outcome in _OUTCOMES
        ],
        metrics.HTTP_IN_PROGRESS: [],
        metrics.CLIENT_REQUESTS: [(LOCAL, outcome) for outcome in _OUTCOMES],
        metrics.AUTHENTICATION_FAILURES: _of("missing", "invalid", "limited", "forbidden"),
        metrics.RATE_LIMITED: _of("requests", "repeats"),
        **_POOL,
        metrics.RETRIES: _of("write", "commit", "producer"),
        metrics.SUBMITTED: _LOAN_TYPES,
        metrics.REQUESTED_INR: _LOAN_TYPES,
        metrics.WAITING: [],
        metrics.KEY_SERVICE_AWAY: [],
        metrics.WAITING_LIMIT: [],
        metrics.SHED: [],
    },
    Service.CREDIT: _consumer(
        topic_of(EventType.APPLICATION_SUBMITTED),
        *("record_decryptions", "append_reports", "archive", "kept_reports", "count_calls"),
    )
    | _writer(topic_of(EventType.CREDIT_REPORT_GENERATED))
    | {
        metrics.RETRIES: _of("message", "batch", "consumer", "producer"),
        metrics.SCORE: [],
        metrics.PAN_DECRYPTS: [],
        metrics.KEY_SERVICE_AWAY: [],
        metrics.BUREAU_AWAITED: [],
        metrics.BUREAU_REQUESTS: _of("score", "no_file", "failed"),
        metrics.BUREAU_SECONDS: [],
        metrics.BUREAU_REUSED: [],
        metrics.BUREAU_CALLS_LIMIT: [],
    },
    Service.DECISION: _consumer(topic_of(EventType.CREDIT_REPORT_GENERATED), "look_up", "write_decisions")
    | {
        metrics.RETRIES: _of("message", "batch", "consumer", "optimistic_lock"),
        metrics.BY_STATUS: [
            (status.value, reason, loan_type.value)
            for (reason, status), loan_type in product(outcomes().items(), LoanType)
        ],
        metrics.DECIDED_INR: [
            (status.value, loan_type.value)
            for status, loan_type in product(dict.fromkeys(outcomes().values()), LoanType)
        ],
        metrics.DECISION_SECONDS: [],
        metrics.POLICY_IN_FORCE: _of(CURRENT),
        metrics.POLICY_REFUSED: [],
        metrics.BY_ROLE: list(product(("live", "challenger"), _FINAL)),
        metrics.SHADOW_DECISIONS: list(product(_FINAL, _FINAL)),
    },
    Service.PUBLISHER: _own("archive_and_read", "archive", "system_metrics", "republish")
    | {
        metrics.BREAKER_STATE: _of("database", "kafka_producer"),
        metrics.RETRIES: _of("publish", "parked", "producer"),
        metrics.PUBLISHED: _of(*TOPICS),
        metrics.PUBLISH_ERRORS: list(product(TOPICS, metrics.PUBLISH_ERROR_NAMES)),
        metrics.REPUBLISHED: [],
    }
    | {gauge: [] for gauge in metrics.COLLECTED},
    Service.CONSOLE: _own("console_session", "console_read", "console_write", "record_lag")
    | {
        **_POOL,
        metrics.RECORD_CHAINED_AT: [],
        metrics.RECORD_UNCHAINED_AGE: [],
        metrics.RECORD_HEAD_UNWRITTEN_AGE: [],
        metrics.ISSUER_SIGN_INS: _of(
            "done", "another_browser", "not_vouched", "unknown_subject", "limited", "busy", "away"
        ),
    },
}
"""The metrics of each process, with the series that exist from its start."""


class Labelled(Collector):
    """The metrics of one process, each sample with the label `service`."""

    def __init__(self, exporter: Service, service: str) -> None:
        self._metrics = list(SHOWN[exporter])
        self._service = service
        for metric, foreseen in SHOWN[exporter].items():
            for values in foreseen:
                assert not isinstance(metric, CollectedGauge)  # its series come with its values
                metric.labels(*values)

    def collect(self) -> Iterable[Metric]:
        """The metrics of the process, and those of Python itself, labelled."""
        for collector in (REGISTRY, *self._metrics):
            for metric in collector.collect():
                metric.samples = [self._labelled(sample) for sample in metric.samples]
                yield metric

    def _labelled(self, sample: Any) -> Any:
        return sample._replace(labels={**sample.labels, "service": self._service})
