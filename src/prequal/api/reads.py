"""Reads of one application by its client, and that of its status, as plain ASGI: the framework's layers cost more."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar
from uuid import UUID

from starlette.types import Receive, Scope, Send

from prequal.api import read_queries
from prequal.api.authentication import Authentication
from prequal.api.errors import ApiError, ErrorCode, FieldIssue
from prequal.api.json_answers import NO_STORE, send_json
from prequal.api.rate_limits import RateLimits
from prequal.core.errors import Transient
from prequal.domain.api_client import ClientScope
from prequal.domain.times import rfc3339
from prequal.postgres.connections import Connection, ConnectionPool

T = TypeVar("T")
OwnQuery: TypeAlias = Callable[[Connection, UUID, str], Awaitable[T | None]]
"""What is known of an application by its id and its client's; None when that client has none of this id."""

READ_SECONDS = 4.0


class OwnApplications:
    """Reads of one application, by the client that posted it."""

    def __init__(self, read_pool: ConnectionPool, authentication: Authentication, limits: RateLimits) -> None:
        self._read_pool = read_pool
        self._authentication = authentication
        self._limits = limits

    async def warm(self, _: Connection) -> None:
        """Open a connection and have the reads planned on it: the first would wait. A startup check.

        Raises:
            Transient: the database is away.
        """
        async with self._read_pool.use("status") as connection:
            await read_queries.warm(connection)

    async def read(self, scope: Scope, use: str, query: OwnQuery[T]) -> tuple[UUID, T]:
        """The id in a request's path, and what `query` finds of that application of its caller.

        Raises:
            ApiError: the caller may not read, or too often, or has no such application; the id is none, or the
                database is away.
        """
        caller = self._authentication.caller_of(scope, ClientScope.READ)
        self._limits.take_request(caller)
        application_id = _application_id(scope["path_params"]["application_id"])
        try:
            async with asyncio.timeout(READ_SECONDS), self._read_pool.use(use) as connection:
                found = await query(connection, application_id, caller.client)
        except (TimeoutError, Transient):
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE) from None
        if found is None:
            raise ApiError(ErrorCode.APPLICATION_NOT_FOUND)
        return application_id, found


class ShowStatus:
    """`GET /applications/{application_id}/status`."""

    def __init__(self, applications: OwnApplications) -> None:
        self._applications = applications

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application_id, current = await self._applications.read(scope, "status", read_queries.current_status)
        await send_json(send, 200, json.dumps(_status(application_id, current, scope["request_id"])), NO_STORE)


def _application_id(text: str) -> UUID:
    """The id in a path.

    Raises:
        ApiError: it is no UUID in its usual spelling.
    """
    try:
        if text.lower() == str(found := UUID(text)):
            return found
    except ValueError:
        pass
    raise ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue("application_id", "must be a UUID")])


def _status(application_id: UUID, current: read_queries.CurrentStatus, request_id: str) -> dict[str, object]:
    review = current.review
    people = {} if review is None else {"review": {"outcome": review.outcome, "reason": review.reason}}
    return people | {
        "application_id": str(application_id),
        "status": current.status,
        "cibil_score": current.cibil_score,
        "pan_number_masked": current.pan_number_masked,
        "created_at": rfc3339(current.created_at),
        "updated_at": rfc3339(current.updated_at),
        "request_id": request_id,
    }
