"""Consumed messages: decoded or undecodable, until they are acknowledged.

Invariant: a message keeps its place (partition and offset) and the time it was first seen.
"""

from datetime import UTC, datetime
from typing import Generic, TypeVar

from confluent_kafka import Message

from prequal.core.errors import Invalid
from prequal.domain.pan_detection import contains_pan
from prequal.messaging.events import Event
from prequal.messaging.kafka_clients import message_headers
from prequal.messaging.offset_tracker import MessagePlace, Partition
from prequal.telemetry import tracing

HEADER_BYTES_MAX = 128

E = TypeVar("E", bound=Event)


class ConsumedMessage:
    """A message that was consumed and is not acknowledged yet."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.partition: Partition = (message.topic() or "", message.partition() or 0)
        self.offset: int = message.offset() or 0
        self.first_seen = datetime.now(UTC)
        self.attempts = 1
        self.span = tracing.UNTRACED

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
        for key, value in message_headers(self.message):
            if key == name and isinstance(value, bytes) and len(value) <= HEADER_BYTES_MAX and value.isascii():
                text = value.decode()
                return text if text.isprintable() and not contains_pan(text) else None
        return None


class Received(ConsumedMessage, Generic[E]):
    """A message whose event was decoded."""

    def __init__(self, message: Message, event: E) -> None:
        super().__init__(message)
        self.event = event


class Undecodable(ConsumedMessage):
    """A message whose event could not be decoded, and why."""

    def __init__(self, message: Message, invalid: Invalid) -> None:
        super().__init__(message)
        self.invalid = invalid
