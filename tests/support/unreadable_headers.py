"""Messages whose headers the Kafka client cannot decode, without the end of the process that they can bring about."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Message

from prequal.messaging.kafka_clients import Headers
from prequal.ops import topic_reader


class ReadTwiceCrashes(Message):
    """A message whose headers cannot be read: the first read raises, the second would end the process.

    The second raises what is no `Exception`, so that nothing between it and the test can take it for a failed read.
    """

    reads = 0

    def headers(self) -> Headers:
        self.reads += 1
        if self.reads > 1:
            pytest.fail("the process has crashed")
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def stored_with_unreadable_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the headers of each message that is read back from a topic cannot be decoded."""
    read = topic_reader._until_ends

    def unreadable(*arguments: Any) -> Iterator[Message]:
        for message in read(*arguments):
            yield ReadTwiceCrashes(
                topic=message.topic(), partition=message.partition(), offset=message.offset(),
                key=message.key(), value=message.value(), timestamp=message.timestamp(),
            )  # fmt: skip

    monkeypatch.setattr(topic_reader, "_until_ends", unreadable)
