import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.core.errors import UsageError
from prequal.core.topology import GROUPS, TOPICS
from prequal.ops.selection import (
    UNITS,
    Period,
    period,
    quoted,
    read_application_id,
    read_moment,
    read_source_topic,
    read_topic,
    read_trace_id,
)
from tests.support.pans import NUMBERS, TEXTS, shown

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001  # bounds have none


@given(MOMENTS)
def test_rfc_3339_is_read_as_its_moment(moment: datetime) -> None:
    assert read_moment("--since", moment.isoformat()) == moment


@given(st.integers(0, 99_999), st.sampled_from(sorted(UNITS)))
def test_duration_counts_back_from_now(count: int, unit: str) -> None:
    since = period(read_moment("--since", f"{count}{unit}"), None, NOW).since

    assert since == NOW - timedelta(**{UNITS[unit]: count})


def test_two_hours_are_two_hours() -> None:
    assert period(read_moment("--since", "2h"), None, NOW).since == NOW - timedelta(hours=2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2 h",
        "-2h",
        "2y",
        "1e3s",
        "٢h",
        "999999s",
        "2026-11-23",
        "2026-11-23T09:30:00",
        "2026-11-23T09:30Z",
        "2026-02-30T09:30:00Z",
        "2026-11-23T24:30:00Z",
        "2026-11-23T09:30:00+25:00",
        "0001-01-01T00:00:00+14:00",
        "2026-W47-1T09:30:00Z",
        "2026-11-23T09:30:00Z\n",
    ],
)
def test_malformed_time_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--until `.*` is not a time: give [^\n]*\.$"):
        read_moment("--until", text)


@given(st.text())
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        read_moment("--since", text)
    except UsageError:
        return
    assert re.match("[0-9]", text)


@given(st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_period_holds_what_is_not_before_since_and_before_until(
    since: datetime | None, until: datetime | None, moment: datetime
) -> None:
    inside = not (since is not None and moment < since) and not (until is not None and moment >= until)

    assert (moment in Period(since, until)) == inside


@pytest.mark.parametrize(("since", "until"), [("1h", "2h"), ("2h", "2h"), ("2026-11-23T09:30:00Z", "30m")])
def test_period_that_ends_before_it_begins_is_refused(since: str, until: str) -> None:
    with pytest.raises(UsageError, match="no moment lies in it"):
        period(read_moment("--since", since), read_moment("--until", until), NOW)


@pytest.mark.parametrize("text", ["01935f6e-7c1a-7b52-9e0b-abcde1234faa", "01935F6E-7C1A-7B52-9E0B-ABCDE1234FAA"])
def test_application_id_whose_letters_read_as_a_pan_is_traced_in_either_case(text: str) -> None:
    assert read_trace_id(text) == text


@given(st.uuids())
def test_application_id_is_read_in_either_case(id_: UUID) -> None:
    assert read_application_id(str(id_).upper()) == id_


@pytest.mark.parametrize(
    "text", ["", "7", "{01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44}", "01935f6e7c1a7b529e0b3f6f2a9d1c44"]
)
def test_malformed_application_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a UUID is expected"):
        read_application_id(text)


def test_source_topic_is_read_from_its_name_and_from_its_dead_letter_topic() -> None:
    assert [read_source_topic(f"{topic}_dlq") for topic in GROUPS] == [read_source_topic(each) for each in GROUPS]
    assert [read_topic(topic) for topic in TOPICS] == list(TOPICS)


@pytest.mark.parametrize(
    "text", ["", "loan_applications", "loan_applications_submitted_dlq_dlq", "application_decided_dlq"]
)
def test_unknown_topic_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="loan_applications_submitted and credit_reports_generated"):
        read_source_topic(text)


@given(TEXTS, NUMBERS, TEXTS)
def test_what_was_typed_is_repeated_without_a_pan_and_on_one_line(before: str, number: str, after: str) -> None:
    text = quoted(before + number + after)

    assert shown(text) == []
    assert text.isprintable()
