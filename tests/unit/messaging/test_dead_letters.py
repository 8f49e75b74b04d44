from datetime import UTC, datetime

from confluent_kafka import Message
from hypothesis import given

from prequal.core.settings import StoresSettings, load
from prequal.messaging.dead_letters import DeadLetter, DeadLetters, headers
from tests.builders import DATABASE_URL, MOMENT, a_message
from tests.unit.domain.test_pan import INFRASTRUCTURE_ERRORS, NUMBERS, shown


def a_letter(message: Message | None = None, words: str = "loan_type: is not one") -> DeadLetter:
    return DeadLetter(message or a_message(), "invalid_fields", words, 3, MOMENT)


def test_a_letter_says_where_it_came_from_and_why() -> None:
    found = dict(headers(a_letter(a_message(topic="t", partition=2, offset=71))))

    last_seen = found.pop("dlq.last_seen")
    assert found == {
        "dlq.topic": "t",
        "dlq.partition": "2",
        "dlq.offset": "71",
        "dlq.error_kind": "invalid_fields",
        "dlq.error_message": "loan_type: is not one",
        "dlq.first_seen": "2026-11-23T09:30:00.123+00:00",
        "dlq.attempts": "3",
    }
    assert abs((datetime.fromisoformat(str(last_seen)) - datetime.now(UTC)).total_seconds()) < 60


def test_letters_are_sent_one_request_at_a_time() -> None:
    kafka = load(StoresSettings, database_url=DATABASE_URL, kafka_bootstrap_servers="127.0.0.1:1")

    assert DeadLetters(kafka)._settings["max.in.flight.requests.per.connection"] == 1


def test_the_originals_headers_come_first_and_unchanged() -> None:
    original: list[tuple[str, str | bytes | None]] = [("traceparent", b"00-x"), ("odd", None), ("traceparent", b"\xff")]

    found = headers(a_letter(a_message(headers=original)))

    assert found[:3] == original


def test_headers_of_an_earlier_burial_are_replaced() -> None:
    buried_before = a_message(headers=[("dlq.attempts", b"9"), ("event_id", b"x"), ("dlq.replayed", b"1")])

    names = [name for name, _ in headers(a_letter(buried_before))]

    assert names.count("dlq.attempts") == 1
    assert "dlq.replayed" not in names
    assert names[0] == "event_id"


@given(INFRASTRUCTURE_ERRORS, NUMBERS)
def test_the_reason_never_holds_a_pan(before: str, number: str) -> None:
    words = dict(headers(a_letter(words=before + number)))["dlq.error_message"]

    assert shown(str(words)) == []


def test_a_long_reason_is_cut_to_fit_the_topics_extra_room() -> None:
    words = dict(headers(a_letter(words="₹" * 100_000)))["dlq.error_message"]

    assert len(str(words)) == 500


def test_a_letter_knows_its_place() -> None:
    letter = a_letter(a_message(topic="t", partition=2, offset=71))

    assert (letter.partition, letter.offset) == (("t", 2), 71)
