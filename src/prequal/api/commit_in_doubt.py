"""When the answer to a COMMIT is lost: the lost backend is ended, and the database is asked what it committed.

Invariant: the question is asked only after the lost transaction is over, so that its answer cannot change any more.
"""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass
from uuid import UUID

import structlog

from prequal.api import queries
from prequal.core.errors import Transient
from prequal.postgres.connections import DRIVER_ERRORS, connect, describe
from prequal.telemetry import metrics

log = structlog.get_logger()

RESOLVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction whose end is unknown: its backend, and the advisory lock that it holds until its end."""

    pid: int
    application_name: str
    lock: int


async def resolve(
    database_url: str, name: str, transaction: Transaction, ids: Sequence[UUID], error: BaseException
) -> Set[UUID]:
    """End `transaction`, lost by `error`, for good; then look which of `ids` are there, over a connection `name`.

    Raises:
        Transient: it cannot be found out within two seconds.
    """
    log.warning("commit_in_doubt", applications=len(ids), reason=describe(error))
    metrics.RETRIES.labels("commit").inc()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            return await _look_up(database_url, name, transaction, ids)
    except DRIVER_ERRORS as failure:
        raise Transient(f"it cannot be found out whether the write was committed: {describe(failure)}") from error


async def _look_up(database_url: str, name: str, transaction: Transaction, ids: Sequence[UUID]) -> Set[UUID]:
    connection = await connect(database_url, name, has_started=True)
    try:
        await queries.end_backend(connection, transaction.pid, transaction.application_name)
        async with connection.transaction():
            # Committing something of our own waits for a synchronous standby, which the lost one may not have done.
            await connection.execute(
                f"SELECT pg_advisory_xact_lock({transaction.lock}), "
                "pg_logical_emit_message(true, 'prequal', 'resolved')"
            )
            return await queries.accepted_among(connection, ids)
    finally:
        connection.terminate()
