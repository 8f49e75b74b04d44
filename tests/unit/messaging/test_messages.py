import pytest

from prequal.core.errors import Invalid
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.messages import Received, Undecodable
from tests.builders import a_message, a_report_message


def received(partition: int = 0, **headers: bytes | None) -> Received[CreditReportGenerated]:
    message = a_message(a_report_message(), partition=partition, offset=7)
    return Received(message, list(headers.items()), CreditReportGenerated.decode(message.value()))


def test_consumed_message_knows_its_place() -> None:
    message = Undecodable(a_message(topic="t", partition=2, offset=71), [], Invalid("malformed_json", "x"))

    assert (message.partition, message.offset, message.attempts) == (("t", 2), 71, 1)
    assert message.place == (("t", 2), 71)


def test_header_is_its_text() -> None:
    assert received(correlation_id=b"request-1").header("correlation_id") == "request-1"


@pytest.mark.parametrize("value", [None, b"x" * 129, b"\xff", "é".encode(), b"ABCDE1234F", b"id-abcde1234f"])
def test_header_that_is_long_binary_or_a_pan_counts_as_missing(value: bytes | None) -> None:
    assert received(correlation_id=value).header("correlation_id") is None


@pytest.mark.parametrize("value", [b"a\x00b", b"a\nb", b"\x7f"])
def test_header_with_control_characters_counts_as_missing(value: bytes) -> None:
    assert received(correlation_id=value).header("correlation_id") is None


def test_header_of_128_bytes_is_its_text() -> None:
    assert received(traceparent=b"x" * 128).header("traceparent") == "x" * 128


def test_header_that_is_not_there_is_missing() -> None:
    assert received(traceparent=b"00-x").header("correlation_id") is None
