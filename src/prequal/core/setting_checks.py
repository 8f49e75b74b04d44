"""What a setting's text must be, beyond its type.

Invariant: a check raises `ValueError` with words that go on from the setting's name, and never repeat its value.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prequal.core.database_url import parse as parse_database_url

BOOTSTRAP = re.compile(r"[A-Za-z0-9_.\[\]:-]+:[0-9]{1,5}(,[A-Za-z0-9_.\[\]:-]+:[0-9]{1,5})*")


def postgresql(url: str) -> str:
    """An address of PostgreSQL whose files are there."""
    for name, file in parse_database_url(url).files.items():
        if not file.is_file():
            raise ValueError(f"names a file in {name} that is not there")
    return url


def brokers(servers: str) -> str:
    """Addresses of Kafka's brokers."""
    if not BOOTSTRAP.fullmatch(servers):
        raise ValueError("must be host:port, several of them comma-separated")
    return servers


def endpoint(url: str) -> str:
    """An address of a collector, or none."""
    if url:
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good:
            raise ValueError("must look like http://host:4318")
    return url


def bureau(url: str) -> str:
    """An address that a PAN may be sent to, or none: HTTPS, or this machine."""
    if url:
        try:
            parts = urlsplit(url)
            good = bool(parts.hostname) and (parts.port is None or parts.port > 0) and "@" not in parts.netloc
        except ValueError:
            good = False
        if not good or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise ValueError("must look like https://bureau.example/reports, without user, query or fragment")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https:// unless it is on this machine: PANs are sent there")
    return url


def file(path: str) -> str:
    """A file that can be read, or none."""
    if path:
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise ValueError(f"names a file that cannot be read ({type(error).__name__})") from None
    return path


def time_zone(name: str) -> str:
    """A zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("names no time zone that this machine knows, such as Asia/Kolkata") from None
    return name


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
