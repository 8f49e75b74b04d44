"""A dead letter as it is read back: its place, its origin, its reason and its content.

Invariant: no field of a `StoredDeadLetter` holds a PAN or a control character, whatever was in the message; a message's
headers are read once, here, and the message is not handed on.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from prequal.core.errors import UsageError
from prequal.domain.pan_detection import redact
from prequal.messaging.dead_letter_publisher import ATTEMPTS, FIRST_SEEN, PREFIX
from prequal.messaging.kafka_clients import Headers, read_headers
from prequal.ops.selection import SOURCES, quoted

UNKNOWN_KIND = "unknown"
HEADER_MAX = 500
EXAMPLE = "loan_applications_submitted_dlq:0:17"

_ID = re.compile(r"([a-z_]{1,100}):(0|[1-9][0-9]{0,8}):(0|[1-9][0-9]{0,17})", re.ASCII)


class DeadLetterState(StrEnum):
    """The state of a dead letter: it waits until a person resolves it."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, order=True)
class DeadLetterId:
    """The place of a dead letter: its dead-letter topic, partition and offset."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def source(self) -> str:
        """The topic that the message failed on, and is replayed to."""
        return SOURCES[self.topic]

    @classmethod
    def read(cls, text: str) -> Self:
        """The id that `str` spells.

        Raises:
            UsageError: it is not one. The source topic is not accepted in place of the dead-letter topic: with an
                offset of the source it would name another message.
        """
        parts = _ID.fullmatch(text)
        if parts is None or parts[1] not in SOURCES:
            raise UsageError(f"{quoted(text)} is not the id of a dead letter; an example is {EXAMPLE}.")
        return cls(parts[1], int(parts[2]), int(parts[3]))


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of the original message; None where the headers do not give it."""

    topic: str
    partition: int | None
    offset: int | None


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter without its payload, and what was done about it."""

    id: DeadLetterId
    written_at: datetime
    event_id: UUID | None
    application_id: UUID | None
    kind: str
    error_message: str
    origin: Origin
    first_seen: str | None
    last_seen: str | None
    attempts: int | None
    state: DeadLetterState = DeadLetterState.WAITING


@dataclass(frozen=True, slots=True)
class WholeDeadLetter:
    """A dead letter with its content, byte for byte; without headers when they were unreadable."""

    dead_letter: StoredDeadLetter
    key: str | bytes | None
    headers: Headers
    value: str | bytes | None

    @property
    def replay_headers(self) -> Headers:
        """The headers that the message had before it became a dead letter, and those that carry its history on."""
        return [
            (name, value)
            for name, value in self.headers
            if not name.startswith(PREFIX) or name in (FIRST_SEEN, ATTEMPTS)
        ]


def read_dead_letter(message: Message) -> WholeDeadLetter:
    """Read a message of a dead-letter topic, whose own headers must not be read before or after it."""
    headers = read_headers(message) or []
    return WholeDeadLetter(_dead_letter_of(message, headers), message.key(), headers, message.value())


def _dead_letter_of(message: Message, found: Headers) -> StoredDeadLetter:
    """What is known of it; a field that is missing or malformed is None, never an error."""
    id_ = id_of(message)
    headers = {name: plain(_text(value))[:HEADER_MAX] for name, value in found}
    ours = {name.removeprefix(PREFIX): text for name, text in headers.items() if name.startswith(PREFIX)}
    body = _body(message.value())
    return StoredDeadLetter(
        id=id_,
        written_at=_written_at(message),
        event_id=_uuid(body.get("event_id")) or _uuid(headers.get("event_id")),
        application_id=_uuid(body.get("application_id")) or _uuid(_text(message.key())),
        kind=ours.get("error_kind") or UNKNOWN_KIND,
        error_message=ours.get("error_message", ""),
        origin=Origin(id_.source, _number(ours.get("partition")), _number(ours.get("offset"))),
        first_seen=ours.get("first_seen"),
        last_seen=ours.get("last_seen"),
        attempts=_number(ours.get("attempts")),
    )


def id_of(message: Message) -> DeadLetterId:
    """The id of a message of a dead-letter topic."""
    return DeadLetterId(message.topic() or "", message.partition() or 0, message.offset() or 0)


def plain(text: str) -> str:
    """`text` without PANs and without control characters."""
    return "".join(character if character.isprintable() else "?" for character in redact(text))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _body(value: str | bytes | None) -> dict[str, object]:
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 19 else None


def _written_at(message: Message) -> datetime:
    kind, milliseconds = message.timestamp()
    known = kind != TIMESTAMP_NOT_AVAILABLE and milliseconds >= 0
    try:
        return datetime.fromtimestamp(milliseconds / 1000 if known else 0, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
