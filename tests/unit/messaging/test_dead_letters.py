from datetime import UTC, datetime

from confluent_kafka import Message
from hypothesis import given

from harness.broker import clients_of
from prequal.core.errors import Invalid
from prequal.messaging.dead_letters import DeadLetter, DeadLetterProducer, headers
from prequal.messaging.messages import ConsumedMessage
from tests.builders import MOMENT, a_message
from tests.unit.domain.test_pan import INFRASTRUCTURE_ERRORS, NUMBERS, shown


def a_dead_letter(message: Message | None = None, reason: str = "loan_type: is not one") -> DeadLetter:
    consumed = ConsumedMessage(message or a_message())
    consumed.attempts, consumed.first_seen = 3, MOMENT
    return DeadLetter(consumed, Invalid("invalid_fields", reason))


def test_dead_letter_says_where_it_came_from_and_why() -> None:
    found = dict(headers(a_dead_letter(a_message(topic="t", partition=2, offset=71))))

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


def test_dead_letters_are_published_one_request_at_a_time() -> None:
    assert DeadLetterProducer(clients_of())._settings["max.in.flight.requests.per.connection"] == 1


def test_headers_of_the_original_come_first_and_unchanged() -> None:
    original: list[tuple[str, str | bytes | None]] = [("traceparent", b"00-x"), ("odd", None), ("traceparent", b"\xff")]

    found = headers(a_dead_letter(a_message(headers=original)))

    assert found[:3] == original


def test_headers_of_an_earlier_publication_are_replaced() -> None:
    published_before = a_message(headers=[("dlq.attempts", b"9"), ("event_id", b"x"), ("dlq.replayed", b"1")])

    names = [name for name, _ in headers(a_dead_letter(published_before))]

    assert names.count("dlq.attempts") == 1
    assert "dlq.replayed" not in names
    assert names[0] == "event_id"


@given(INFRASTRUCTURE_ERRORS, NUMBERS)
def test_reason_never_holds_a_pan(before: str, number: str) -> None:
    reason = dict(headers(a_dead_letter(reason=before + number)))["dlq.error_message"]

    assert shown(str(reason)) == []


def test_long_reason_is_cut_to_fit_the_topics_extra_room() -> None:
    reason = dict(headers(a_dead_letter(reason="₹" * 100_000)))["dlq.error_message"]

    assert len(str(reason)) == 500


def test_dead_letter_knows_its_partition() -> None:
    dead_letter = a_dead_letter(a_message(topic="t", partition=2, offset=71))

    assert (dead_letter.partition, dead_letter.message.offset) == (("t", 2), 71)
