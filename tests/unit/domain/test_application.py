from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

from prequal.domain.application import first_id


def test_ids_from_the_first_of_a_millisecond_on_are_of_it_or_later() -> None:
    now, minute = datetime.now(UTC), timedelta(minutes=1)

    assert first_id(now - minute) < uuid7() < first_id(now + minute)
