"""`domain.times`: how a time is spelt."""

from datetime import UTC, datetime

from prequal.domain.times import rfc3339, to_the_second


def test_time_is_shown_to_the_second_in_utc() -> None:
    assert to_the_second(datetime(2026, 11, 23, 9, 30, 0, 987_654, tzinfo=UTC)) == "2026-11-23T09:30:00Z"
    assert to_the_second(None) is None


def test_times_are_spelt_with_six_decimals() -> None:
    assert rfc3339(datetime(2026, 11, 23, 9, 30, tzinfo=UTC)) == "2026-11-23T09:30:00.000000Z"
