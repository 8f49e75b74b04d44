"""Submitting: applications that arrive while a write is in flight share the next one, and each gets its own answer.

Invariant: a 202 is answered only after its commit, and when the answer to COMMIT is lost, the database is asked.

    waiting ──► in a batch ──► accepted | replayed | duplicate | key reused
       │             └──► the database failed: unavailable
       └──► four seconds passed, or too many wait: unavailable
"""

import asyncio
import functools
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from time import monotonic
from typing import TypeAlias
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import Counter

from prequal.api import queries
from prequal.api.queries import NewApplication
from prequal.core import failpoints
from prequal.core.errors import Transient
from prequal.core.failpoints import Place
from prequal.core.settings import ApiSettings
from prequal.messaging.outbox_notifier import OutboxNotifier
from prequal.postgres.connections import (
    INFRASTRUCTURE_ERRORS,
    Connection,
    LostRace,
    SingleConnection,
    connect,
    describe,
)
from prequal.telemetry import metrics, tracing
from prequal.telemetry.logs import where

log = structlog.get_logger()

ANSWER_SECONDS = 4.0
"""No submission waits longer for its answer; the contract's bound is 4.5 s."""
SWEEP_SECONDS = 0.1
COMMIT_SECONDS = 1.5
RESOLVE_SECONDS = 2.0
RACES_MAX = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    """Committed; `replayed` when this is the first answer to the same key, given again."""

    application_id: UUID
    created_at: datetime
    request_id: str
    replayed: bool = False


class Refusal(Enum):
    """Why an application was not accepted."""

    DUPLICATE = auto()
    KEY_REUSED = auto()
    KEY_IN_USE = auto()
    UNAVAILABLE = auto()
    FAILED = auto()


Answer: TypeAlias = Accepted | Refusal


class _Locked(Exception):
    """Another writer holds a key or a PAN of this batch for longer than we wait."""

    def __init__(self, error: asyncpg.LockNotAvailableError) -> None:
        super().__init__()
        context: str | None = error.context  # where the server waited
        self.by_key = "idempotency_keys" in (context or "")


class _Submission:
    """An application on its way, and the future that its request awaits."""

    __slots__ = ("answer", "give_up_at", "new")

    def __init__(self, new: NewApplication, answer: "asyncio.Future[Answer]") -> None:
        self.new = new
        self.answer = answer
        self.give_up_at = monotonic() + ANSWER_SECONDS

    def settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Submissions:
    """The line of waiting applications, and the one writer that empties it."""

    def __init__(self, settings: ApiSettings, notifier: OutboxNotifier) -> None:
        self._database_url = settings.database_url
        self._service = settings.service_name
        self._link = SingleConnection(settings.database_url, f"{self._service} write")
        self._notifier = notifier
        self._batch_max = settings.write_batch_max
        self._waiting_max = settings.waiting_max
        self._line: deque[_Submission] = deque()
        self._being_written: list[_Submission] = []
        self._arrived = asyncio.Event()
        self._open = False
        metrics.WAITING.set_function(lambda: len(self._line))
        metrics.WAITING_LIMIT.set(settings.waiting_max)

    def open(self) -> None:
        """Take applications from now on: the database's revision and the keys were found right."""
        self._open = True

    async def submit(self, new: NewApplication) -> Answer:
        """Write `new` in the next batch and answer when it is committed, refused, or four seconds have passed."""
        if not self._open or len(self._line) >= self._waiting_max:
            return Refusal.UNAVAILABLE
        waiting = _Submission(new, asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        self._arrived.set()
        return await waiting.answer

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` and until the line is empty. Nobody's hanging up cancels a write."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            while not (stop.is_set() and not self._line):
                await self._arrived.wait()
                self._arrived.clear()
                while batch := self._next_batch():
                    self._being_written = batch
                    await self._write_and_answer(batch)
                    self._being_written = []
        finally:
            sweeper.cancel()
            await self._link.close()

    def wake(self) -> None:
        """Make `run` look whether it is to stop."""
        self._arrived.set()

    def _next_batch(self) -> list[_Submission]:
        """The head of the line, without a second row of the same key: that one waits for the first one's result."""
        batch: list[_Submission] = []
        later: list[_Submission] = []
        keys: set[bytes] = set()
        while self._line and len(batch) < self._batch_max:
            waiting = self._line.popleft()
            key = waiting.new.key_hmac
            if waiting.answer.done():
                continue
            if key is not None and key in keys:
                later.append(waiting)
                continue
            if key is not None:
                keys.add(key)
            batch.append(waiting)
        self._line.extendleft(reversed(later))
        return batch

    async def _write_and_answer(self, batch: list[_Submission]) -> None:
        answers = await self._answers(batch)
        for waiting in batch:
            waiting.settle(answers[waiting.new.application.id])

    async def _answers(self, batch: list[_Submission]) -> dict[UUID, Answer]:
        try:
            return await self._write([waiting.new for waiting in batch])
        except Transient as error:
            log.warning("write_unavailable", applications=len(batch), reason=str(error))
            return _all(batch, Refusal.UNAVAILABLE)
        except (asyncpg.PostgresError, _Locked) as error:
            return await self._one_by_one(batch, error)
        except Exception as error:
            log.error("write_failed", error=where(error))
            return _all(batch, Refusal.FAILED)

    async def _one_by_one(self, batch: list[_Submission], error: Exception) -> dict[UUID, Answer]:
        """After an error that the server sent and that blames the data or a lock: the culprit fails alone."""
        log.error("write_refused", applications=len(batch), reason=describe(error))
        if len(batch) == 1:
            return _all(batch, _alone(error))
        answers: dict[UUID, Answer] = {}
        for waiting in batch:
            answers |= await self._answers([waiting])
        return answers

    async def _write(self, batch: Sequence[NewApplication]) -> dict[UUID, Answer]:
        """One transaction; answers by id, none for those that must be looked at again."""
        for _ in range(RACES_MAX):
            try:
                with tracing.batch("write applications", [new.traceparent for new in batch]):
                    answers = await self._transaction(batch)
                break
            except LostRace:
                metrics.RETRIES.labels("write").inc()
        else:
            raise Transient("the write keeps losing races against other writers")
        _count(batch, answers)
        self._notifier.ring()
        return answers

    async def _transaction(self, batch: Sequence[NewApplication]) -> dict[UUID, Answer]:
        """Write and commit.

        Raises:
            Transient: nothing was written, or nobody can find out whether it was.
        """
        # The lock is the batch's name: whoever gets it next knows that the batch is over, one way or the other.
        name = random.getrandbits(62)
        failpoints.reached(Place.API_BEFORE_BEGIN)
        async with self._link.use("write") as connection:
            backend = connection.get_server_pid(), connection.get_settings().application_name
            await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({name})")
            try:
                answers = await self._effects(connection, batch)
            except asyncpg.PostgresError as error:
                await connection.execute("ROLLBACK")
                if isinstance(error, asyncpg.LockNotAvailableError):
                    raise _Locked(error) from error
                raise
            failpoints.reached(Place.API_BEFORE_COMMIT)
            try:
                await connection.execute("COMMIT", timeout=COMMIT_SECONDS)
            except asyncpg.TransactionRollbackError:
                raise
            except INFRASTRUCTURE_ERRORS as error:
                connection.terminate()
                answers = await self._resolve(name, backend, answers, error)
        failpoints.reached(Place.API_AFTER_COMMIT)
        return answers

    async def _resolve(
        self, name: int, backend: tuple[int, str], answers: dict[UUID, Answer], error: BaseException
    ) -> dict[UUID, Answer]:
        """The answer to COMMIT is lost: end that backend for good, then look which applications are there.

        Raises:
            Transient: it cannot be found out in time.
        """
        log.warning("commit_in_doubt", applications=len(answers), reason=describe(error))
        metrics.RETRIES.labels("commit").inc()
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                there = await self._look_up(name, backend, list(answers))
        except INFRASTRUCTURE_ERRORS as failure:
            raise Transient(f"it cannot be found out whether the write was committed: {describe(failure)}") from error
        return answers if _committed(answers, there) else dict.fromkeys(answers, Refusal.UNAVAILABLE)

    async def _look_up(self, name: int, backend: tuple[int, str], ids: list[UUID]) -> dict[UUID, datetime]:
        connection = await connect(self._database_url, f"{self._service} resolve")
        try:
            await queries.end_backend(connection, *backend)
            async with connection.transaction():
                # Committing something of our own waits for a synchronous standby, which the lost one may not have done.
                await connection.execute(
                    f"SELECT pg_advisory_xact_lock({name}), pg_logical_emit_message(true, 'prequal', 'resolved')"
                )
                return await queries.accepted_among(connection, ids)
        finally:
            connection.terminate()

    async def _effects(self, connection: Connection, batch: Sequence[NewApplication]) -> dict[UUID, Answer]:
        accepted = await queries.write(connection, batch, self._service)
        answers: dict[UUID, Answer] = {
            new.application.id: Accepted(new.application.id, accepted[new.application.id], new.request_id)
            for new in batch
            if new.application.id in accepted
        }
        if len(accepted) < len(batch):
            answers |= await _losers(connection, [new for new in batch if new.application.id not in accepted])
        return answers

    async def _sweep(self) -> None:
        """Give up on what has waited too long, in the line or in the write."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = monotonic()
            for waiting in (*self._being_written, *self._line):
                if waiting.give_up_at <= now:
                    waiting.settle(Refusal.UNAVAILABLE)


def _count(batch: Sequence[NewApplication], answers: Mapping[UUID, Answer]) -> None:
    """Count what was committed; the first answer given again counts nothing."""
    for new in batch:
        answer = answers.get(new.application.id)
        if isinstance(answer, Accepted) and not answer.replayed:
            submitted, rupees = _series(new.application.loan_type.value)
            submitted.inc()
            rupees.inc(float(new.application.loan_amount_inr))


@functools.cache
def _series(loan_type: str) -> tuple[Counter, Counter]:
    """Where applications of this kind and their rupees are counted; looked up once each."""
    return metrics.SUBMITTED.labels(loan_type), metrics.REQUESTED_INR.labels(loan_type)


def _alone(error: BaseException) -> Refusal:
    """What a single application is told when the database would not have it."""
    if not isinstance(error, _Locked):
        return Refusal.FAILED
    return Refusal.KEY_IN_USE if error.by_key else Refusal.UNAVAILABLE


def _committed(answers: dict[UUID, Answer], there: dict[UUID, datetime]) -> bool:
    """Whether a batch whose COMMIT was in doubt is there: it is one transaction, so one row of it tells for all."""
    new = [id_ for id_, answer in answers.items() if isinstance(answer, Accepted) and not answer.replayed]
    return not new or any(id_ in there for id_ in new)


def _all(batch: Sequence[_Submission], answer: Answer) -> dict[UUID, Answer]:
    return {waiting.new.application.id: answer for waiting in batch}


async def _losers(connection: Connection, losers: Sequence[NewApplication]) -> dict[UUID, Answer]:
    """What became of those that were not accepted: a key's first answer, or somebody else has the PAN."""
    keyed = [new for new in losers if new.key_hmac is not None]
    known = await queries.remembered(connection, [new.key_hmac for new in keyed if new.key_hmac]) if keyed else {}
    answers = {new.application.id: _lost(new, known.get(new.key_hmac) if new.key_hmac else None) for new in losers}
    if refused := [new for new in keyed if answers[new.application.id] is Refusal.DUPLICATE]:
        await queries.release_keys(connection, refused)
    return answers


def _lost(new: NewApplication, first: queries.Remembered | None) -> Answer:
    if first is None:
        return Refusal.DUPLICATE
    if first.request_hmac != new.request_hmac:
        return Refusal.KEY_REUSED
    return Accepted(first.application_id, first.created_at, first.request_id, replayed=True)
