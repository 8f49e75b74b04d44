"""Connections to the one host of an address that takes writes.

Invariant: a connection whose server takes no writes is never used, for reads neither: a standby may hold an old copy.
"""

import asyncio
import ssl
from typing import Any, Final, TypeAlias, cast

import asyncpg

from prequal.core.database_url import parse
from prequal.core.errors import Transient

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
NoWritableHost: TypeAlias = asyncpg.exceptions.TargetServerAttributeNotMatched

CONNECT_SECONDS: Final = 2.0
"""For all hosts of an address together, so that one which is frozen leaves time for the next."""

KEPT_PREPARED: Final = 0
"""Seconds after which the driver prepares a statement again; 0 for never, or one request in five minutes would wait for
its statement to be parsed and planned. The server plans again by itself when a table or its statistics change."""

NOT_ITS_NAME: Final = (62, 64)
"""OpenSSL's codes of a host name, and of an address, that a certificate is not for."""

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.TimeoutError,
)
"""What asyncpg raises when a call fails, whosever fault it is: see `blames_data`."""


class PostgresAway(Transient):
    """PostgreSQL cannot be reached, or failed; the message says how."""


class ReadOnlyServer(Transient):
    """PostgreSQL takes no writes (a standby, or read-only): what it answers may be old, so it is not used."""


_last_writable: dict[str, tuple[str, int]] = {}
"""By address, the host that took writes last; it is tried first."""


async def open_connection(database_url: str, **options: Any) -> Connection:
    """A connection to the first host of the address that takes writes.

    asyncpg has one timeout for all hosts together, and stops at the first that refuses it where libpq goes on to the
    next: so each host is tried by itself.

    Raises:
        NoWritableHost: a host answers, and none takes writes.
        Exception: the last host's, of `DRIVER_ERRORS`.
    """
    address = parse(database_url)
    hosts = sorted(address.hosts, key=lambda host: host != _last_writable.get(database_url))
    failures: list[BaseException] = []
    places: list[tuple[str, int] | tuple[None, None]] = [*hosts] or [(None, None)]
    for host, port in places:
        where: Any = {"host": host, "port": port, "timeout": CONNECT_SECONDS / len(places)}
        try:
            connection = await asyncpg.connect(
                address.url,
                target_session_attrs=asyncpg.connect_utils.SessionAttribute.read_write,
                max_cached_statement_lifetime=KEPT_PREPARED,
                **where,
                **options,
            )
        except DRIVER_ERRORS as error:
            failures.append(error)
            continue
        if host is not None and port is not None:
            _last_writable[database_url] = host, port
        return cast("Connection", connection)
    read_only = [failure for failure in failures if isinstance(failure, NoWritableHost)]
    raise (read_only or failures)[-1]


async def is_silent(database_url: str, within: float) -> bool:
    """Whether the host that took writes last takes no further connection within so many seconds.

    A refusal is an answer, and so is the end of the server, which ends its other connections too.
    """
    host, port = _last_writable.get(database_url, (None, None))
    where: Any = {"host": host, "port": port, "timeout": within}
    try:
        connection = await asyncpg.connect(parse(database_url).url, **where)
    except TimeoutError:
        return True
    except DRIVER_ERRORS:
        return False
    connection.terminate()
    return False


def tls_refusal(error: BaseException) -> str | None:
    """Why the server does not prove to be the one of the address; None when that is not what failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in NOT_ITS_NAME:
            return "The certificate of PostgreSQL is not for the host's name in DATABASE_URL."
        return f"The certificate of PostgreSQL is refused by the authority of sslrootcert: {error.verify_message}."
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "PostgreSQL does not speak TLS, which sslmode in DATABASE_URL demands."
    return None


def require_writable(connection: Connection) -> None:
    """Check that the server of a connection that is still open takes writes; asks nothing.

    Since version 14 a server reports both settings by itself: at the start of a session, and together with the first
    answer after a change. So a check after a query holds for that query's answer.

    Raises:
        ReadOnlyServer: it takes none.
    """
    if connection.is_closed():  # as a writer does whose COMMIT is in doubt
        return
    settings: Any = connection.get_settings()
    if "on" in (getattr(settings, "in_hot_standby", None), getattr(settings, "default_transaction_read_only", None)):
        raise ReadOnlyServer
