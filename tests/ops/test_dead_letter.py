import re
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

import prequal
from prequal.core.errors import KINDS, Invalid, Misconfigured
from prequal.core.topology import dead_letter_topic
from prequal.messaging.dead_letters import DeadLetter, headers
from prequal.messaging.messages import ConsumedMessage
from prequal.ops.dead_letter import SOURCES, DeadLetterId, Origin, original_headers, read_dead_letter
from tests.builders import APPLICATION_ID, MOMENT, a_message, a_submitted_message
from tests.unit.domain.test_pan import INFRASTRUCTURE_ERRORS, NUMBERS, shown

SOURCE = "loan_applications_submitted"
TOPIC = f"{SOURCE}_dlq"
ANY_BYTES = st.none() | st.binary(max_size=60) | st.text(max_size=60).map(str.encode)
Headers = list[tuple[str, str | bytes | None]]


def buried(value: bytes | None, key: bytes | None = b"key", original: Headers | None = None) -> Message:
    """A message as it comes back from the dead letters."""
    message = a_message(value, topic=SOURCE, partition=2, offset=71, key=key, headers=original)
    consumed = ConsumedMessage(message, original or [])
    consumed.attempts, consumed.first_seen = 3, MOMENT
    found = headers(DeadLetter(consumed, Invalid("invalid_fields", "loan_type: is not one")))
    encoded: Headers = [(name, text.encode() if isinstance(text, str) else text) for name, text in found]
    return a_message(value, topic=TOPIC, partition=1, offset=17, key=key, headers=encoded)


@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 999_999_999), st.integers(0, 10**18 - 1))
def test_id_is_read_back_as_it_is_shown(topic: str, partition: int, offset: int) -> None:
    id_ = DeadLetterId(topic, partition, offset)

    assert DeadLetterId.read(str(id_)) == id_
    assert dead_letter_topic(id_.source) == topic


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17",
        f"{TOPIC}:0",
        f"{TOPIC}:0:",
        f"{TOPIC}:0:-1",
        f"{TOPIC}:0:017",
        f"{TOPIC}:0:1 ",
        f"{TOPIC}:0:1\n",
        f"{TOPIC}:٠:1",
        f"{TOPIC}:0:{10**18}",
        f"{SOURCE}:0:1",
        "other_dlq:0:1",
    ],
)
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"they look like loan_applications_submitted_dlq:0:17\.$"):
        DeadLetterId.read(text)


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        found = str(DeadLetterId.read(text))
    except Misconfigured:
        found = text

    assert found == text


def test_letter_tells_where_it_lies_where_it_came_from_and_why() -> None:
    letter = read_dead_letter(buried(a_submitted_message()))

    assert str(letter.id) == f"{TOPIC}:1:17"
    assert letter.origin == Origin(SOURCE, 2, 71)
    assert (letter.kind, letter.words, letter.attempts) == ("invalid_fields", "loan_type: is not one", 3)
    assert letter.first_seen == "2026-11-23T09:30:00.123+00:00"
    assert letter.application_id == APPLICATION_ID


def test_ids_come_from_the_body_or_else_from_header_and_key() -> None:
    other = UUID(int=5)
    unreadable = buried(b"{", str(APPLICATION_ID).encode(), [("event_id", str(other).encode())])

    letter = read_dead_letter(unreadable)

    assert (letter.event_id, letter.application_id) == (other, APPLICATION_ID)


@given(
    ANY_BYTES, ANY_BYTES, st.lists(st.tuples(st.sampled_from(["event_id", "dlq.offset", "dlq.error_kind"]), ANY_BYTES))
)
def test_any_message_is_a_letter(value: bytes | None, key: bytes | None, found: Headers) -> None:
    letter = read_dead_letter(a_message(value, topic=TOPIC, key=key, headers=found))

    assert letter.kind
    assert letter.words.isprintable()
    assert letter.kind.isprintable()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"event_id": 5, "application_id": "no"}', b"[]", b"\xff", b"7"])
def test_body_that_is_no_event_names_no_ids(body: bytes) -> None:
    letter = read_dead_letter(a_message(body, topic=TOPIC))

    assert (letter.event_id, letter.application_id) == (None, None)


@given(INFRASTRUCTURE_ERRORS, NUMBERS)
def test_no_field_holds_a_pan_even_when_the_headers_do(before: str, number: str) -> None:
    text = (before + number).encode()
    names = ("dlq.error_kind", "dlq.error_message", "dlq.first_seen", "dlq.partition", "event_id")

    letter = read_dead_letter(a_message(text, topic=TOPIC, key=text, headers=[(name, text) for name in names]))

    assert shown(repr(letter)) == []


def test_original_headers_are_those_that_are_not_ours() -> None:
    original: Headers = [("traceparent", b"00-x"), ("odd", None), ("traceparent", b"\xff")]

    assert original_headers(buried(b"{}", original=original)) == original


def test_every_reason_for_a_dead_letter_is_known_here() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(prequal.__file__).parent.rglob("*.py")]
    kinds = {kind for source in sources for kind in re.findall(r'\bInvalid\(\s*"(\w+)"', source)}

    assert kinds == set(KINDS)
