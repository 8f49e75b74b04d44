"""Checks of a setting's text, beyond its type.

Invariant: a check raises `ValueError` with words that go on from the setting's name, and never repeat its value.
"""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prequal.core.database_url import parse as parse_database_url

FOR_EVERYBODY: Final = 0o007
SIGN_IN_CALLBACK: Final = "/sign-in/callback"
BOOTSTRAP = re.compile(r"[A-Za-z0-9_.\[\]:-]+:[0-9]{1,5}(,[A-Za-z0-9_.\[\]:-]+:[0-9]{1,5})*")


def postgresql(url: str) -> str:
    """An address of PostgreSQL whose files are there, with an authority where the server's certificate is checked."""
    address = parse_database_url(url)
    for name, named in address.files.items():
        if not named.is_file():
            raise ValueError(f"names a file in {name} that is not there")
    if "sslrootcert" in address.files:
        try:
            authority(str(address.files["sslrootcert"]))
        except ValueError as error:
            raise ValueError(f"{error}, in sslrootcert") from None
    elif "sslmode=verify-" in address.url and not _has_authority_of_libpq():
        raise ValueError("checks the server's certificate and names no authority: add sslrootcert=FILE")
    return url


def _has_authority_of_libpq() -> bool:
    return "PGSSLROOTCERT" in os.environ or Path("~/.postgresql/root.crt").expanduser().is_file()


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
    return _private(url, "https://bureau.example/reports", "PANs are sent there")


def issuer(url: str) -> str:
    """An address whose keys may be trusted, or none: HTTPS, or this machine."""
    return _private(url, "https://issuer.example/realm", "its keys decide who is let in")


def key_service(url: str) -> str:
    """An address that keys may come from, or none: HTTPS, or this machine."""
    return _private(url, "https://vault.example:8200", "keys come from there")


def redirect_uri(url: str) -> str:
    """An address of the console that browsers come back to from an issuer, or none: HTTPS, or this machine."""
    _private(url, f"https://console.example{SIGN_IN_CALLBACK}", "whom an issuer vouches for comes there")
    if url and urlsplit(url).path != SIGN_IN_CALLBACK:
        raise ValueError(f"must end in {SIGN_IN_CALLBACK}, the console's page for it")
    return url


def _private(url: str, example: str, why: str) -> str:
    if url:
        try:
            parts = urlsplit(url)
            good = bool(parts.hostname) and (parts.port is None or parts.port > 0) and "@" not in parts.netloc
        except ValueError:
            good = False
        if not good or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise ValueError(f"must look like {example}, without user, query or fragment")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError(f"must begin with https:// unless it is on this machine: {why}")
    return url


def file(path: str) -> str:
    """A file that can be read, or none."""
    if path:
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise ValueError(f"names a file that cannot be read ({type(error).__name__})") from None
    return path


def secret_file(path: str) -> str:
    """A file with something in it that not everybody on the machine may read, or none."""
    if file(path):
        if Path(path).stat().st_mode & FOR_EVERYBODY:
            raise ValueError("names a file that everybody may read: chmod 600, or 640 with a group of its own")
        if not Path(path).read_bytes().strip():
            raise ValueError("names an empty file")
    return path


def authority(path: str) -> str:
    """A PEM file with the certificate of an authority, or none."""
    if file(path):
        import ssl

        try:
            ssl.create_default_context(cafile=path)
        except ssl.SSLError:
            raise ValueError("names a file that holds no certificate in PEM") from None
    return path


def certificate_with_key(names: tuple[str, str], certificate: str, key: str, password: str = "") -> None:
    """Files of a certificate and of its key, or neither; `names` are those of their settings."""
    if bool(certificate) != bool(key):
        raise ValueError("{} and {} belong together: set both, or neither".format(*names))
    if certificate:
        import ssl

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password)
        except (ssl.SSLError, OSError):
            raise ValueError("{} and {} are no certificate in PEM and its key".format(*names)) from None


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
