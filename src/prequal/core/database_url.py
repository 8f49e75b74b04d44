"""PostgreSQL addresses as libpq reads them: several hosts, and parameters after the question mark.

Invariant: a parameter is honoured, replaced by a bound of our own, or refused by name; none is ignored in silence.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlencode, urlsplit

DEFAULT_PORT: Final = 5432

FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
HONOURED: Final = frozenset(
    {
        *("host", "port", "dbname", "user", "password", "passfile", "service", "application_name", "options"),
        *("target_session_attrs", "krbsrvname", "gsslib", "sslmode", "sslpassword", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
        *FILES,
    }
)
REPLACED: Final = frozenset(
    {
        *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "client_encoding", "fallback_application_name", "load_balance_hosts", "sslsni"),
        "sslcompression",
    }
)
"""What every connection sets itself, or what makes no difference to it."""
REFUSED: Final = frozenset(
    {
        *("hostaddr", "requirepeer", "require_auth", "replication", "gssdelegation", "sslcrldir", "sslkeylogfile"),
        *("min_protocol_version", "max_protocol_version", "scram_client_key", "scram_server_key", "servicefile"),
        *("oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope", "oauth_ca_file", "requiressl"),
    }
)
"""What libpq does, up to version 18, and the driver does not."""
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "target_session_attrs": ("any", "read-write", "primary"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "sslcertmode": ("allow",),
}
"""Where not every value can be honoured, those that can."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """An address for a driver that knows only some of libpq's parameters, and gives all hosts one time together.

    Attributes:
        url: with the honoured parameters alone.
        hosts: each host and port to be tried, in order; none when the environment or the default names it.
        files: the certificates, keys and lists that it names, by parameter.
    """

    url: str
    hosts: tuple[tuple[str, int], ...]
    files: Mapping[str, Path]


@functools.cache
def parse(url: str) -> DatabaseAddress:
    """Read an address.

    Raises:
        ValueError: it is malformed, or has a parameter that cannot be honoured; the message holds no value.
    """
    try:
        parts = urlsplit(url)
        parameters = _parameters(parts.query)
        hosts = _hosts(parts.netloc.rpartition("@")[2], parameters)
    except ValueError:  # its message may hold a part of the password
        raise _malformed() from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise _malformed()
    for name, value in parameters.items():
        _check(name, value)
    honoured = HONOURED - {"host", "port"} if hosts else HONOURED
    kept = urlencode({name: parameters[name] for name in parameters if name in honoured}, quote_via=quote)
    files = {name: Path(parameters[name]) for name in FILES if parameters.get(name)}
    return DatabaseAddress(f"postgresql://{parts.netloc}{parts.path}{'?' if kept else ''}{kept}", hosts, files)


def verified(url: str, authority: str) -> str:
    """The address with a check of the server's certificate, and of the host's name, by an authority's file.

    Raises:
        ValueError: the address says something else about it, or is malformed.
    """
    said = f"sslmode=verify-full&sslrootcert={quote(authority, safe='')}"
    if url.endswith(said):
        return url
    query = urlsplit(url).query
    if {"sslmode", "sslrootcert"} & _parameters(query).keys():
        raise ValueError("DATABASE_URL has sslmode or sslrootcert beside DATABASE_CA_FILE: keep one")
    return f"{url}{'&' if query else '?'}{said}"


def _parameters(query: str) -> dict[str, str]:
    """The last of each name wins; a plus sign is one, as in no other URL."""
    parameters: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError("a parameter without a value")
        parameters[unquote(name)] = unquote(value)
    if parameters.get("ssl") == "true":  # as JDBC has it, and libpq takes it
        del parameters["ssl"]
        parameters["sslmode"] = "require"
    return parameters


def _hosts(listed: str, parameters: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """The hosts of the address, where parameters of the same name win."""
    pairs = [_host_and_port(each) for each in listed.split(",")] if listed else []
    names = parameters["host"].split(",") if parameters.get("host") else [name for name, _ in pairs]
    given = parameters["port"].split(",") if parameters.get("port") else [port for _, port in pairs] or [""]
    ports = [_port(port) for port in given]
    if len(ports) not in (1, len(names)):
        raise ValueError("as many ports as hosts, or one")
    return tuple((name or "localhost", ports[number % len(ports)]) for number, name in enumerate(names))


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError("an IPv6 address stands in brackets")
        return host, port[1:]
    host, _, port = text.partition(":")
    return unquote(host), port


def _port(text: str) -> int:
    port = int(text) if text else DEFAULT_PORT
    if not 0 < port < 65536:
        raise ValueError("no port")
    return port


def _check(name: str, value: str) -> None:
    if name == "target_session_attrs" and value not in VALUES[name]:
        raise ValueError("has target_session_attrs for a server that may take no writes: leave it out, or read-write")
    if value not in VALUES.get(name, (value,)) or (name, value) == ("sslrootcert", "system") or name in REFUSED:
        raise ValueError(f"has the parameter {name}, which cannot be honoured here as it is: leave it out")
    if name not in HONOURED | REPLACED | VALUES.keys():
        raise ValueError("has a parameter that libpq does not know, or special characters that are not escaped")


def _malformed() -> ValueError:
    return ValueError("must look like postgresql://user:password@host:port/database, with special characters escaped")
