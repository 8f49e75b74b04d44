"""The queue of applications: those that arrive while a write is in flight share the next one, each with its own answer.

Invariant: nobody waits longer than four seconds, nobody is written who has less than one of them left, and nobody's
hanging up cancels a write.

    no room: unavailable
    waiting ──► in a batch ──► accepted | replayed | duplicate | key reused
       │             ├──► the database failed: unavailable, or database error where it refused the data
       │             └──► a lock was held for too long: key in use, or unavailable
       └──► three seconds passed: unavailable
"""

import asyncio
from collections import deque
from time import monotonic

import asyncpg
import structlog

from prequal.api.admission import AdmissionControl
from prequal.api.batch_write import Answer, Answers, BatchWriter, Locked
from prequal.api.errors import ErrorCode
from prequal.api.queries import NewApplication
from prequal.core.errors import Transient
from prequal.core.settings import ApiSettings
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.postgres.connections import Connection, describe
from prequal.telemetry import metrics
from prequal.telemetry.logs import where

log = structlog.get_logger()

ANSWER_SECONDS = 4.0
"""No submission waits longer for its answer: a client is promised one within 4.5 s."""
LEFT_SECONDS = 1.0
"""No submission is written that has less than this left: its answer might come too late to say that it was."""
SWEEP_SECONDS = 0.1
"""The shortest time between two searches for those who have waited too long; without anybody waiting there is none."""
ANSWERED_SECONDS = 0.00005
"""The pause after a write, for each application that it answered: clients who send again at once share the next write.
It is what answering one and reading the next from its connection takes; without it each write has half of them."""


class _Submission:
    """An application on its way, and the future that its request awaits."""

    __slots__ = ("answered", "give_up_at", "new")

    def __init__(self, new: NewApplication) -> None:
        self.new = new
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.give_up_at = monotonic() + ANSWER_SECONDS

    def is_late(self, now: float) -> bool:
        """Whether its write might end too late for its answer to say so."""
        return self.give_up_at - now < LEFT_SECONDS

    def answer(self, answer: Answer) -> None:
        """Answer its request, unless that was done before or its client hung up."""
        if not self.answered.done():
            self.answered.set_result(answer)


class Submissions:
    """The queue of waiting applications, and the one task that empties it."""

    def __init__(self, settings: ApiSettings, events: OwnEventPublisher) -> None:
        self._writer = BatchWriter(settings.database_url, settings.service_name, events)
        self._batch_max = settings.write_batch_max
        self._admission = AdmissionControl(
            settings.write_within_seconds, settings.waiting_max, settings.write_batch_max
        )
        self._just_admitted = 0
        self._queue: deque[_Submission] = deque()
        self._being_written: list[_Submission] = []
        self._arrived = asyncio.Event()
        self._open = False
        self._sweeping: asyncio.TimerHandle | None = None
        metrics.WAITING.set_function(lambda: len(self._queue))
        metrics.WAITING_LIMIT.set(settings.waiting_max)

    async def warm(self, _: Connection) -> None:
        """Have the first write take no longer than any other; a startup check.

        Raises:
            Transient: the database is away.
        """
        await self._writer.warm()

    def open(self) -> None:
        """Take applications from now on: the database's revision and the keys were found right."""
        self._open = True

    def is_full(self) -> bool:
        """Whether one more would not be written in time; never before `open`, which is another reason to refuse."""
        return self._open and not self._admission.has_room(len(self._queue) + self._just_admitted)

    def admit(self) -> bool:
        """Whether there is room for a request whose body was not read; who is admitted at the same moment counts."""
        if self.is_full():
            return False
        if not self._just_admitted:
            asyncio.get_running_loop().call_soon(self._forget_admitted)
        self._just_admitted += 1
        return True

    def _forget_admitted(self) -> None:
        # Their bodies were there, so that they are in the queue now; one whose body is late is judged again with it.
        self._just_admitted = 0

    async def submit(self, new: NewApplication) -> Answer:
        """Write `new` in the next batch and answer when it is committed, refused, or four seconds have passed."""
        if not self._open:
            return ErrorCode.SERVICE_UNAVAILABLE
        submission = _Submission(new)
        self._queue.append(submission)
        self._arrived.set()
        if self._sweeping is None:
            self._sweeping = self._sweep_in(ANSWER_SECONDS)
        return await submission.answered

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` and until the queue is empty."""
        try:
            await self._write_until(stop)
        finally:
            await self._writer.close()

    async def _write_until(self, stop: asyncio.Event) -> None:
        while not (stop.is_set() and not self._queue):
            await self._arrived.wait()
            self._arrived.clear()
            while batch := self._next_batch():
                self._being_written = batch
                self._admission.begin()
                answers = await self._write(batch)
                self._admission.end(len(batch))
                for submission in batch:
                    submission.answer(answers[submission.new.application.id])
                self._being_written = []
                await self._gather(len(batch))

    async def _gather(self, written: int) -> None:
        """Wait for those who send again as they are answered, unless there is a full batch already."""
        if written > 1 and len(self._queue) < self._batch_max:
            await asyncio.sleep(ANSWERED_SECONDS * written)

    def wake(self) -> None:
        """Make `run` look whether it is to stop."""
        self._arrived.set()

    def _next_batch(self) -> list[_Submission]:
        """The head of the queue, without a second row of the same key: that one waits for the first one's result."""
        now = monotonic()
        batch: list[_Submission] = []
        later: list[_Submission] = []
        keys: set[bytes] = set()
        while self._queue and len(batch) < self._batch_max:
            submission = self._queue.popleft()
            key = submission.new.fingerprints[0].key_hmac
            if submission.is_late(now):
                submission.answer(ErrorCode.SERVICE_UNAVAILABLE)
            if submission.answered.done():
                continue
            if key is not None and key in keys:
                later.append(submission)
                continue
            if key is not None:
                keys.add(key)
            batch.append(submission)
        self._queue.extendleft(reversed(later))
        return batch

    async def _write(self, batch: list[_Submission]) -> Answers:
        """Have `batch` written; an answer for each, whatever happens."""
        try:
            answers = await self._writer.write([submission.new for submission in batch])
        except Transient as error:
            log.warning("write_unavailable", applications=len(batch), reason=str(error))
            return _all(batch, ErrorCode.SERVICE_UNAVAILABLE)
        except (asyncpg.PostgresError, Locked) as error:
            return await self._one_by_one(batch, error)
        except Exception as error:
            log.error("write_failed", error=where(error))
            return _all(batch, ErrorCode.DATABASE_ERROR)
        return answers

    async def _one_by_one(self, batch: list[_Submission], error: Exception) -> Answers:
        """After an error that the server sent and that blames the data or a lock: the culprit fails alone.

        Each may wait for a lock for a second, so the time left is looked at again before each.
        """
        log.error("write_refused", applications=len(batch), reason=describe(error))
        if len(batch) == 1:
            return _all(batch, _refusal(error))
        answers: Answers = {}
        for submission in batch:
            late = submission.is_late(monotonic())
            answers |= _all([submission], ErrorCode.SERVICE_UNAVAILABLE) if late else await self._write([submission])
        return answers

    def _sweep(self) -> None:
        """Give up on what has waited too long, in the queue or in the write; look again when the next one has."""
        self._sweeping = None
        now = monotonic()
        waiting = [each for each in (*self._being_written, *self._queue) if not each.answered.done()]
        for submission in waiting:
            if submission.give_up_at <= now:
                submission.answer(ErrorCode.SERVICE_UNAVAILABLE)
        if left := [each.give_up_at - now for each in waiting if each.give_up_at > now]:
            self._sweeping = self._sweep_in(max(SWEEP_SECONDS, min(left)))

    def _sweep_in(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._sweep)


def _refusal(error: Exception) -> ErrorCode:
    """The answer to a single application that the database would not take."""
    if not isinstance(error, Locked):
        return ErrorCode.DATABASE_ERROR
    return ErrorCode.IDEMPOTENCY_KEY_IN_USE if error.by_key else ErrorCode.SERVICE_UNAVAILABLE


def _all(batch: list[_Submission], answer: Answer) -> Answers:
    return {submission.new.application.id: answer for submission in batch}
