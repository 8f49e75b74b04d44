"""Topics and offsets under the services' feet: set back, deleted, too small for a message.

Invariant: a topic is as `prequal topics` makes it when a run is over.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from faults.plan import SHORT, Volume
from faults.scenario import Run, Spoilt, scenario
from faults.systems import FaultSystem, with_publisher_alone
from harness.broker import REPORTED, REPORTED_DLQ, SUBMITTED, SUBMITTED_DLQ, RawMessage
from harness.journal import Planted
from harness.system import at_once
from harness.waiting import eventually
from prequal.core.topology import GROUPS
from prequal.messaging.topics import PARTITIONS

CONSUMERS: Final = ("credit", "decision")
HELD: Final = ("credit", "publisher")
"""Who is frozen for a moment so that events wait when their topic goes away."""
UNREAD: Final = 10
WITHOUT_PLACE: Final = "dead letters cannot be written"
LEAVE_SECONDS: Final = 15.0
"""Within which the broker has given up a member that left: longer than the consumers' session."""
REPUBLISHED_SECONDS: Final = 120.0
"""Within which the republisher has republished what a deleted topic held."""
TINY_BYTES: Final = "120"
"""Less than any event of ours takes."""


@scenario(10, "offsets-set-back", volume=SHORT)
def offsets_set_back(run: Run) -> None:
    """Both groups begin again at the first message: once under load, and once at rest, where no row may change."""
    run.load()
    run.some_moment()
    with run.fault(killed=CONSUMERS) as fault:
        _stop_and_set_back(run)
        fault.restore()
        at_once(run.system.start, CONSUMERS)
    run.sent()
    run.demand_soon(run.is_quiet, 60, "not at rest before the second time")
    before = run.system.database.everything()
    with run.fault(killed=CONSUMERS) as fault:
        _stop_and_set_back(run)
        fault.restore()
        at_once(run.system.start, CONSUMERS)
    run.demand_soon(lambda: run.system.broker.lag() == 0, 30, "not everything was read again")
    for service, topic in zip(CONSUMERS, GROUPS, strict=True):
        again = run.system.metric(service, "kafka_messages_consumed_total", 'outcome="duplicate"')
        count = run.system.broker.published(topic)
        run.demand(again >= count, f"{service} knew only {again:g} of {count} messages again")
    after = run.system.database.everything()
    changed = [table for table, rows in before.items() if rows != after[table]]
    run.demand(not changed, f"rows changed in {', '.join(changed)}")
    run.come_to_rest()


def topic_deleted(
    topic: str, other: str, other_flows: Callable[[Run], AbstractContextManager[None]]
) -> Callable[[Run], None]:
    """A scenario in which a topic is deleted, with what it held; its events wait, and the other topic's flow.

    `other_flows` is entered before, and makes sure that events of the other topic come after it.
    """

    def act(run: Run) -> None:
        _move_leader_epochs(run)
        run.load()
        run.some_moment()
        with run.fault(troubled=("publisher", *CONSUMERS), killed=HELD, lost=(topic,)) as fault:
            with other_flows(run):
                before = run.system.broker.published(other)
                run.system.broker.delete(topic)
            run.load(Volume(round(run.outage_seconds * 5), 5))
            run.demand_soon(lambda: _parked(run, topic), run.outage_seconds + 10, "no event waits with a reason")
            run.demand_soon(lambda: _grew(run, other, before), 10, "the other topic stood still")
            run.wait(run.outage_seconds)
            fault.restore()
            run.system.job("topics")
        run.come_to_rest()
        run.demand_none_refused()

    return act


@scenario(11, "message-too-large", outage=(5.0, 2.0))
def message_too_large(run: Run) -> None:
    """A topic takes no message of the usual size: those events wait, each with its reason, and the others flow."""
    for topic, other in run.chance.sample([(SUBMITTED, REPORTED), (REPORTED, SUBMITTED)], 2):
        run.load()
        run.some_moment((0.2, 0.4))
        with run.fault(killed=HELD) as fault:
            with _submissions_unread(run) if other == REPORTED else nullcontext():
                before = run.system.broker.published(other)
                run.system.broker.configure(topic, max_message_bytes=TINY_BYTES)
            run.load(SHORT)
            run.demand_soon(functools.partial(_parked, run, topic), 15, "no event waits with a reason")
            run.demand_soon(functools.partial(_grew, run, other, before), 10, "the other topic stood still")
            run.wait(run.outage_seconds)
            run.demand(not _parked(run, other), "events of the other topic were parked too")
            fault.restore()
            run.system.broker.configure(topic, max_message_bytes=str(2**20))
        run.sent()
        run.demand_soon(run.is_quiet, 60, f"not at rest after {topic}")
    run.come_to_rest()
    run.demand_none_refused()


@scenario(16, "dead-letter-topics-missing", outage=(10.0, 3.0), own_system=True)
def no_place_for_dead_letters(run: Run) -> None:
    """Poison comes while the dead-letter topics are missing: its offsets wait, its neighbours do not."""
    poison = [RawMessage(b"{", f"poison-{number}".encode()) for number in range(3)]
    run.load()
    run.some_moment()
    with run.fault(troubled=CONSUMERS) as fault:
        run.system.broker.delete(SUBMITTED_DLQ, REPORTED_DLQ)
        for topic in GROUPS:
            _plant(run, topic, poison)
        run.wait(run.outage_seconds)
        for service, (topic, group) in zip(CONSUMERS, GROUPS.items(), strict=True):
            behind = run.system.broker.published(topic) - run.system.broker.committed(group)
            run.demand(behind > 0, f"the offsets of {service} went past what had no dead letter")
            run.demand_soon(functools.partial(run.says, service, WITHOUT_PLACE), 10, f"{service} did not say why")
        run.sent()
        run.demand_soon(
            lambda: not [row for row in run.applications() if row["status"] == "PENDING"], 30, "neighbours waited"
        )
        fault.restore()
        run.system.job("topics")
    run.come_to_rest()
    held = [run.system.broker.published(topic) for topic in (SUBMITTED_DLQ, REPORTED_DLQ)]
    run.demand(held == [len(poison)] * 2, f"{held} dead letters of {len(poison)} each")


def _move_leader_epochs(run: Run) -> None:
    """Restart the broker: a topic that is recreated then begins with a lower leader epoch than the old one had."""
    with run.fault(away=("kafka",)) as fault:
        fault.restore()
        run.system.restart("kafka")
        run.demand_ready(30)


@contextmanager
def _submissions_unread(run: Run) -> Iterator[None]:
    """The credit service is frozen for as long as the block, and has submissions to read when it goes on."""
    run.system.freeze("credit")
    before = run.system.broker.published(SUBMITTED)
    run.load(SHORT)
    eventually(lambda: run.system.broker.published(SUBMITTED) >= before + UNREAD, 15)
    yield
    run.system.thaw("credit")


@contextmanager
def _reports_held_back(run: Run) -> Iterator[None]:
    """For as long as the block reports wait in the outbox, for a publisher that is frozen and publishes alone."""
    with _submissions_unread(run):
        run.system.freeze("publisher")
    run.load(SHORT)
    eventually(lambda: _waits(run, REPORTED), 15)
    yield
    run.system.thaw("publisher")


def _waits(run: Run, topic: str) -> bool:
    return bool(run.system.database.value("SELECT EXISTS (SELECT FROM outbox_events WHERE topic = %s)", topic))


def _grew(run: Run, topic: str, before: int) -> bool:
    return run.system.broker.published(topic) > before


def _stop_and_set_back(run: Run) -> None:
    at_once(run.system.terminate, CONSUMERS)
    for topic, group in GROUPS.items():
        _set_back(run, group, topic)


def _set_back(run: Run, group: str, topic: str) -> None:
    """Begin a group that has no members again; the broker refuses until it has forgotten those that it had."""
    admin = AdminClient({"bootstrap.servers": run.system.bootstrap_servers, "log_level": 0})
    first = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]

    def done() -> bool:
        asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, first)])
        try:
            answers = next(iter(asked.values())).result(LEAVE_SECONDS).topic_partitions
        except KafkaException:
            return False
        return not any(place.error for place in answers)

    eventually(done, LEAVE_SECONDS * 2)
    if run.system.broker.committed(group, topic):
        raise Spoilt(f"the offsets of {group} were not set back")


def _plant(run: Run, topic: str, messages: Iterable[RawMessage]) -> None:
    """Tell messages that are no events of ours, and write down where they lie."""
    before = run.system.broker.ends(topic)
    run.system.broker.publish(topic, messages)
    keys = {message.key for message in messages}
    for message in run.system.broker.read(topic, sum(before.values())):
        if message.key() in keys:
            place = message.topic(), message.partition(), message.offset()
            run.journal.write(Planted(*place))  # type: ignore[arg-type]


def _parked(run: Run, topic: str) -> bool:
    query = "SELECT EXISTS (SELECT FROM outbox_parked WHERE topic = %s AND reason <> '')"
    return bool(run.system.database.value(query, topic))


for name, opens, deleted in (
    # What came was read and is lost with its topic: reports come after it as far as the outbox holds them.
    ("topic-of-submissions-deleted", with_publisher_alone, (SUBMITTED, REPORTED, _reports_held_back)),
    ("topic-of-reports-deleted", FaultSystem, (REPORTED, SUBMITTED, lambda _: nullcontext())),
):
    scenario(11, name, outage=(10.0, 4.0), opens=opens, at_rest_seconds=REPUBLISHED_SECONDS)(topic_deleted(*deleted))
