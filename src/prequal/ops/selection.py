"""Reads the arguments that select something: points in time, ids, topics.

Invariant: what cannot be read is refused with one sentence before any store is asked, and nothing is guessed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from prequal.core.errors import UsageError
from prequal.core.topology import GROUPS, TOPICS, dead_letter_topic
from prequal.domain.pan_detection import redact

Moment: TypeAlias = datetime | timedelta
"""A point in time, or a duration before now."""

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHOWN_MAX = 60

SOURCES: Mapping[str, str] = {dead_letter_topic(topic): topic for topic in GROUPS}
"""The source topic of each dead-letter topic."""

_DURATION = re.compile(r"([0-9]{1,5})([smhdw])", re.ASCII)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
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
    """`2026-11-23T09:30:00Z` (RFC 3339), or a duration such as `90s`, `30m`, `2h`, `7d`, `1w` before now.

    Raises:
        UsageError: it is neither; a time without a zone is refused as ambiguous.
    """
    try:
        if duration := _DURATION.fullmatch(text):
            return timedelta(**{UNITS[duration[2]]: int(duration[1])})
        if _RFC_3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{option} {quoted(text)} is not a time: give 2026-11-23T09:30:00Z, or a duration such as 90s, 30m, 2h or 7d."
    )


def period(since: Moment | None, until: Moment | None, now: datetime) -> Period:
    """The period between two moments; durations count back from `now`.

    Raises:
        UsageError: it ends before it begins.
    """
    found = Period(_at(since, now), _at(until, now))
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise UsageError("The period does not begin before it ends: no moment lies in it.")
    return found


def read_application_id(text: str) -> UUID:
    """The id of an application.

    Raises:
        UsageError: it is not a UUID in its usual spelling.
    """
    if not _UUID.fullmatch(text.lower()):
        raise UsageError(f"--application {quoted(text)} is not the id of an application: a UUID is expected.")
    return UUID(text)


def read_trace_id(text: str) -> str:
    """The id of an application or of a request, as it was typed: that of a request is what its client sent.

    Raises:
        UsageError: it is neither; an id with a PAN in it was never taken from a client.
    """
    if application_id_of(text) is None and (not _REQUEST_ID.fullmatch(text) or redact(text) != text):
        raise UsageError(f"ID {quoted(text)} is neither the id of an application nor of a request.")
    return text


def application_id_of(text: str) -> UUID | None:
    """The id that a text in a UUID's usual spelling may be; None for any other text."""
    return UUID(text) if _UUID.fullmatch(text.lower()) else None


def read_topic(text: str, topics: Sequence[str] = TOPICS, *, argument: str = "--topic") -> str:
    """One of `topics`.

    Raises:
        UsageError: it is none of them.
    """
    if text not in topics:
        raise UsageError(f"{argument} {quoted(text)} is none of the topics {' and '.join(topics)}.")
    return text


def read_source_topic(text: str) -> str:
    """A source topic, given by its own name or by that of its dead-letter topic.

    Raises:
        UsageError: there is no such topic.
    """
    return SOURCES.get(text) or read_topic(text, tuple(GROUPS))


def quoted(text: str) -> str:
    """What was typed, fit for a sentence: short, printable, without a PAN."""
    plain = redact("".join(character if character.isprintable() else "?" for character in text))
    return f"`{plain[:SHOWN_MAX]}…`" if len(plain) > SHOWN_MAX else f"`{plain}`"


def _at(moment: Moment | None, now: datetime) -> datetime | None:
    return now - moment if isinstance(moment, timedelta) else moment
