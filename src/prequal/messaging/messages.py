"""Consumed messages: decoded or undecodable, until they are acknowledged.

Invariant: a message keeps its place (partition and offset) and the time it was first seen.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from prequal.core.errors import Invalid
from prequal.domain.pan_detection import contains_pan
from prequal.messaging.events import Event
from prequal.messaging.kafka_clients import Headers, read_headers
from prequal.messaging.offset_tracker import MessagePlace, Partition
from prequal.telemetry import tracing

HEADER_BYTES_MAX = 128

E = TypeVar("E", bound=Event)


class ConsumedMessage:
    """A message that was consumed and is not acknowledged yet.

    Args:
        message: the message, whose own headers must not be read any more.
        headers: its headers, read once by `read_headers`; empty when they were unreadable.
    """

    def __init__(self, message: Message, headers: Headers) -> None:
        self.message = message
        self.headers = headers
        self.partition: Partition = (message.topic() or "", message.partition() or 0)
        self.offset: int = message.offset() or 0
        self.first_seen = datetime.now(UTC)
        self.attempts = 1
        self.span = tracing.UNTRACED
        self._texts: dict[str, str | None] = {}

    @property
    def place(self) -> MessagePlace:
        """Its partition and offset."""
        return self.partition, self.offset

    @property
    def traceparent(self) -> str | None:
        """The `traceparent` of whatever the message causes."""
        return self.span.traceparent or self.header("traceparent")

    def header(self, name: str) -> str | None:
        """A header's text, if it is there, short, printable ASCII, and nothing like a PAN."""
        if name not in self._texts:
            self._texts[name] = self._text(name)
        return self._texts[name]

    def begin_span(self) -> None:
        """Begin the span in which the message is processed."""
        topic, partition = self.partition
        self.span = tracing.begin(f"process {topic}", "CONSUMER", self.header("traceparent"))
        if tracing.is_on():
            self.span.note(
                {"messaging.destination.partition.id": str(partition), "messaging.kafka.offset": self.offset}
            )

    def _text(self, name: str) -> str | None:
        for key, value in self.headers:
            if key == name and isinstance(value, bytes) and len(value) <= HEADER_BYTES_MAX and value.isascii():
                text = value.decode()
                return text if text.isprintable() and not contains_pan(text) else None
        return None


class Received(ConsumedMessage, Generic[E]):
    """A message whose event was decoded."""

    def __init__(self, message: Message, headers: Headers, event: E) -> None:
        super().__init__(message, headers)
        self.event = event
        self.failures = 0
        """How often the handler failed on it."""
        self.answer: asyncio.Future[Any] | None = None
        """What its handler waited for, when it is handled again."""

    def begin_span(self) -> None:
        """Begin the span in which the message is processed."""
        super().begin_span()
        if tracing.is_on():
            self.span.note({"prequal.application_id": str(self.event.application_id)})


class Undecodable(ConsumedMessage):
    """A message whose event could not be decoded, and why."""

    def __init__(self, message: Message, headers: Headers, invalid: Invalid) -> None:
        super().__init__(message, headers)
        self.invalid = invalid


def decoded(message: Message, event_class: type[E]) -> Received[E] | Undecodable:
    """A message as it was consumed, with its event; its headers are read here, and nowhere else."""
    headers = read_headers(message)
    if headers is None:
        return Undecodable(message, [], Invalid("unreadable_headers", "the client cannot read the headers"))
    try:
        return Received(message, headers, event_class.decode(message.value()))
    except Invalid as invalid:
        return Undecodable(message, headers, invalid)
