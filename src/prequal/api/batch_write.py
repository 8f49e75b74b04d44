"""Writing a batch of applications: one transaction, tried again when it loses a race, and an answer for each.

Invariant: an `Accepted` is returned only after its commit; when nobody can say whether there was one, it is Transient.
"""

import functools
import random
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from prequal.api import queries
from prequal.api.commit_in_doubt import Transaction, resolve
from prequal.api.errors import ErrorCode
from prequal.api.queries import NewApplication, Written
from prequal.core import failpoints
from prequal.core.errors import Transient
from prequal.core.failpoints import Place
from prequal.core.topology import Service
from prequal.domain.api_client import LOCAL
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.postgres.connections import DRIVER_ERRORS, Connection, LostRace, SingleConnection
from prequal.postgres.key_checks import HASH_KEYS_LOCK
from prequal.telemetry import metrics, tracing

COMMIT_SECONDS = 1.5
RACES_MAX = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    """Committed; `replayed` when this is the first answer to the same key, given again.

    `is_repeat` when an application of the same client for the same PAN was rejected within the last 24 hours.
    """

    application_id: UUID
    created_at: datetime
    request_id: str
    replayed: bool = False
    is_repeat: bool = False


Answer: TypeAlias = Accepted | queries.Holder | ErrorCode
"""Refused as a duplicate, the client learns the application that has the PAN if it is its own."""
Answers: TypeAlias = dict[UUID, Answer]
"""Answers by the application's id."""


class Locked(Exception):
    """Another writer holds a key or a PAN of this batch for longer than we wait."""

    def __init__(self, error: asyncpg.LockNotAvailableError) -> None:
        super().__init__()
        context: str | None = error.context  # where the server waited
        self.by_key = "idempotency_keys" in (context or "")


class BatchWriter:
    """Writes over one connection, which it opens when it is needed."""

    def __init__(self, database_url: str, name: str, events: OwnEventPublisher) -> None:
        self._events = events
        self._database_url = database_url
        self._name = name
        self._connection = SingleConnection(database_url, f"{name} write")

    async def write(self, batch: Sequence[NewApplication]) -> Answers:
        """Write and commit `batch`; no two rows of it have the same key.

        Raises:
            Transient: the database is away, or whether the batch was committed cannot be found out.
            Locked: another writer holds a key or a PAN for too long; nothing was written.
            asyncpg.PostgresError: the data are to blame; nothing was written.
        """
        for _ in range(RACES_MAX):
            try:
                with tracing.batch("write applications", [new.traceparent for new in batch]):
                    answers = await self._transaction(batch)
            except LostRace:
                metrics.RETRIES.labels("write").inc()
            else:
                _count(batch, answers)
                return answers
        raise Transient("the write keeps losing races against other writers")

    async def warm(self) -> None:
        """Open the connection and have the write planned on it: the first application would wait for both.

        Raises:
            Transient: the database is away.
        """
        async with self._connection.use() as connection:
            await queries.write(connection, (), Service.API.value)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _transaction(self, batch: Sequence[NewApplication]) -> Answers:
        # The lock is the batch's name: the next holder knows that the batch is over, one way or the other. The shared
        # one holds off the retirement of a hash key.
        lock = random.getrandbits(62)
        failpoints.reached(Place.API_BEFORE_BEGIN)
        async with self._connection.use("write") as connection:
            await connection.execute(
                f"BEGIN; SELECT pg_advisory_xact_lock({lock}), pg_advisory_xact_lock_shared({HASH_KEYS_LOCK})"
            )
            try:
                accepted = await queries.write(connection, batch, Service.API.value)
                answers = await _answers(connection, batch, accepted)
            except asyncpg.PostgresError as error:
                await connection.execute("ROLLBACK")
                if isinstance(error, asyncpg.LockNotAvailableError):
                    raise Locked(error) from error
                raise
            answers, certain = await self._commit(connection, lock, answers)
        failpoints.reached(Place.API_AFTER_COMMIT)
        if certain:
            self._events.publish([written.event for written in accepted.values()])
        return answers

    async def _commit(self, connection: Connection, lock: int, answers: Answers) -> tuple[Answers, bool]:
        """What is answered, and whether the commit was never in doubt: only then its events may be published."""
        transaction = Transaction(connection.get_server_pid(), connection.get_settings().application_name, lock)
        failpoints.reached(Place.API_BEFORE_COMMIT)
        try:
            await connection.execute("COMMIT", timeout=COMMIT_SECONDS)
        except asyncpg.TransactionRollbackError:  # the server says that it rolled back: no doubt
            raise
        except DRIVER_ERRORS as error:
            connection.terminate()
            there = await resolve(self._database_url, f"{self._name} resolve", transaction, list(answers), error)
            if _committed(answers, there):
                return answers, False
            return dict.fromkeys(answers, ErrorCode.SERVICE_UNAVAILABLE), False
        return answers, True


async def _answers(
    connection: Connection, batch: Sequence[NewApplication], accepted: Mapping[UUID, Written]
) -> Answers:
    """What each is answered once it is committed: accepted, or what became of those that were not."""
    answers: Answers = {
        new.application.id: Accepted(
            new.application.id, written.created_at, new.request_id, is_repeat=written.is_repeat
        )
        for new in batch
        if (written := accepted.get(new.application.id)) is not None
    }
    if refused := [new for new in batch if new.application.id not in accepted]:
        answers |= await _refused(connection, refused)
    return answers


async def _refused(connection: Connection, refused: Sequence[NewApplication]) -> Answers:
    """A key's first answer, or that another application has the PAN; a duplicate does not use its key up."""
    key_hmacs = [each.key_hmac for new in refused for each in new.fingerprints if each.key_hmac is not None]
    known = await queries.remembered(connection, key_hmacs) if key_hmacs else {}
    answers = {new.application.id: _refusal(new, known) for new in refused}
    duplicates = [new for new in refused if answers[new.application.id] is ErrorCode.DUPLICATE_APPLICATION]
    # Under several hash keys one that lost a key or a PAN may have won it under another: that is taken back.
    several = len(refused[0].fingerprints) > 1
    released = refused if several else duplicates
    if with_key := [new for new in released if new.fingerprints[0].key_hmac is not None]:
        await queries.release_keys(connection, with_key)
    if several:
        await queries.release_claims(connection, refused)
    return answers | await _own_holders(connection, duplicates)


async def _own_holders(connection: Connection, duplicates: Sequence[NewApplication]) -> Answers:
    """What each client learns of the application that has the PAN: the local one, who may be anybody, nothing."""
    theirs = [new for new in duplicates if new.client != LOCAL]
    claim_keys = [each.claim_key for new in theirs for each in new.fingerprints if each.claim_key is not None]
    if not claim_keys:
        return {}
    holders = await queries.holders(connection, claim_keys)
    answers: Answers = {}
    for new in theirs:
        # Of several keys' claims the newest decides: the others are of applications that were rejected.
        claims = [holders[each.claim_key] for each in new.fingerprints if each.claim_key in holders]
        if claims:
            answers[new.application.id] = max(claims, key=lambda holder: holder.created_at)
    return answers


def _refusal(new: NewApplication, known: Mapping[bytes, queries.Remembered]) -> Answer:
    for each in new.fingerprints:
        if each.key_hmac is not None and (first := known.get(each.key_hmac)):
            if first.request_hmac != each.request_hmac:
                return ErrorCode.IDEMPOTENCY_KEY_REUSED
            return Accepted(first.application_id, first.created_at, first.request_id, replayed=True)
    return ErrorCode.DUPLICATE_APPLICATION


def _committed(answers: Answers, there: Set[UUID]) -> bool:
    """Whether a batch whose COMMIT was in doubt is there: it is one transaction, so one row of it speaks for all."""
    new = [id_ for id_, answer in answers.items() if _is_new(answer)]
    return not new or any(id_ in there for id_ in new)


def _is_new(answer: Answer | None) -> bool:
    return isinstance(answer, Accepted) and not answer.replayed


def _count(batch: Sequence[NewApplication], answers: Answers) -> None:
    """Count what was committed; the first answer given again counts nothing."""
    for new in batch:
        if _is_new(answers.get(new.application.id)):
            submitted, rupees = _series(new.application.loan_type.value)
            submitted.inc()
            rupees.inc(float(new.application.loan_amount_inr))


@functools.cache
def _series(loan_type: str) -> tuple[Counter, Counter]:
    """Where applications of this kind and their rupees are counted; looked up once each."""
    return metrics.SUBMITTED.labels(loan_type), metrics.REQUESTED_INR.labels(loan_type)
