"""What the broker's answer to the creation of topics means."""

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import KafkaSettings, load
from prequal.messaging import topics


class Broker:
    """An admin client of a broker without topics, which answers each creation with one error."""

    def __init__(self, code: int) -> None:
        self._code = code

    def poll(self, _: float) -> int:
        return 0

    def list_topics(self, **_: Any) -> Any:
        return type("Cluster", (), {"topics": ()})

    def create_topics(self, wanted: list[Any], **_: Any) -> dict[str, Future[None]]:
        answers: dict[str, Future[None]] = {each.topic: Future() for each in wanted}
        for answer in answers.values():
            answer.set_exception(KafkaException(KafkaError(self._code)))
        return answers


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TIMED_OUT, Transient),
        (KafkaError.REQUEST_TIMED_OUT, Transient),
        (KafkaError.INVALID_REPLICATION_FACTOR, Misconfigured),
    ],
)
def test_slow_broker_is_unreachable_and_one_that_refuses_misconfigured(
    code: int, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "AdminClient", lambda _: Broker(code))

    with pytest.raises(kind):
        topics.create(load(KafkaSettings, kafka_bootstrap_servers="127.0.0.1:1"), 1)
