"""What the broker has answered for rows in flight, and what follows from each answer.

Invariant: a row is refused for a reason of its own or of its topic; everything else leaves it in the outbox.

    acknowledged → archive    topic is missing → park, briefly    refused alone → park    anything else → publish again
"""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from confluent_kafka import KafkaError

from prequal.messaging.kafka_clients import REFUSALS_OF_A_BATCH, is_infrastructure_error, is_missing_topic
from prequal.telemetry import metrics

log = structlog.get_logger()

LOG_EVERY_SECONDS: Final = 10.0
"""Failed deliveries are counted and logged this often: they are retried many times a second."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """The broker's answer for one row.

    Attributes:
        id: of the row.
        error: None when the broker has acknowledged the row.
        traceparent: of the span in which the row was published.
    """

    id: int
    error: KafkaError | None
    traceparent: str | None = None


class DeliveryReports:
    """The answers for one topic: added by the producer's thread, taken by the topic's relay.

    Attributes:
        arrived: set in the event loop when there are reports to take; the relay clears it.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._waiting: deque[DeliveryReport] = deque()

    def __bool__(self) -> bool:
        """Whether there are reports to take."""
        return bool(self._waiting)

    def add(self, report: DeliveryReport) -> None:
        """Keep a report until it is taken. From any thread; `arrived` is left as it is."""
        self._waiting.append(report)

    def take(self) -> list[DeliveryReport]:
        """The reports that have come since the last call, in order."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Delivery reports by what follows from them; rows to park carry the broker's reason."""

    acknowledged: list[int] = field(default_factory=list)
    unknown_topic: list[tuple[int, str]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    to_isolate: list[int] = field(default_factory=list)
    """Refused together with others: each is published alone before a refusal counts as its own."""
    errors: list[KafkaError] = field(default_factory=list)

    @property
    def done(self) -> list[int]:
        """The rows that are archived or parked by these reports."""
        return [*self.acknowledged, *(row for row, _ in self.unknown_topic), *(row for row, _ in self.refused)]

    @property
    def blame_broker(self) -> bool:
        """Whether no row was taken or refused, and the broker or the network is why."""
        return not self.done and any(is_infrastructure_error(error) for error in self.errors)


def classify(reports: Sequence[DeliveryReport], published_alone: Collection[int]) -> Deliveries:
    """Sort `reports` by what follows from them.

    A broker refuses a whole batch for one message in it (MSG_SIZE_TOO_LARGE, INVALID_RECORD …), and the client reports
    that error for every message of the batch. So such an error does not say which row is at fault, unless the row was
    in `published_alone`.
    """
    deliveries = Deliveries()
    for report in reports:
        error = report.error
        if error is None:
            deliveries.acknowledged.append(report.id)
            continue
        deliveries.errors.append(error)
        if is_missing_topic(error):
            deliveries.unknown_topic.append((report.id, error.str()))
        elif is_infrastructure_error(error):
            continue
        elif error.code() in REFUSALS_OF_A_BATCH and report.id not in published_alone:
            deliveries.to_isolate.append(report.id)
        else:
            deliveries.refused.append((report.id, error.str()))
    return deliveries


class DeliveryErrors:
    """Counts the failed deliveries of one topic, and logs their sums every ten seconds."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._not_logged: Counter[str] = Counter()
        self._log_at = 0.0

    def record(self, errors: Sequence[KafkaError]) -> None:
        """Count `errors`, and log what was counted if the last line is ten seconds ago."""
        for reason, count in Counter(error.name() for error in errors).items():
            label = reason if reason in metrics.PUBLISH_ERROR_NAMES else "other"
            metrics.PUBLISH_ERRORS.labels(self._topic, label).inc(count)
            self._not_logged[reason] += count
        now = asyncio.get_running_loop().time()
        if self._not_logged and now >= self._log_at:
            self._log_at = now + LOG_EVERY_SECONDS
            self._log()

    def _log(self) -> None:
        for reason, count in self._not_logged.items():
            log.error("publish_failed", error_code="KAFKA_PUBLISH_ERROR", topic=self._topic, reason=reason, count=count)
        self._not_logged.clear()
