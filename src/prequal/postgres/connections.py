"""Connections to PostgreSQL: opened, replaced and bounded, and the classification of errors by fault.

Invariant: no call waits without a bound, or at all while the breaker is open; a connection that failed, or whose server
takes no writes, is closed and never used again.
"""

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import asyncpg

from prequal.core.circuit_breaker import BreakerOpen
from prequal.core.errors import Misconfigured, Transient
from prequal.postgres.primary import DRIVER_ERRORS as DRIVER_ERRORS
from prequal.postgres.primary import Connection as Connection
from prequal.postgres.primary import NoWritableHost, ReadOnlyServer, open_connection, require_writable, tls_refusal
from prequal.postgres.primary import PostgresAway as PostgresAway
from prequal.postgres.silence import LONG_SECONDS, watched
from prequal.telemetry import metrics
from prequal.telemetry.breakers import breaker_of

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

COMMAND_SECONDS = 3.0
"""The client's own bound; the server's `statement_timeout` is shorter, so that it answers first when it can."""

SESSION = {
    "statement_timeout": "2500",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "5000",
    "client_connection_check_interval": "2000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "timezone": "UTC",
    "jit": "off",
    # Prepared on tables that are still empty, a statement gets a plan whose cost then grows with them. Every statement
    # of a service walks along an index, so no other plan is allowed; where a join could still be turned round, the
    # statement itself looks rows up one by one (LATERAL … LIMIT 1). A test checks the plans on an empty database.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "plan_cache_mode": "force_generic_plan",
}
FREE_PLANNER = {
    "plan_cache_mode": "force_custom_plan",
    **dict.fromkeys(
        ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material"), "on"
    ),
}
"""For a command whose few statements read much of a table, once: every plan is allowed, made for its parameters."""


class PostgresLeftAlone(PostgresAway, BreakerOpen):
    """PostgreSQL failed too often just now, and is left alone for a moment."""


class LostRace(Transient):
    """Another transaction won (serialization failure, deadlock): the same one may be retried at once."""


_RACES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

_MISCONFIGURED = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.exceptions.ClientConfigurationError,
    # A parameter of the address that the server does not know, or knows with other values.
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
)


def blames_data(error: BaseException) -> bool:
    """Whether the server blames the data sent (SQLSTATE class 22 or 23); all else is the infrastructure's fault."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in {"22", "23"}


def _is_away(error: BaseException) -> bool:
    """Whether the database did not answer, or refused us; an ERROR from a living server shows that it is there."""
    if isinstance(error, ReadOnlyServer):
        return True
    cause = error.__cause__ if isinstance(error, Transient) else error
    if isinstance(cause, asyncpg.PostgresError):
        state = cause.sqlstate or ""
        # Connection, operator intervention, too many connections; a statement that took too long met a living server.
        return (state[:2] in {"08", "57"} and state != "57014") or state == "53300"
    return isinstance(cause, (*DRIVER_ERRORS, asyncio.CancelledError))


def _is_unfit(connection: Connection) -> bool:
    return connection.is_closed() or connection.is_in_transaction()


def describe(error: BaseException) -> str:
    """What went wrong, in words that carry no data: the error's kind and, from the server, its SQLSTATE."""
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ + (f" (SQLSTATE {state})" if state else "")


def reason_of(error: BaseException) -> str:
    """Why something is tried again, for the log: the message of an error of ours, and `describe` of any other."""
    return str(error) if isinstance(error, Transient) else describe(error)


async def connect(
    database_url: str,
    name: str,
    session: Mapping[str, str] = MappingProxyType({}),
    command_seconds: float = COMMAND_SECONDS,
    *,
    has_started: bool = False,
) -> Connection:
    """Open one connection to the server that takes writes, seen in `pg_stat_activity` as `name` and an id of its own.

    Raises:
        ReadOnlyServer: a server answers, but takes no writes.
        Transient: the database does not answer within two seconds, or refuses us for now.
        Misconfigured: the address, one of its parameters, the user or the password is wrong, or the server does not
            prove who it is. Of a process that has started this is `Transient`: it was right then, and may be again.
    """
    refusal = Transient if has_started else Misconfigured
    application_name = f"{name} {uuid.uuid4().hex[:12]}"
    try:
        return await open_connection(
            database_url,
            command_timeout=command_seconds,
            server_settings=SESSION | dict(session) | {"application_name": application_name},
        )
    except _MISCONFIGURED as error:
        raise refusal(f"PostgreSQL refuses DATABASE_URL: {describe(error)}.") from None
    except NoWritableHost as error:
        raise ReadOnlyServer from error
    except DRIVER_ERRORS as error:
        if (why := tls_refusal(error)) is not None:
            raise refusal(why) from None
        raise PostgresAway(f"PostgreSQL cannot be reached: {describe(error)}") from error


@asynccontextmanager
async def connected(
    database_url: str,
    name: str,
    session: Mapping[str, str] = MappingProxyType({}),
    command_seconds: float = COMMAND_SECONDS,
    *,
    has_started: bool = False,
) -> AsyncIterator[Connection]:
    """One connection for as long as the block lasts; where statements may take long, its server is watched.

    Raises:
        ReadOnlyServer: the server takes no writes; what was read is void.
        Transient: the database cannot be reached, failed, or fell silent.
        Misconfigured: as for `connect`.
    """
    connection = await connect(database_url, name, session, command_seconds, has_started=has_started)
    try:
        async with watched(connection, database_url) if command_seconds > LONG_SECONDS else nullcontext():
            yield connection
            require_writable(connection)
    except DRIVER_ERRORS as error:
        raise PostgresAway(f"PostgreSQL failed: {describe(error)}") from error
    else:
        with suppress(*DRIVER_ERRORS):  # what was done is done
            await connection.close(timeout=1)
    finally:
        connection.terminate()


class ConnectionPool:
    """A pool of connections for single statements, each opened when it is first needed."""

    def __init__(self, database_url: str, name: str, size: int) -> None:
        self._breaker = breaker_of("database", database_url)
        self._turns = asyncio.Semaphore(size)
        self._pool: Pool = asyncpg.create_pool(
            database_url,
            connect=cast("Any", open_connection),
            min_size=0,
            max_size=size,
            command_timeout=COMMAND_SECONDS,
            reset=_keep_session,
            server_settings=SESSION | {"application_name": name},
        )
        metrics.DB_CONNECTIONS_LIMIT.labels("pool").set(size)
        metrics.DB_CONNECTIONS_IDLE.labels("pool").set_function(self._pool.get_idle_size)
        metrics.DB_CONNECTIONS_ACTIVE.labels("pool").set_function(self._active)

    async def __aenter__(self) -> "ConnectionPool":
        await self._pool
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def use(self, query: str) -> AsyncIterator[Connection]:
        """One of the connections; it is closed, and never used again, if it fails or its server takes no writes.

        Args:
            query: the name under which the time of its use is measured.

        Raises:
            ReadOnlyServer: the server takes no writes; what was read is void.
            Transient: the database failed or cannot be reached.
        """
        # Giving up while waiting for a turn says nothing about the database: the breaker is asked afterwards.
        async with self._turns:
            with self._breaker.guarding(_is_away, PostgresLeftAlone):
                try:
                    async with self._borrowed() as connection:
                        with _seconds(query).time():
                            yield connection
                except NoWritableHost as error:
                    raise ReadOnlyServer from error
                except DRIVER_ERRORS as error:
                    raise PostgresAway(f"PostgreSQL failed: {describe(error)}") from error

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[Connection]:
        connection = cast("Connection", await self._pool.acquire())
        try:
            yield connection
            require_writable(connection)
        except BaseException:
            connection.terminate()
            raise
        finally:
            await self._pool.release(cast("Any", connection))

    def _active(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size()


async def _keep_session(connection: Connection) -> None:
    """Single statements change no session: asyncpg's own RESET would cost a round trip per read."""


@dataclass
class _Own:
    """How many single connections are open, and how many are in use."""

    opened: int = 0
    used: int = 0


_own = _Own()
metrics.DB_CONNECTIONS_ACTIVE.labels("own").set_function(lambda: _own.used)
metrics.DB_CONNECTIONS_IDLE.labels("own").set_function(lambda: _own.opened - _own.used)

_seconds = functools.cache(metrics.DB_SECONDS.labels)


def _timed(query: str | None) -> AbstractContextManager[object]:
    return nullcontext() if query is None else _seconds(query).time()


class SingleConnection:
    """One connection, opened when needed and replaced when it fails. Not for several tasks at once."""

    def __init__(self, database_url: str, name: str, **session: str) -> None:
        self._database_url = database_url
        self._name = name
        self._session = session
        self._breaker = breaker_of("database", database_url)
        self._connection: Connection | None = None

    @asynccontextmanager
    async def use(self, query: str | None = None) -> AsyncIterator[Connection]:
        """The connection, or a new one, for some statements; an infrastructure error closes it for good.

        Args:
            query: the name under which the time of its use is measured; None to measure nothing.

        Raises:
            ReadOnlyServer: the server takes no writes; what was read is void.
            Transient: the database failed or cannot be reached; after `LostRace` the connection lives on. An error that
                blames the data is raised as it is.
        """
        with self._breaker.guarding(_is_away, PostgresLeftAlone), _timed(query):
            connection = await self._living()
            _own.used += 1
            try:
                yield connection
                require_writable(connection)
            except ReadOnlyServer:
                self._cut(connection)
                raise
            except _RACES as error:
                raise LostRace from error
            except DRIVER_ERRORS as error:
                if blames_data(error):
                    raise
                self._cut(connection)
                raise PostgresAway(f"PostgreSQL failed: {describe(error)}") from error
            except BaseException as error:
                # Cancelled, or a bug: a transaction left open would swallow the next user's statements.
                if isinstance(error, asyncio.CancelledError) or _is_unfit(connection):
                    self._cut(connection)
                raise
            finally:
                _own.used -= 1

    async def close(self) -> None:
        """Close the connection, within a second. The next use opens a new one."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        _own.opened -= 1
        try:
            await connection.close(timeout=1)
        except DRIVER_ERRORS:
            connection.terminate()

    async def _living(self) -> Connection:
        if self._connection is not None and self._connection.is_closed():
            self._connection = None
            _own.opened -= 1
        if self._connection is None:
            self._connection = await connect(self._database_url, self._name, self._session, has_started=True)
            _own.opened += 1
        return self._connection

    def _cut(self, connection: Connection) -> None:
        connection.terminate()
        self._connection = None
        _own.opened -= 1
