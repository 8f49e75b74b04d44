"""`messaging.own_event_publisher`: what is left to the publisher, and that no commit fails because of its event."""

from types import SimpleNamespace
from typing import Any

import pytest

from prequal.core.circuit_breaker import Breaker, State
from prequal.core.topology import Service
from prequal.messaging import own_event_publisher
from prequal.messaging.outbox import OutboxRow
from prequal.messaging.outbox_producer import ProducerDied
from prequal.messaging.own_event_publisher import OwnEventPublisher
from tests.builders import APPLICATION_ID
from tests.support.without_stores import api_settings


def some_rows(count: int) -> list[OutboxRow]:
    return [
        OutboxRow(number, "topic", APPLICATION_ID, "type", APPLICATION_ID, "{}", None, None) for number in range(count)
    ]


class Running:
    """Own events that run, and what their producer was given."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.given: list[int] = []
        self.breaker = Breaker("kafka_producer")
        self._refusal = refusal
        self.events = OwnEventPublisher(api_settings(), Service.API, "topic")
        producer: Any = SimpleNamespace(breaker=self.breaker, generation=0, publish=self._take)
        self.events._producer = producer

    def _take(self, row: OutboxRow) -> None:
        if self._refusal and len(self.given) == 2:
            raise self._refusal
        self.given.append(row.id)


async def test_rows_are_given_to_the_client_in_their_order() -> None:
    running = Running()

    running.events.publish(some_rows(3))

    assert running.given == [0, 1, 2]


@pytest.mark.parametrize("refusal", [BufferError(), ProducerDied(), ValueError("unforeseen")])
async def test_client_that_takes_no_more_leaves_the_rest_and_fails_no_commit(refusal: Exception) -> None:
    running = Running(refusal)

    running.events.publish(some_rows(5))

    assert running.given == [0, 1]


async def test_nothing_is_given_to_a_client_whose_breaker_is_open() -> None:
    running = Running()
    for _ in range(3):
        running.breaker.failed()
    assert running.breaker.state is State.OPEN

    running.events.publish(some_rows(3))

    assert running.given == []


async def test_no_more_than_a_bounded_number_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_event_publisher, "UNARCHIVED_MAX", 5)
    running = Running()

    running.events.publish(some_rows(3))
    running.events.publish(some_rows(6)[3:])

    assert running.given == [0, 1, 2]


async def test_nothing_is_published_while_it_does_not_run() -> None:
    running = Running()
    running.events._producer = None

    running.events.publish(some_rows(3))

    assert running.given == []
