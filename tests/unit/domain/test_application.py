from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

from prequal.domain.application import first_id, time_of


def test_ids_from_the_first_of_a_millisecond_on_are_of_it_or_later() -> None:
    now, minute = datetime.now(UTC), timedelta(minutes=1)

    assert first_id(now - minute) < uuid7() < first_id(now + minute)


def test_id_names_the_millisecond_in_which_its_application_came() -> None:
    came = datetime(2026, 11, 29, 8, 30, 0, 123_000, tzinfo=UTC)

    assert time_of(first_id(came)) == came
