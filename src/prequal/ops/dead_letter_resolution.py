"""Dead letters: found, replayed to their source topics, or discarded for a reason.

Invariant: a dead letter is resolved only once the broker has acknowledged its copy, or its discard is committed.

    waiting ──replay──► replayed ──replay --force──► replayed
       └────discard───► discarded ──replay --force──► replayed

Kafka's client blocks; each command here runs alone on its event loop.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from prequal.core.blocking import blocking
from prequal.core.errors import KINDS, Transient, UsageError
from prequal.core.settings import StoresSettings
from prequal.core.topology import dead_letter_topic
from prequal.domain.identity_detection import holds_identity
from prequal.messaging.kafka_clients import producer_settings
from prequal.ops import queries
from prequal.ops.selection import SOURCES, Moment, Period, period, quoted
from prequal.ops.stored_dead_letter import (
    DeadLetterId,
    DeadLetterState,
    StoredDeadLetter,
    WholeDeadLetter,
    id_of,
    read_dead_letter,
)
from prequal.ops.topic_reader import read_topics
from prequal.postgres import clock
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, Detail, record_act, record_look
from prequal.schema.version import connected_at_revision

BATCH = 50
"""Dead letters that are produced, and recorded, together: at most some 50 MB."""
FLUSH_SECONDS = 8.0
REASON_MAX = 500

T = TypeVar("T")


class NoSuchDeadLetter(UsageError):
    """No dead letter has this id, or passes the filters as well."""


class DiscardedBefore(UsageError):
    """A dead letter was discarded, so that it is not replayed unless that is forced."""


@dataclass(frozen=True, slots=True)
class DeadLetterSelection:
    """The dead letters that a command is for: those with these ids that pass every filter; by default all."""

    ids: Sequence[DeadLetterId] = ()
    kind: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    source: str | None = None

    @property
    def topics(self) -> list[str]:
        """The dead-letter topics that have to be read."""
        if self.ids:
            return sorted({id_.topic for id_ in self.ids})
        return list(SOURCES) if self.source is None else [dead_letter_topic(self.source)]

    def includes(self, dead_letter: StoredDeadLetter, written: Period) -> bool:
        """Whether a dead letter is selected; `written` is the period of `since` and `until`."""
        if self.ids and dead_letter.id not in self.ids:
            return False
        return (
            (self.kind is None or dead_letter.kind == self.kind)
            and (self.source is None or dead_letter.id.source == self.source)
            and dead_letter.written_at in written
        )


class UnfitReason(UsageError):
    """The reason is empty, too long, or holds an identity number."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The dead letters that a command resolved (in a dry run: would resolve), and those resolved before."""

    resolved: list[StoredDeadLetter] = field(default_factory=list)
    already_resolved: list[StoredDeadLetter] = field(default_factory=list)


@blocking
async def find(settings: StoresSettings, selection: DeadLetterSelection) -> list[StoredDeadLetter]:
    """The selected dead letters in the order of their ids, in whatever state.

    Raises:
        UsageError: no dead letter has one of the ids, no such kind of error exists, or the period is empty.
        Misconfigured: a dead-letter topic does not exist, or the database is not migrated.
        Transient: Kafka or the database does not answer.
    """
    async with connection_for_dlq(settings) as connection:
        return await _select(connection, settings, selection)


def fetch(settings: StoresSettings, ids: Sequence[DeadLetterId]) -> list[WholeDeadLetter]:
    """The dead letters with these ids, each with its content. Raises what `find` does."""
    found = find(settings, DeadLetterSelection(ids))
    whole = {each.dead_letter.id: each for each in _whole(settings, set(ids))}
    return [replace(whole[each.id], dead_letter=each) for each in found if each.id in whole]


@blocking
async def replay(
    settings: StoresSettings, selection: DeadLetterSelection, *, by: Actor, force: bool = False, dry_run: bool = False
) -> Resolution:
    """Produce dead letters to their source topics, byte for byte, and return when the broker has acknowledged them.

    Filters select only waiting ones. A dead letter that was selected by its id and was replayed before is left alone,
    unless `force`. The events keep their ids, so that an event which took effect meanwhile has no second effect.

    Raises:
        UsageError: as for `find`; or one selected by its id was discarded, and there is no `force`.
        Transient: Kafka or the database does not answer. What was acknowledged by then is recorded as replayed.
    """
    async with connection_for_dlq(settings) as connection:
        await queries.lock_resolutions(connection)
        found = await _select(connection, settings, selection)
        resolution = Resolution(found) if force else _without_discarded(found, selection)
        if resolution.resolved and not dry_run:
            await _produce_and_record(connection, settings, resolution.resolved, by)
        return resolution


@blocking
async def discard(
    settings: StoresSettings, selection: DeadLetterSelection, *, because: str, by: Actor, dry_run: bool = False
) -> Resolution:
    """Record that waiting dead letters are not to be replayed, by whom and why; they stay on their topic.

    Raises:
        UsageError: as for `find`; or `because` is empty, too long, or holds a PAN, which a dry run does not look at.
        Transient: Kafka or the database does not answer; nothing was changed.
    """
    reason = "" if dry_run else read_reason(because)
    async with connection_for_dlq(settings) as connection:
        await queries.lock_resolutions(connection)
        resolution = _waiting(await _select(connection, settings, selection), selection)
        if resolution.resolved and not dry_run:
            await _record(connection, DeadLetterState.DISCARDED, resolution.resolved, reason, by)
        return resolution


async def _select(
    connection: Connection, settings: StoresSettings, selection: DeadLetterSelection
) -> list[StoredDeadLetter]:
    written = period(selection.since, selection.until, await clock.now(connection))
    states = await queries.read_states(connection)
    kinds, found = set(KINDS), []
    for message in read_topics(settings, selection.topics):
        dead_letter = read_dead_letter(message).dead_letter
        kinds.add(dead_letter.kind)
        if selection.includes(dead_letter, written):
            state = states.get((dead_letter.id, dead_letter.written_at), DeadLetterState.WAITING)
            found.append(replace(dead_letter, state=state))
    _refuse_unknown(selection, kinds, {each.id for each in found})
    return sorted(found, key=lambda each: each.id)


def _refuse_unknown(selection: DeadLetterSelection, kinds: Collection[str], found: Collection[DeadLetterId]) -> None:
    if selection.kind is not None and selection.kind not in kinds:
        raise UsageError(f"{quoted(selection.kind)} is none of the kinds {', '.join(sorted(kinds))}.")
    if missing := [str(id_) for id_ in selection.ids if id_ not in found]:
        raise NoSuchDeadLetter(
            f"There is no dead letter {', '.join(missing)} that passes the filters; nothing was done."
        )


def _without_discarded(found: Sequence[StoredDeadLetter], selection: DeadLetterSelection) -> Resolution:
    if selection.ids and (discarded := [str(each.id) for each in found if each.state is DeadLetterState.DISCARDED]):
        raise DiscardedBefore(
            f"Discarded before: {', '.join(discarded)}. Nothing was done: only a forced replay takes those."
        )
    return _waiting(found, selection)


def _waiting(found: Sequence[StoredDeadLetter], selection: DeadLetterSelection) -> Resolution:
    """Those that wait; of those selected by their ids also the others, as resolved already."""
    others = [each for each in found if each.state is not DeadLetterState.WAITING] if selection.ids else []
    return Resolution([each for each in found if each.state is DeadLetterState.WAITING], others)


async def _produce_and_record(
    connection: Connection, settings: StoresSettings, dead_letters: Sequence[StoredDeadLetter], by: Actor
) -> None:
    """Batch by batch; one that is produced and then not recorded is produced again by the next run, harmlessly."""
    selected = {each.id: each for each in dead_letters}
    producer = Producer(
        # Each message in a request of its own: a batch that is too large is refused as a whole.
        producer_settings(settings) | {"client.id": "prequal-dlq", "log_level": 0, "batch.num.messages": 1},
        logger=logging.getLogger("librdkafka"),
    )
    done = 0
    for batch in _batches(_whole(settings, set(selected))):
        acknowledged, failure = _produce(producer, batch)
        if acknowledged:
            await _record(connection, DeadLetterState.REPLAYED, [selected[id_] for id_ in acknowledged], None, by)
        done += len(acknowledged)
        if failure is not None:
            raise Transient(
                f"Kafka took {done} of {len(dead_letters)} dead letters back, then not any more: {failure}. "
                f"Those are recorded as replayed; run it again for the rest."
            )


def _produce(producer: Producer, batch: Sequence[WholeDeadLetter]) -> tuple[list[DeadLetterId], str | None]:
    """Produce to the source topics and wait; returns the acknowledged ids, and the first failure if there is any."""
    acknowledged: list[DeadLetterId] = []
    failures: list[str] = []

    def delivered(id_: DeadLetterId, error: KafkaError | None, _: Message) -> None:
        if error is None:
            acknowledged.append(id_)
        else:
            failures.append(error.name())

    for whole in batch:
        try:
            id_ = whole.dead_letter.id
            producer.produce(
                id_.source,
                whole.value,
                whole.key,
                headers=whole.replay_headers,
                on_delivery=partial(delivered, id_),
            )
        except (KafkaException, BufferError) as failure:
            failures.append(type(failure).__name__)
    if producer.flush(FLUSH_SECONDS):
        failures.append("no answer")
    return acknowledged, failures[0] if failures else None


def _whole(settings: StoresSettings, ids: Collection[DeadLetterId]) -> Iterator[WholeDeadLetter]:
    topics = sorted({id_.topic for id_ in ids})
    return (read_dead_letter(message) for message in read_topics(settings, topics) if id_of(message) in ids)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def read_reason(because: str) -> str:
    """The reason that a person gives, in one line.

    Raises:
        UnfitReason: it is empty, too long, or holds an identity number.
    """
    reason = " ".join(because.split())
    if not reason:
        raise UnfitReason("The reason is empty: what is done is recorded with its reason.")
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise UnfitReason(f"The reason must be at most {REASON_MAX} printable characters.")
    if holds_identity(reason):
        raise UnfitReason("The reason holds a PAN or an Aadhaar number: it is recorded, so write it without.")
    return reason


async def record_look_at(connection: Connection, actor: Actor, dead_letter: StoredDeadLetter) -> None:
    """Write that a person looks at the content of a dead letter: at its application, where it names one."""
    subject, details = ("dead_letter", str(dead_letter.id)), dict[str, Detail]()
    if dead_letter.application_id:
        subject, details = ("application", str(dead_letter.application_id)), {"dead_letter": str(dead_letter.id)}
    await record_look(connection, actor, "dead_letter_viewed", *subject, details)


def connection_for_dlq(settings: StoresSettings) -> AbstractAsyncContextManager[Connection]:
    """A connection for one command, which waits a bounded time for locks."""
    milliseconds = str(int(queries.LOCK_SECONDS * 1000))
    session = {"lock_timeout": milliseconds, "statement_timeout": "0"}
    return connected_at_revision(settings.database_url, "dlq", session, queries.LOCK_SECONDS + 10)


async def _record(
    connection: Connection,
    state: DeadLetterState,
    dead_letters: Sequence[StoredDeadLetter],
    reason: str | None,
    by: Actor,
) -> None:
    """Record what was done to each, and the act by which it was done to all of them."""
    async with connection.transaction():
        await queries.record(connection, state, dead_letters, reason, by.name)
        first, *others = (str(each.id) for each in dead_letters)
        details: dict[str, Detail] = {"dead_letters": len(dead_letters), "reason": reason}
        subject = first if not others else f"{first} to {others[-1]}"
        await record_act(connection, by, f"dead_letters_{state.value}", "dead_letter", subject, details)
