"""What a person types to say which: points in time, ids, topics; read strictly.

Invariant: what cannot be read is refused with one sentence before anything is looked at, and nothing is guessed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from prequal.core.errors import Misconfigured
from prequal.core.topology import dead_letter_topic, topic_of
from prequal.domain.events import EventType
from prequal.domain.pan_detection import redact

Moment: TypeAlias = datetime | timedelta
"""A point in time, or so long ago."""

TOPICS = tuple(topic_of(event_type) for event_type in EventType)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHOWN_MAX = 60

_DURATION = re.compile(r"([0-9]{1,5})([smhdw])", re.ASCII)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since`, and before `until`; without a bound where there is none."""

    since: datetime | None = None
    until: datetime | None = None

    def __contains__(self, moment: datetime) -> bool:
        """Whether `moment` lies in it."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


def read_moment(option: str, text: str) -> Moment:
    """`2026-11-23T09:30:00Z` (RFC 3339), or a duration such as `90s`, `30m`, `2h`, `7d`, `1w`: so long ago.

    Raises:
        Misconfigured: it is neither; a time without its zone is not taken, for it could mean two moments.
    """
    try:
        if duration := _DURATION.fullmatch(text):
            return timedelta(**{UNITS[duration[2]]: int(duration[1])})
        if _RFC_3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Misconfigured(
        f"{option} {quoted(text)} is no time: give 2026-11-23T09:30:00Z, or a duration such as 90s, 30m, 2h or 7d."
    )


def period(since: Moment | None, until: Moment | None, now: datetime) -> Period:
    """The time between two moments, as seen at `now`.

    Raises:
        Misconfigured: it ends before it begins.
    """
    found = Period(_at(since, now), _at(until, now))
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise Misconfigured("--since is not before --until: no moment lies between them.")
    return found


def read_application_id(text: str, option: str = "--application") -> UUID:
    """The id of an application.

    Raises:
        Misconfigured: it is no UUID in its usual spelling.
    """
    if not _UUID.fullmatch(text.lower()):
        raise Misconfigured(f"{option} {quoted(text)} is no id of an application: a UUID is expected.")
    return UUID(text)


def read_topic(text: str, topics: Sequence[str] = TOPICS) -> str:
    """One of `topics`.

    Raises:
        Misconfigured: it is none of them.
    """
    if text not in topics:
        raise Misconfigured(f"--topic {quoted(text)} is none of the topics {' and '.join(topics)}.")
    return text


def read_source_topic(text: str) -> str:
    """The topic whose dead letters are meant, by its own name or by theirs.

    Raises:
        Misconfigured: there is no such topic.
    """
    sources = {dead_letter_topic(topic): topic for topic in TOPICS}
    return sources.get(text) or read_topic(text)


def quoted(text: str) -> str:
    """What was typed, fit for a sentence: short, printable, without a PAN."""
    plain = redact("".join(letter if letter.isprintable() else "?" for letter in text))
    return f"`{plain[:SHOWN_MAX]}…`" if len(plain) > SHOWN_MAX else f"`{plain}`"


def _at(moment: Moment | None, now: datetime) -> datetime | None:
    return now - moment if isinstance(moment, timedelta) else moment
