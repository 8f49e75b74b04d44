import re
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

import prequal
from prequal.core.errors import KINDS, Invalid, UsageError
from prequal.core.topology import dead_letter_topic
from prequal.messaging.dead_letter_publisher import DeadLetter, headers
from prequal.messaging.messages import ConsumedMessage
from prequal.ops.selection import SOURCES
from prequal.ops.stored_dead_letter import DeadLetterId, Origin, read_dead_letter
from tests.builders import APPLICATION_ID, MOMENT, a_message, a_submitted_message
from tests.support.pans import NUMBERS, TEXTS, shown
from tests.support.unreadable_headers import ReadTwiceCrashes

SOURCE = "loan_applications_submitted"
TOPIC = f"{SOURCE}_dlq"
ANY_BYTES = st.none() | st.binary(max_size=60) | st.text(max_size=60).map(str.encode)
Headers = list[tuple[str, str | bytes | None]]


def a_dead_letter(value: bytes | None, key: bytes | None = b"key", original: Headers | None = None) -> Message:
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
    with pytest.raises(UsageError, match=r"an example is loan_applications_submitted_dlq:0:17\.$"):
        DeadLetterId.read(text)


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        found = str(DeadLetterId.read(text))
    except UsageError:
        found = text

    assert found == text


def test_dead_letter_has_its_id_its_origin_and_its_reason() -> None:
    dead_letter = read_dead_letter(a_dead_letter(a_submitted_message())).dead_letter

    assert str(dead_letter.id) == f"{TOPIC}:1:17"
    assert dead_letter.origin == Origin(SOURCE, 2, 71)
    assert (dead_letter.kind, dead_letter.error_message, dead_letter.attempts) == (
        "invalid_fields",
        "loan_type: is not one",
        3,
    )
    assert dead_letter.first_seen == "2026-11-23T09:30:00.123+00:00"
    assert dead_letter.application_id == APPLICATION_ID


def test_ids_come_from_the_body_or_else_from_header_and_key() -> None:
    other = UUID(int=5)
    unreadable = a_dead_letter(b"{", str(APPLICATION_ID).encode(), [("event_id", str(other).encode())])

    dead_letter = read_dead_letter(unreadable).dead_letter

    assert (dead_letter.event_id, dead_letter.application_id) == (other, APPLICATION_ID)


@given(
    ANY_BYTES, ANY_BYTES, st.lists(st.tuples(st.sampled_from(["event_id", "dlq.offset", "dlq.error_kind"]), ANY_BYTES))
)
def test_any_message_is_read_as_a_dead_letter(value: bytes | None, key: bytes | None, found: Headers) -> None:
    dead_letter = read_dead_letter(a_message(value, topic=TOPIC, key=key, headers=found)).dead_letter

    assert dead_letter.kind
    assert dead_letter.error_message.isprintable()
    assert dead_letter.kind.isprintable()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"event_id": 5, "application_id": "no"}', b"[]", b"\xff", b"7"])
def test_body_that_is_no_event_gives_no_ids(body: bytes) -> None:
    dead_letter = read_dead_letter(a_message(body, topic=TOPIC)).dead_letter

    assert (dead_letter.event_id, dead_letter.application_id) == (None, None)


@given(TEXTS, NUMBERS)
def test_no_field_holds_a_pan_even_when_the_headers_do(before: str, number: str) -> None:
    text = (before + number).encode()
    names = ("dlq.error_kind", "dlq.error_message", "dlq.first_seen", "dlq.partition", "event_id")

    dead_letter = read_dead_letter(
        a_message(text, topic=TOPIC, key=text, headers=[(name, text) for name in names])
    ).dead_letter

    assert shown(repr(dead_letter)) == []


def test_dead_letter_with_unreadable_headers_is_read_without_them() -> None:
    dead_letter = read_dead_letter(
        ReadTwiceCrashes(topic=TOPIC, partition=0, offset=1, value=a_submitted_message())
    ).dead_letter

    assert (dead_letter.kind, dead_letter.application_id) == ("unknown", APPLICATION_ID)


def test_dead_letter_with_unreadable_headers_is_replayed_without_them() -> None:
    whole = read_dead_letter(ReadTwiceCrashes(topic=TOPIC))

    assert (whole.headers, whole.replay_headers) == ([], [])


def test_replay_headers_are_the_originals_and_the_history() -> None:
    original: Headers = [("traceparent", b"00-x"), ("odd", None), ("traceparent", b"\xff")]

    found = read_dead_letter(a_dead_letter(b"{}", original=original)).replay_headers

    assert found == [*original, ("dlq.first_seen", b"2026-11-23T09:30:00.123+00:00"), ("dlq.attempts", b"3")]


def test_every_reason_for_a_dead_letter_is_one_of_kinds() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(prequal.__file__).parent.rglob("*.py")]
    kinds = {kind for source in sources for kind in re.findall(r'\bInvalid\(\s*"(\w+)"', source)}

    assert kinds == set(KINDS)
