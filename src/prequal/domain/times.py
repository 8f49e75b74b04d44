"""Times as text."""

from datetime import datetime


def to_the_second(at: datetime | None) -> str | None:
    """A time of UTC as `2026-11-23T09:30:00Z`; None where there is none."""
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc3339(moment: datetime) -> str:
    """`moment`, which is UTC, as `2026-11-23T09:30:00.123456Z`: always with six decimals."""
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"
