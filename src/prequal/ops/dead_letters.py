"""Dead letters looked at, sent back to where they came from, or thrown away for a reason.

Invariant: a letter passes for settled only after the broker has its copy, or its discard is committed.

    waiting ──replay──► replayed ──replay --force──► replayed
       └────discard───► discarded ──replay --force──► replayed

Kafka's client blocks; each command here is one person's, with nothing beside it on its event loop.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from prequal.core.errors import KINDS, Misconfigured, Transient
from prequal.core.settings import StoresSettings
from prequal.core.topology import dead_letter_topic
from prequal.domain.pan_detection import contains_pan, looks_like_pan
from prequal.messaging.kafka_clients import producer_settings
from prequal.ops import queries
from prequal.ops.dead_letter import SOURCES, DeadLetterId, State, StoredDeadLetter, original_headers, read_dead_letter
from prequal.ops.dead_letter_reader import read_topics
from prequal.ops.selection import Moment, Period, period, quoted
from prequal.postgres.connections import Connection
from prequal.schema.version import connected_at_revision

AT_ONCE = 50
"""Letters that are sent back, and recorded, together: at most some 50 MB."""
FLUSH_SECONDS = 8.0
REASON_MAX = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeadLetterSelection:
    """The dead letters that a person means: those with these ids that pass every filter; all by default."""

    ids: Sequence[DeadLetterId] = ()
    kind: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    source: str | None = None

    @property
    def topics(self) -> list[str]:
        """The dead-letter topics in which they can lie."""
        if self.ids:
            return sorted({id_.topic for id_ in self.ids})
        return list(SOURCES) if self.source is None else [dead_letter_topic(self.source)]

    def means(self, letter: StoredDeadLetter, written: Period) -> bool:
        """Whether a letter is one of them."""
        if self.ids and letter.id not in self.ids:
            return False
        return (
            (self.kind is None or letter.kind == self.kind)
            and (self.source is None or letter.id.source == self.source)
            and letter.written_at in written
        )


@dataclass(frozen=True, slots=True)
class FoundDeadLetter:
    """A letter and what became of it."""

    letter: StoredDeadLetter
    state: State


@dataclass(frozen=True, slots=True)
class SelectedDeadLetters:
    """The letters an act is for, and those it passes over because it was done before."""

    letters: list[StoredDeadLetter] = field(default_factory=list)
    passed_over: list[StoredDeadLetter] = field(default_factory=list)


def find(settings: StoresSettings, which: DeadLetterSelection) -> list[FoundDeadLetter]:
    """The letters meant, in the order of their ids, whatever became of them.

    Raises:
        Misconfigured: a letter with one of the ids is not there, no such reason exists, or the period is empty.
        Transient: Kafka or the database does not answer.
    """
    return asyncio.run(_find(settings, which))


def fetch(settings: StoresSettings, ids: Sequence[DeadLetterId]) -> list[tuple[FoundDeadLetter, Message]]:
    """The letters with these ids, whole.

    Raises:
        Misconfigured: one of them is not there.
        Transient: Kafka or the database does not answer.
    """
    found = find(settings, DeadLetterSelection(ids))
    messages = {_id(message): message for message in _messages(settings, set(ids))}
    return [(each, messages[each.letter.id]) for each in found if each.letter.id in messages]


def replay(
    settings: StoresSettings, which: DeadLetterSelection, *, by: str, force: bool = False, dry_run: bool = False
) -> SelectedDeadLetters:
    """Send letters back to their topics, byte for byte, and return when the broker has them; a dry run only chooses.

    Of the letters that filters mean, those that wait. A letter with its id given that was replayed before is passed
    over, unless `force`. The events keep their ids, so that those that took effect meanwhile take none again.

    Raises:
        Misconfigured: as for `find`; or a letter given by its id was discarded, and there is no `force`.
        Transient: Kafka or the database does not answer. What was sent back by then is recorded as replayed.
    """
    return asyncio.run(_replay(settings, which, by, force, dry_run))


def discard(
    settings: StoresSettings, which: DeadLetterSelection, *, because: str, by: str, dry_run: bool = False
) -> SelectedDeadLetters:
    """Record that letters are not to be replayed, by whom and why; they stay on their topic until it forgets them.

    A letter that was settled before is passed over.

    Raises:
        Misconfigured: as for `find`; or `because` says nothing, is too long, or holds a PAN.
        Transient: Kafka or the database does not answer; nothing was changed.
    """
    return asyncio.run(_discard(settings, which, _reason(because), by, dry_run))


async def _find(settings: StoresSettings, which: DeadLetterSelection) -> list[FoundDeadLetter]:
    async with _connected(settings) as connection:
        return await _look(connection, settings, which)


async def _replay(
    settings: StoresSettings, which: DeadLetterSelection, by: str, force: bool, dry_run: bool
) -> SelectedDeadLetters:
    async with _connected(settings) as connection:
        await queries.take_turn(connection)
        chosen = _to_replay(await _look(connection, settings, which), which, force)
        if chosen.letters and not dry_run:
            await _send_back(connection, settings, chosen.letters, by)
        return chosen


async def _discard(
    settings: StoresSettings, which: DeadLetterSelection, reason: str, by: str, dry_run: bool
) -> SelectedDeadLetters:
    async with _connected(settings) as connection:
        await queries.take_turn(connection)
        chosen = _split(await _look(connection, settings, which), which, {State.WAITING})
        if chosen.letters and not dry_run:
            await queries.record(connection, State.DISCARDED, chosen.letters, reason, by)
        return chosen


async def _look(connection: Connection, settings: StoresSettings, which: DeadLetterSelection) -> list[FoundDeadLetter]:
    written = period(which.since, which.until, await queries.now(connection))
    states = await queries.read_states(connection)
    kinds, found = set(KINDS), []
    for message in read_topics(settings, which.topics):
        letter = read_dead_letter(message)
        kinds.add(letter.kind)
        if which.means(letter, written):
            found.append(FoundDeadLetter(letter, states.get((letter.id, letter.written_at), State.WAITING)))
    _refuse_unknown(which, kinds, {each.letter.id for each in found})
    return sorted(found, key=lambda each: each.letter.id)


def _refuse_unknown(which: DeadLetterSelection, kinds: Collection[str], found: Collection[DeadLetterId]) -> None:
    if which.kind is not None and which.kind not in kinds:
        raise Misconfigured(f"--reason {quoted(which.kind)} is none of {', '.join(sorted(kinds))}.")
    if missing := [str(id_) for id_ in which.ids if id_ not in found]:
        raise Misconfigured(f"There is no dead letter {', '.join(missing)} that passes the filters; nothing was done.")


def _to_replay(found: Sequence[FoundDeadLetter], which: DeadLetterSelection, force: bool) -> SelectedDeadLetters:
    if force:
        return SelectedDeadLetters([each.letter for each in found])
    if which.ids and (discarded := [str(each.letter.id) for each in found if each.state is State.DISCARDED]):
        raise Misconfigured(f"Discarded before: {', '.join(discarded)}. Replay it with --force; nothing was done.")
    return _split(found, which, {State.WAITING})


def _split(
    found: Sequence[FoundDeadLetter], which: DeadLetterSelection, states: Collection[State]
) -> SelectedDeadLetters:
    """Those in one of `states`, and of those asked for by their ids the others."""
    others = [each.letter for each in found if each.state not in states] if which.ids else []
    return SelectedDeadLetters([each.letter for each in found if each.state in states], others)


async def _send_back(
    connection: Connection, settings: StoresSettings, letters: Sequence[StoredDeadLetter], by: str
) -> None:
    """Send and record, some letters at a time: a letter that is sent and not recorded is sent again, harmlessly."""
    chosen = {letter.id: letter for letter in letters}
    producer = Producer(
        # Each letter by itself: of a batch that is too large the broker takes none.
        producer_settings(settings, one_at_a_time=True)
        | {"client.id": "prequal-dlq", "log_level": 0, "batch.num.messages": 1},
        logger=logging.getLogger("librdkafka"),
    )
    done = 0
    for messages in _chunks(_messages(settings, set(chosen))):
        sent, failure = _send(producer, messages)
        if sent:
            await queries.record(connection, State.REPLAYED, [chosen[id_] for id_ in sent], None, by)
        done += len(sent)
        if failure is not None:
            raise Transient(
                f"Kafka took {done} of {len(letters)} dead letters back, then not any more: {failure}. "
                f"Those are recorded as replayed; run it again for the rest."
            )


def _send(producer: Producer, messages: Sequence[Message]) -> tuple[list[DeadLetterId], str | None]:
    """Produce to the sources, and wait; which letters the broker has, and why it has not all."""
    sent: list[DeadLetterId] = []
    failures: list[str] = []

    def delivered(id_: DeadLetterId, error: KafkaError | None, _: Message) -> None:
        if error is None:
            sent.append(id_)
        else:
            failures.append(error.name())

    for message in messages:
        try:
            id_ = _id(message)
            producer.produce(
                id_.source,
                message.value(),
                message.key(),
                headers=original_headers(message),
                on_delivery=partial(delivered, id_),
            )
        except (KafkaException, BufferError) as failure:
            failures.append(type(failure).__name__)
    if producer.flush(FLUSH_SECONDS):
        failures.append("no answer")
    return sent, failures[0] if failures else None


def _messages(settings: StoresSettings, ids: Collection[DeadLetterId]) -> Iterator[Message]:
    topics = sorted({id_.topic for id_ in ids})
    return (message for message in read_topics(settings, topics) if _id(message) in ids)


def _id(message: Message) -> DeadLetterId:
    return DeadLetterId(message.topic() or "", message.partition() or 0, message.offset() or 0)


def _chunks(things: Iterable[T]) -> Iterator[list[T]]:
    left = iter(things)
    while chunk := list(islice(left, AT_ONCE)):
        yield chunk


def _reason(because: str) -> str:
    reason = " ".join(because.split())
    if not reason:
        raise Misconfigured("--because says nothing: a discard is recorded with its reason.")
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise Misconfigured(f"--because must be at most {REASON_MAX} printable characters.")
    if contains_pan(reason) or looks_like_pan(reason):
        raise Misconfigured("--because holds what looks like a PAN: it is recorded, so say it without.")
    return reason


def _connected(settings: StoresSettings) -> AbstractAsyncContextManager[Connection]:
    milliseconds = str(int(queries.TURN_SECONDS * 1000))
    session = {"lock_timeout": milliseconds, "statement_timeout": "0"}
    return connected_at_revision(settings.database_url, "dlq", session, queries.TURN_SECONDS + 10)
