"""The consumer's states, driven by a clock that only moves while the consumer waits.

The handler and the Kafka client are fakes: under test is what the consumer makes of their answers, and no answer of a
real broker would make a difference to that. The integration tests have a real one.
"""

import asyncio
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import OFFSET_END, KafkaError, KafkaException, Message, TopicPartition
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from prequal.core.errors import Invalid, Transient, UnknownKey
from prequal.core.settings import DecisionSettings, load
from prequal.core.topology import topic_of
from prequal.domain.events import EventType
from prequal.messaging import consumer, dead_letter_publisher, partitions, retries, unseen_messages
from prequal.messaging.consumer import BatchConsumer
from prequal.messaging.dead_letter_publisher import DeadLetter, Unwritable
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.handler import HandlerResult, Outcome
from prequal.messaging.messages import Received
from prequal.messaging.offset_tracker import Partition
from prequal.telemetry import metrics
from tests.builders import DATABASE_URL, a_key_text, a_message, a_report_message, a_submitted_event

TOPIC = topic_of(EventType.CREDIT_REPORT_GENERATED)
POISON = b"not json"
MARKER = b"a transaction marker"
"""An offset of the log that no reader ever gets."""
Behaviour = Callable[[int, float], HandlerResult]
"""The handler's result for a message, or what it raises, at its n-th try and at a time."""


# ── the handler's results ─────────────────────────────────────────────────────────────────────────────────────────────


def done(_: int, __: float) -> HandlerResult:
    return Outcome.DONE


def duplicate(_: int, __: float) -> HandlerResult:
    return Outcome.DUPLICATE


def dead(_: int, __: float) -> HandlerResult:
    return Invalid("unknown_application", "there is no application with this id")


def bug(_: int, __: float) -> HandlerResult:
    raise ZeroDivisionError


def lost_race_once(tries: int, _: float) -> HandlerResult:
    return Outcome.LOST_RACE if tries == 1 else Outcome.DUPLICATE


def always_lost(_: int, __: float) -> HandlerResult:
    return Outcome.LOST_RACE


def bug_until(good_try: int) -> Behaviour:
    return lambda tries, now: Outcome.DONE if tries >= good_try else bug(tries, now)


def away_until(moment: float) -> Behaviour:
    def answer(_: int, now: float) -> HandlerResult:
        if now < moment:
            raise Transient("PostgreSQL is away")
        return Outcome.DONE

    return answer


def no_key_until(moment: float) -> Behaviour:
    return lambda _, now: UnknownKey("no key with id 00") if now < moment else Outcome.DONE


# ── the consumer's clock, broker, handler and dead letters ────────────────────────────────────────────────────────────


class Clock:
    """Seconds that pass only while the consumer waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountedHeaders(Message):
    """A message that counts how often its headers are read, and raises when they are unreadable."""

    readable = True
    reads = 0

    def headers(self) -> Any:
        self.reads += 1
        if not self.readable:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return [("correlation_id", b"request-1"), ("traceparent", b"00-x")]


class Broker:
    """The client of a topic: delivers what is assigned and not paused, and keeps the offsets that are stored."""

    def __init__(self, clock: Clock, stop: asyncio.Event, until: float, logs: Iterable[Sequence[bytes]]) -> None:
        self.clock = clock
        self.stop = stop
        self.until = until
        self.logs = {(TOPIC, number): list(log) for number, log in enumerate(logs)}
        self.positions = dict.fromkeys(self.logs, 0)
        self.stored = dict.fromkeys(self.logs, 0)
        self.paused: set[Partition] = set()
        self.assigned: set[Partition] = set()
        self.events: list[tuple[float, Callable[[], None]]] = []
        self.pauses: list[tuple[float, set[Partition]]] = []
        self.errors: list[KafkaError] = []
        self.stored_at: dict[Partition, float] = {}
        self.dead = False
        self.polls = 0
        self.looked: list[float] = []
        self.subscribed = self.left = 0
        self.rejoin_seconds = 0.0
        self.closed = False
        self.unreadable_headers: set[int] = set()
        self.delivered: list[CountedHeaders] = []
        self.open_transactions: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}
        self.unread: set[Partition] = set()
        """Partitions of which nothing was delivered since their assignment."""

    def subscribe(self, topics: list[str], on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        assert topics == [TOPIC]
        self.subscribed += 1
        self.dead = False
        self.on_assign, self.on_revoke = on_assign, on_revoke
        assigned_at = self.clock.now + self.rejoin_seconds if self.subscribed > 1 else 0.0
        self.events.append((assigned_at, lambda: self.assign(*self.logs)))
        self.events.sort(key=lambda event: event[0])

    def unsubscribe(self) -> None:
        self.left += 1

    def assign(self, *partitions: Partition) -> None:
        self.on_assign(self, [TopicPartition(*partition) for partition in partitions])

    def revoke(self, *partitions: Partition) -> None:
        self.on_revoke(self, [TopicPartition(*partition) for partition in partitions])
        self.assigned -= set(partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        for partition in places(partitions):
            self.assigned.add(partition)
            self.positions[partition] = self.stored[partition]
            self.ends.pop(partition, None)
            self.unread.add(partition)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*partition) for partition in sorted(self.assigned)]

    def poll(self, seconds: float) -> Message | None:
        assert 0 <= seconds <= 0.5
        self.polls += 1
        assert self.polls < 20_000, "the consumer spins"
        while self.events and self.events[0][0] <= self.clock.now:
            self.events.pop(0)[1]()
        if self.errors:
            self.dead = self.errors[0].fatal()
            return a_message(topic=TOPIC, error=self.errors.pop(0))
        if (message := self._next()) is None and (message := self._end()) is None:
            self.clock.now += seconds
        if self.clock.now >= self.until:
            self.stop.set()
        return message

    def consume(self, number: int, seconds: float) -> list[Message]:
        assert seconds == 0
        return [message for _ in range(number) if (message := self._next()) is not None]

    def _next(self) -> Message | None:
        for partition in sorted(self.assigned - self.paused) if not self.dead else ():
            offset = self.positions[partition]
            while offset < self._last_stable(partition) and self.logs[partition][offset] == MARKER:
                self.positions[partition] = offset = offset + 1
            if offset < self._last_stable(partition):
                self.positions[partition] = offset + 1
                self.unread.discard(partition)
                value = self.logs[partition][offset]
                message = CountedHeaders(topic=TOPIC, partition=partition[1], offset=offset, key=b"key", value=value)
                message.readable = offset not in self.unreadable_headers
                self.delivered.append(message)
                return message
        return None

    def _end(self) -> Message | None:
        for partition in sorted(self.assigned - self.paused) if not self.dead else ():
            end = self.positions[partition]
            if self.ends.get(partition) != end == self._last_stable(partition):
                self.ends[partition] = end
                reached = KafkaError(KafkaError._PARTITION_EOF)
                return a_message(topic=TOPIC, partition=partition[1], offset=end, error=reached)
        return None

    def _last_stable(self, partition: Partition) -> int:
        return self.open_transactions.get(partition, len(self.logs[partition]))

    def store_offsets(self, offsets: list[TopicPartition]) -> None:
        for place in offsets:
            partition = (place.topic, place.partition)
            assert partition in self.assigned
            assert place.offset > self.stored[partition] or partition in self.unread
            self.stored[partition] = place.offset
            self.stored_at[partition] = self.clock.now

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= places(partitions)
        self.pauses.append((self.clock.now, set(self.paused)))

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= places(partitions)
        self.pauses.append((self.clock.now, set(self.paused)))

    def list_topics(self, timeout: float) -> None:
        self.looked.append(self.clock.now - 1000.0)
        self.clock.now += timeout
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(*partition, self.stored[partition]) for partition in places(partitions)]

    def get_watermark_offsets(self, partition: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, len(self.logs[partition.topic, partition.partition])

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [
            TopicPartition(each.topic, each.partition, self._reach(each) if each.offset == OFFSET_END else 0)
            for each in partitions
        ]

    def _reach(self, partition: TopicPartition) -> int:
        return self._last_stable((partition.topic, partition.partition))

    def close(self) -> None:
        self.closed = True


def places(partitions: list[TopicPartition]) -> set[Partition]:
    return {(partition.topic, partition.partition) for partition in partitions}


class Handler:
    """Answers as each application's behaviour says; a batch with a bug in it has no effect."""

    event_class = CreditReportGenerated

    def __init__(self, clock: Clock, behaviours: dict[UUID, Behaviour]) -> None:
        self.clock = clock
        self.behaviours = behaviours
        self.tries = dict.fromkeys(behaviours, 0)
        self.tried_at: dict[UUID, list[float]] = {id_: [] for id_ in behaviours}
        self.outcomes: dict[UUID, list[Outcome]] = {id_: [] for id_ in behaviours}
        self.batches: list[list[UUID]] = []
        self.left_out: set[UUID] = set()
        self.closed = False

    async def handle(self, batch: Sequence[Received[CreditReportGenerated]]) -> Mapping[UUID, HandlerResult]:
        applications = {received.event.event_id: received.event.application_id for received in batch}
        assert len(applications) == len(batch)
        self.batches.append(list(applications.values()))
        results = {event_id: self._result(id_) for event_id, id_ in applications.items()}
        for event_id, result in results.items():
            if result in (Outcome.DONE, Outcome.DUPLICATE):
                self.outcomes[applications[event_id]].append(Outcome(str(result)))
        return {
            event_id: result
            for event_id, result in reversed(results.items())
            if applications[event_id] not in self.left_out
        }

    def _result(self, id_: UUID) -> HandlerResult:
        self.tries[id_] += 1
        self.tried_at[id_].append(self.clock.now)
        return Outcome.DUPLICATE if self.outcomes[id_] else self.behaviours[id_](self.tries[id_], self.clock.now)

    async def close(self) -> None:
        self.closed = True


class DeadLetterTopic:
    """Takes dead letters after refusing the first few, and answers no producer before it opens."""

    def __init__(self, clock: Clock, refusals: int = 0) -> None:
        self.clock = clock
        self.refusals = refusals
        self.closed_until = 0.0
        self.refusal: Exception = Transient("the dead letter could not be written")
        self.tries = 0
        self.dead_letters: list[DeadLetter] = []

    async def publish(self, dead_letter: DeadLetter) -> None:
        while self.clock.now < self.closed_until:  # noqa: ASYNC110  # this clock has no event to wait for
            await asyncio.sleep(0)
        self.tries += 1
        _ = dead_letter_publisher.headers(dead_letter)
        if self.refusals:
            self.refusals -= 1
            raise self.refusal
        self.dead_letters.append(dead_letter)

    def close(self) -> None:
        pass


class Scene:
    """One consumer, its handler, its broker and its clock."""

    def __init__(
        self,
        *logs: Sequence[Behaviour | bytes],
        until: float = 60.0,
        refusals: int = 0,
        dead_letters_in_a_row_max: int = 50,
        consumer_batch_max: int = 500,
    ) -> None:
        self.clock = Clock()
        self.stop = asyncio.Event()
        behaviours: dict[UUID, Behaviour] = {}
        values: list[list[bytes]] = []
        for log in logs:
            values.append([])
            for entry in log:
                values[-1].append(entry if isinstance(entry, bytes) else a_message_that(entry, behaviours))
        self.ids = list(behaviours)
        self.broker = Broker(self.clock, self.stop, 1000.0 + until, values)
        self.handler = Handler(self.clock, behaviours)
        self.dead_letter_topic = DeadLetterTopic(self.clock, refusals)
        settings = load(
            DecisionSettings,
            database_url=DATABASE_URL,
            kafka_bootstrap_servers="127.0.0.1:9092",
            report_key=a_key_text(),
            dead_letters_in_a_row_max=dead_letters_in_a_row_max,
            consumer_batch_max=consumer_batch_max,
        )
        self.consumer: BatchConsumer[CreditReportGenerated] = BatchConsumer(settings, "group", self.handler)
        self.consumer._dead_letters._producer = self.dead_letter_topic  # type: ignore[assignment]

    def at(self, seconds: float, happens: Callable[[], None]) -> None:
        self.broker.events.append((1000.0 + seconds, happens))
        self.broker.events.sort(key=lambda event: event[0])

    def run(self) -> "Scene":
        with pytest.MonkeyPatch.context() as patch:
            for module in (consumer, dead_letter_publisher, partitions, retries, unseen_messages):
                patch.setattr(module, "monotonic", self.clock)
            patch.setattr(partitions, "Consumer", lambda *_, **__: self.broker)
            asyncio.run(self.consumer.run(self.stop))
        return self

    @property
    def stored(self) -> list[int]:
        return list(self.broker.stored.values())

    @property
    def outcomes(self) -> list[list[Outcome]]:
        return list(self.handler.outcomes.values())

    @property
    def dead_letters(self) -> list[tuple[str, int, int]]:
        return sorted(
            (dead_letter.invalid.kind, dead_letter.partition[1], dead_letter.message.offset)
            for dead_letter in self.dead_letter_topic.dead_letters
        )

    def tried(self, number: int) -> list[float]:
        return [moment - 1000.0 for moment in self.handler.tried_at[self.ids[number]]]


def a_message_that(behaves: Behaviour, behaviours: dict[UUID, Behaviour]) -> bytes:
    id_ = UUID(int=len(behaviours) + 1)
    behaviours[id_] = behaves
    return a_report_message(a_submitted_event(id_))


@pytest.fixture(autouse=True)
def running_again() -> Iterator[None]:
    yield
    metrics.CONSUMER_STOPPED.set(0)


# ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_member_without_partitions_looks_for_the_topic_until_it_has_one() -> None:
    scene = Scene([done])
    scene.at(10, lambda: scene.broker.revoke((TOPIC, 0)))
    scene.at(30, lambda: scene.broker.assign((TOPIC, 0)))

    scene.run()

    assert [10 <= moment <= 30 for moment in scene.broker.looked] == [True] * 8


def topic_is_shown(broker: Broker) -> None:
    """The broker answers for its topic from now on."""
    topic = SimpleNamespace(partitions={number: None for _, number in broker.logs})
    broker.list_topics = lambda timeout: SimpleNamespace(topics={TOPIC: topic})  # type: ignore[method-assign,assignment]


def test_member_without_partitions_rejoins_when_messages_stay_unread() -> None:
    scene = Scene([done, done], until=40)
    later = scene.broker.logs[TOPIC, 0].pop()
    topic_is_shown(scene.broker)
    scene.at(2, lambda: scene.broker.revoke((TOPIC, 0)))
    scene.at(3, lambda: scene.broker.logs[TOPIC, 0].append(later))

    scene.run()

    assert (scene.broker.left, scene.broker.subscribed, scene.broker.closed) == (1, 2, True)
    assert scene.stored == [2]


def test_member_that_lost_its_coordinator_joins_again() -> None:
    scene = Scene([done], until=60)
    topic_is_shown(scene.broker)
    committed = scene.broker.committed

    def away(partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        scene.clock.now += timeout
        raise KafkaException(KafkaError(KafkaError._WAIT_COORD))

    def answers_again() -> None:
        scene.broker.committed = committed  # type: ignore[method-assign]

    scene.broker.committed = away  # type: ignore[method-assign]
    scene.at(2, lambda: scene.broker.revoke((TOPIC, 0)))
    scene.at(30, answers_again)

    scene.run()

    assert (scene.broker.left, scene.broker.subscribed) == (1, 2)


def test_member_without_partitions_is_kept_beside_members_that_read() -> None:
    scene = Scene([done] * 40, until=40)
    topic_is_shown(scene.broker)
    scene.at(0, lambda: scene.broker.revoke((TOPIC, 0)))
    for second in range(1, 39):
        scene.at(second, lambda: scene.broker.stored.__setitem__((TOPIC, 0), scene.broker.stored[TOPIC, 0] + 1))

    scene.run()

    assert scene.broker.subscribed == 1


def test_member_without_partitions_is_kept_while_there_is_nothing_to_read() -> None:
    scene = Scene([done], until=60)
    topic_is_shown(scene.broker)
    scene.at(10, lambda: scene.broker.revoke((TOPIC, 0)))

    scene.run()

    assert scene.broker.subscribed == 1


# ── handling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_handled_messages_move_the_offset() -> None:
    scene = Scene([done, done, duplicate], [done]).run()

    assert scene.stored == [3, 1]
    assert scene.dead_letters == []


def test_all_that_has_come_is_handled_as_one_batch() -> None:
    scene = Scene([done] * 7, [done] * 3).run()

    assert [len(batch) for batch in scene.handler.batches] == [10]


def test_batch_is_no_larger_than_its_setting() -> None:
    scene = Scene([done] * 7, consumer_batch_max=3).run()

    assert [len(batch) for batch in scene.handler.batches] == [3, 3, 1]


def test_same_event_twice_in_a_batch_takes_two_rounds_and_is_a_duplicate() -> None:
    behaviours: dict[UUID, Behaviour] = {}
    message = a_message_that(done, behaviours)
    scene = Scene([done, message, message])
    scene.handler.behaviours |= behaviours
    id_ = scene.ids[0]

    scene.run()

    assert scene.handler.batches == [[id_], [id_], [id_]]
    assert scene.handler.outcomes[id_] == [Outcome.DONE, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert scene.stored == [3]


def test_results_are_matched_by_event_id_in_whatever_order_they_come() -> None:
    scene = Scene([done, dead, duplicate]).run()

    assert scene.dead_letters == [("unknown_application", 0, 1)]
    assert scene.outcomes == [[Outcome.DONE], [], [Outcome.DUPLICATE]]


def test_event_that_a_handler_leaves_out_counts_as_its_failure() -> None:
    scene = Scene([done, done])
    scene.handler.left_out = {scene.ids[1]}

    scene.run()

    assert scene.dead_letters == [("unexpected_error", 0, 1)]
    assert str(scene.dead_letter_topic.dead_letters[0].invalid) == "failed 4 times: KeyError"


def test_message_that_lost_a_race_is_handled_again_at_once() -> None:
    scene = Scene([lost_race_once, done]).run()

    assert scene.outcomes == [[Outcome.DUPLICATE], [Outcome.DONE]]
    assert scene.tried(0) == [0.0, 0.0]


def test_message_that_loses_every_race_does_not_spin() -> None:
    scene = Scene([always_lost, done], until=10).run()

    assert scene.stored == [0]
    assert scene.outcomes[1] == [Outcome.DONE]
    assert len(scene.tried(0)) < 20 * 15


# ── dead letters ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_undecodable_message_is_a_dead_letter_and_the_others_go_on() -> None:
    scene = Scene([done, POISON, done]).run()

    assert scene.dead_letters == [("malformed_json", 0, 1)]
    assert scene.stored == [3]


def test_invalid_event_is_a_dead_letter_in_its_own_bytes() -> None:
    scene = Scene([dead, done]).run()

    assert scene.dead_letters == [("unknown_application", 0, 0)]
    assert scene.dead_letter_topic.dead_letters[0].message.message.value() == scene.broker.logs[TOPIC, 0][0]
    assert scene.dead_letter_topic.dead_letters[0].message.attempts == 1


def test_message_with_unreadable_headers_is_a_dead_letter_without_headers() -> None:
    scene = Scene([done, done, done])
    scene.broker.unreadable_headers = {1}

    scene.run()

    (dead_letter,) = scene.dead_letter_topic.dead_letters
    assert scene.dead_letters == [("unreadable_headers", 0, 1)]
    assert dead_letter.message.message.value() == scene.broker.logs[TOPIC, 0][1]
    assert [name for name, _ in dead_letter_publisher.headers(dead_letter) if not name.startswith("dlq.")] == []
    assert scene.stored == [3]


def test_headers_of_a_message_are_read_once_whatever_becomes_of_it() -> None:
    scene = Scene([done, POISON, dead, bug, no_key_until(1003.0), bug_until(3)], refusals=2)
    scene.broker.unreadable_headers = {0, 1, 3}

    scene.run()

    assert {message.reads for message in scene.broker.delivered} == {1}


def test_unwritable_dead_letter_is_tried_once_and_named_with_its_place() -> None:
    scene = Scene([done, POISON, done], [done])
    scene.dead_letter_topic.refusals = 10**9
    scene.dead_letter_topic.refusal = Unwritable("the dead letter could not be written: MSG_SIZE_TOO_LARGE")

    scene.run()

    assert scene.dead_letter_topic.tries == 1
    assert scene.stored == [1, 1]
    assert scene.consumer.reason_not_ready() == (
        f"the broker can never take the dead letter of {TOPIC} 0 1: see `prequal dlq skip`"
    )


def test_offset_waits_until_the_broker_holds_the_dead_letter() -> None:
    scene = Scene([done, POISON, done], refusals=10**9, until=30).run()

    assert scene.stored == [1]
    assert scene.dead_letter_topic.dead_letters == []


def test_refused_dead_letter_is_published_later_and_once() -> None:
    scene = Scene([POISON, done], refusals=3).run()

    assert scene.dead_letters == [("malformed_json", 0, 0)]
    assert scene.stored == [2]


def test_messages_go_on_while_a_dead_letter_is_on_its_way() -> None:
    scene = Scene([POISON], [done], until=5)
    scene.dead_letter_topic.closed_until = math.inf

    scene.run()

    assert scene.stored == [0, 1]


def test_dead_letter_of_a_revoked_partition_is_not_published() -> None:
    scene = Scene([POISON], [done], refusals=1, until=10)
    scene.at(0.5, lambda: scene.broker.revoke((TOPIC, 0)))

    scene.run()

    assert scene.dead_letters == []
    assert scene.stored == [0, 1]


def test_dead_letter_refused_after_revocation_is_not_published_again() -> None:
    scene = Scene([POISON], [done], refusals=1, until=10)
    scene.dead_letter_topic.closed_until = 1001.0
    scene.at(0.5, lambda: scene.broker.revoke((TOPIC, 0)))

    scene.run()

    assert scene.dead_letters == []
    assert scene.stored == [0, 1]


def test_too_many_dead_letters_in_a_row_stop_the_consumer_before_the_next() -> None:
    scene = Scene([POISON] * 9, dead_letters_in_a_row_max=3).run()

    assert len(scene.dead_letters) == 3
    assert scene.stored == [3]
    assert scene.consumer.reason_not_ready() == "stopped after 3 dead letters in a row"
    assert metrics.CONSUMER_STOPPED._value.get() == 1
    assert scene.broker.paused == {(TOPIC, 0)}


def test_consumer_that_stopped_at_a_retry_leaves_the_rest_on_the_topic() -> None:
    scene = Scene([bug, bug], dead_letters_in_a_row_max=1).run()

    assert scene.dead_letters == [("unexpected_error", 0, 0)]
    assert scene.stored == [1]


def test_offset_does_not_wait_for_a_poll_when_its_dead_letter_is_published() -> None:
    scene = Scene([POISON]).run()

    assert scene.broker.stored_at[TOPIC, 0] - 1000.0 < 0.1


def test_good_message_between_dead_letters_keeps_the_consumer_going() -> None:
    scene = Scene([POISON, POISON, done] * 3, dead_letters_in_a_row_max=3).run()

    assert len(scene.dead_letters) == 6
    assert scene.stored == [9]
    assert scene.consumer.reason_not_ready() is None


def test_consumer_that_stopped_in_the_middle_of_a_batch_stays_stopped() -> None:
    scene = Scene([dead, dead, dead, done], dead_letters_in_a_row_max=2).run()

    assert scene.consumer.reason_not_ready() == "stopped after 2 dead letters in a row"
    assert scene.stored == [2]


# ── failures of the handler ───────────────────────────────────────────────────────────────────────────────────────────


def test_failing_message_is_a_dead_letter_after_retries_at_1_2_and_4_seconds() -> None:
    scene = Scene([bug]).run()

    assert scene.tried(0) == pytest.approx([0, 1, 3, 7], abs=0.05)
    assert scene.dead_letters == [("unexpected_error", 0, 0)]
    assert scene.dead_letter_topic.dead_letters[0].message.attempts == 4
    assert str(scene.dead_letter_topic.dead_letters[0].invalid) == "failed 4 times: ZeroDivisionError"
    assert scene.stored == [1]


def test_messages_beside_a_failing_one_go_on_at_once() -> None:
    scene = Scene([done, bug, done], [done], until=0.5).run()

    assert scene.outcomes == [[Outcome.DONE], [], [Outcome.DONE], [Outcome.DONE]]
    assert scene.stored == [1, 1]


def test_message_that_fails_and_then_goes_well_is_done() -> None:
    scene = Scene([bug_until(4), done]).run()

    assert scene.dead_letters == []
    assert scene.stored == [2]


def test_failure_of_a_batch_is_an_attempt_of_the_failing_message_alone() -> None:
    scene = Scene([bug, done, done]).run()

    assert scene.outcomes == [[], [Outcome.DONE], [Outcome.DONE]]
    assert scene.dead_letters == [("unexpected_error", 0, 0)]


# ── infrastructure failures ───────────────────────────────────────────────────────────────────────────────────────────


def test_infrastructure_failure_loses_nothing_and_makes_no_dead_letter() -> None:
    scene = Scene([away_until(1020.0), done], [done], until=40).run()

    assert scene.stored == [2, 1]
    assert scene.dead_letters == []


def test_infrastructure_failure_pauses_everything_and_the_poll_goes_on() -> None:
    scene = Scene([away_until(math.inf)], [done], until=30).run()

    assert scene.broker.paused == {(TOPIC, 0), (TOPIC, 1)}
    assert scene.stored == [0, 0]


def test_pauses_between_tries_grow_to_two_seconds_with_jitter() -> None:
    scene = Scene([away_until(math.inf)], until=30).run()

    moments = scene.tried(0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert 0.15 <= gaps[0] <= 0.26
    assert max(gaps) <= 2.5
    assert min(gaps[5:]) >= 1.6
    assert len({round(gap, 3) for gap in gaps[5:]}) > 1


def test_first_pause_after_a_success_is_short_again() -> None:
    scene = Scene([away_until(1010.0), away_until(1040.0)], until=60)
    later = scene.broker.logs[TOPIC, 0].pop()
    scene.at(20, lambda: scene.broker.logs[TOPIC, 0].append(later))

    scene.run()

    first, second, *_ = scene.tried(1)
    assert second - first < 0.3
    assert scene.stored == [2]


def test_everything_is_resumed_after_an_infrastructure_failure() -> None:
    scene = Scene([away_until(1010.0)], [done]).run()

    assert scene.broker.paused == set()


# ── unknown keys ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_unknown_key_pauses_its_own_partition_alone() -> None:
    scene = Scene([done, no_key_until(math.inf), done], [done, done], until=20).run()

    assert scene.broker.paused == {(TOPIC, 0)}
    assert scene.stored == [1, 2]
    assert scene.dead_letters == []
    assert scene.consumer.reason_not_ready() == "1 partitions wait for an encryption key"


def test_message_whose_key_came_is_done_and_its_partition_resumed() -> None:
    scene = Scene([no_key_until(1012.0), done], [done], until=30).run()

    assert scene.stored == [2, 1]
    assert scene.broker.paused == set()
    assert scene.consumer.reason_not_ready() is None


def test_message_without_key_is_retried_every_five_seconds() -> None:
    scene = Scene([no_key_until(math.inf)], until=16).run()

    assert scene.tried(0) == pytest.approx([0, 5, 10, 15], abs=0.1)


# ── rebalancing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_of_a_revoked_partition_are_neither_handled_nor_stored() -> None:
    scene = Scene([POISON, bug, no_key_until(math.inf), done], [done], refusals=10**9, until=20)
    scene.at(0.5, lambda: scene.broker.revoke((TOPIC, 0)))

    scene.run()

    assert scene.stored == [0, 1]
    assert scene.consumer.reason_not_ready() is None
    assert len(scene.tried(1)) == 1


def test_partition_that_comes_back_is_read_again_from_its_stored_offset() -> None:
    scene = Scene([done, bug_until(3), done], until=20)
    scene.at(0.5, lambda: scene.broker.revoke((TOPIC, 0)))
    scene.at(0.6, lambda: scene.broker.assign((TOPIC, 0)))

    scene.run()

    assert scene.stored == [3]
    assert scene.outcomes == [[Outcome.DONE], [Outcome.DONE], [Outcome.DONE, Outcome.DUPLICATE]]


def test_partition_that_was_paused_when_revoked_is_read_when_it_comes_back() -> None:
    scene = Scene([no_key_until(1000.2)], [done], until=20)
    scene.at(0.5, lambda: scene.broker.revoke((TOPIC, 0)))
    scene.at(0.6, lambda: scene.broker.assign((TOPIC, 0)))

    scene.run()

    assert scene.stored == [1, 1]
    assert scene.broker.paused == set()


def test_batch_that_waits_is_dropped_with_its_partition() -> None:
    scene = Scene([away_until(math.inf)], [done], until=10)
    scene.at(1, lambda: scene.broker.revoke((TOPIC, 0)))

    scene.run()

    assert max(scene.tried(0)) <= 1.5
    assert scene.stored == [0, 1]


def test_acknowledged_offsets_are_stored_before_their_partition_goes() -> None:
    scene = Scene([done, bug], until=2)
    scene.at(0.5, lambda: scene.broker.revoke((TOPIC, 0)))

    scene.run()

    assert scene.stored == [1]


# ── the client ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_error_of_the_client_is_no_message() -> None:
    scene = Scene([done])
    scene.broker.errors.append(KafkaError(KafkaError._ALL_BROKERS_DOWN))

    scene.run()

    assert scene.stored == [1]


def test_client_that_died_is_rebuilt_and_reads_on() -> None:
    scene = Scene([done, done])
    later = scene.broker.logs[TOPIC, 0].pop()
    scene.at(1, lambda: scene.broker.errors.append(KafkaError(KafkaError._FATAL, "fenced", fatal=True)))
    scene.at(2, lambda: scene.broker.logs[TOPIC, 0].append(later))

    scene.run()

    assert scene.stored == [2]
    assert scene.outcomes == [[Outcome.DONE], [Outcome.DONE]]
    assert scene.broker.closed


def test_client_that_reads_nothing_though_there_is_something_to_read_is_rebuilt() -> None:
    scene = Scene([done, done], until=30)
    later = scene.broker.logs[TOPIC, 0].pop()
    scene.at(1, lambda: setattr(scene.broker, "dead", True))
    scene.at(2, lambda: scene.broker.logs[TOPIC, 0].append(later))

    scene.run()

    assert scene.stored == [2]
    assert 8 < scene.broker.stored_at[TOPIC, 0] - 1000.0 < 20


def test_client_that_has_nothing_to_read_is_kept() -> None:
    scene = Scene([done], until=60)

    scene.run()

    assert scene.broker.subscribed == 1


def test_client_behind_a_transaction_marker_moves_its_offset_past_it() -> None:
    scene = Scene([done, MARKER], [MARKER, MARKER], [done, MARKER, done, MARKER], until=60)

    scene.run()

    assert scene.broker.subscribed == 1
    assert scene.stored == [2, 2, 4]
    assert scene.outcomes == [[Outcome.DONE]] * 3


def test_offset_does_not_move_past_a_marker_before_its_message_is_acknowledged() -> None:
    scene = Scene([POISON, MARKER], refusals=10**9, until=30)

    scene.run()

    assert scene.stored == [0]


def test_open_transaction_makes_the_consumer_not_ready_until_it_ends() -> None:
    scene = Scene([done, done, MARKER], [done], until=60)
    scene.broker.open_transactions[TOPIC, 0] = 1
    reasons: list[str | None] = []
    for second in range(15, 60):
        scene.at(second, lambda: reasons.append(scene.consumer.reason_not_ready()))
    scene.at(30, scene.broker.open_transactions.clear)

    scene.run()

    held = f"partition 0 of {TOPIC} is held by an open transaction"
    assert [reason for reason, _ in itertools.groupby(reasons)] == [held, None]
    assert scene.broker.subscribed == 1
    assert scene.stored == [3, 1]


def test_open_transaction_is_reported_while_other_partitions_go_on() -> None:
    scene = Scene([done], [done] * 40, until=30)
    later = [scene.broker.logs[TOPIC, 1].pop() for _ in range(39)]
    scene.broker.open_transactions[TOPIC, 0] = 0
    for second in range(1, 29):
        scene.at(second, lambda: scene.broker.logs[TOPIC, 1].append(later.pop()))

    scene.run()

    assert scene.consumer.reason_not_ready() == f"partition 0 of {TOPIC} is held by an open transaction"
    assert metrics.PARTITIONS_IN_TRANSACTION._value.get() == 1


def test_short_transactions_in_a_row_are_not_held() -> None:
    scene = Scene([done] * 20, until=30)
    log = scene.broker.logs[TOPIC, 0]
    for second in range(1, 29):
        stable = second % 20
        scene.at(second, lambda stable=stable: scene.broker.open_transactions.update({(TOPIC, 0): stable}))  # type: ignore[misc]
    reasons: set[str | None] = set()
    for second in range(2, 19):
        scene.at(second + 0.5, lambda: reasons.add(scene.consumer.reason_not_ready()))

    scene.run()

    assert len(log) == 20
    assert reasons == {None}


def test_client_whose_partition_is_paused_on_purpose_is_kept() -> None:
    scene = Scene([no_key_until(1040), done], until=60)

    scene.run()

    assert scene.broker.subscribed == 1
    assert scene.stored == [2]


def test_consumer_that_has_not_joined_its_group_is_not_ready() -> None:
    scene = Scene([done])
    before = scene.consumer.reason_not_ready()

    scene.run()

    assert (before, scene.consumer.reason_not_ready()) == ("joining its consumer group", None)


def test_client_that_joins_its_group_again_is_not_ready_only_when_that_takes_long() -> None:
    scene = Scene([done], until=20)
    scene.broker.rejoin_seconds = 6.0
    scene.at(1, lambda: scene.broker.errors.append(KafkaError(KafkaError._FATAL, "fenced", fatal=True)))
    reasons: dict[int, str | None] = {}
    for second in range(1, 12):
        scene.at(second + 0.9, lambda second=second: reasons.update({second: scene.consumer.reason_not_ready()}))  # type: ignore[misc]

    scene.run()

    assert scene.broker.subscribed == 2
    assert [reason for reason, _ in itertools.groupby(reasons.values())] == [None, "joining its consumer group", None]
    assert (reasons[1], reasons[4]) == (None, "joining its consumer group")


def test_many_failing_messages_share_their_pauses_and_take_no_longer_than_one() -> None:
    scene = Scene([bug_until(3)] * 300, until=20)

    scene.run()

    assert scene.stored == [300]
    assert scene.broker.stored_at[TOPIC, 0] - 1000.0 < 8


def test_refused_dead_letter_makes_the_consumer_not_ready_until_it_is_written() -> None:
    scene = Scene([dead], refusals=3, until=20)
    reasons: list[str | None] = []
    for tenths in range(5, 100):
        scene.at(tenths / 10, lambda: reasons.append(scene.consumer.reason_not_ready()))

    scene.run()

    assert [reason for reason, _ in itertools.groupby(reasons)] == ["1 dead letters cannot be written", None]


def test_leaving_closes_client_and_handler() -> None:
    scene = Scene([done], until=1).run()

    assert scene.broker.closed
    assert scene.handler.closed


# ── all of it at once ─────────────────────────────────────────────────────────────────────────────────────────────────

ENTRIES = st.one_of(
    st.sampled_from([done, duplicate, dead, bug, lost_race_once]),
    st.just(POISON),
    st.just(MARKER),
    st.integers(2, 4).map(bug_until),
    st.integers(1000, 1020).map(away_until),
    st.integers(1000, 1020).map(no_key_until),
)


@hypothesis_settings(max_examples=60)
@given(st.lists(st.lists(ENTRIES, max_size=6), min_size=1, max_size=3), st.integers(0, 3), st.data())
def test_every_message_is_done_once_or_a_dead_letter_and_every_offset_moves(
    logs: list[list[Behaviour | bytes]], refusals: int, data: st.DataObject
) -> None:
    scene = Scene(*logs, refusals=refusals, until=90)
    for moment in sorted(data.draw(st.lists(st.integers(1, 20), max_size=3))):
        partition = data.draw(st.sampled_from(sorted(scene.broker.logs)))
        scene.at(moment, lambda partition=partition: scene.broker.revoke(partition))  # type: ignore[misc]
        scene.at(moment, lambda partition=partition: scene.broker.assign(partition))  # type: ignore[misc]

    scene.run()

    assert scene.stored == [len(log) for log in logs]
    published = {(partition, offset) for _, partition, offset in scene.dead_letters}
    invalid = {
        (number, offset)
        for number, log in enumerate(logs)
        for offset, entry in enumerate(log)
        if entry in (dead, bug, POISON)
    }
    assert published == invalid
    assert all(outcomes.count(Outcome.DONE) <= 1 for outcomes in scene.outcomes)
