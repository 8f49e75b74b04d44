"""TLS to callers: the certificate that they are shown, read again when its files change.

Invariant: files that do not fit together are not taken over; the last good certificate stays in use.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import structlog

from prequal.core.lifecycle import pause
from prequal.core.settings.http_tls import HttpTlsSettings

log = structlog.get_logger()

LOOK_SECONDS: Final = 5.0
HANDSHAKE_SECONDS: Final = 5.0
"""How long a caller may take to agree on TLS, before anything of him is read."""


class HttpCertificate:
    """A certificate and its key, as connections from now on are shown it."""

    def __init__(self, certificate: str, key: str) -> None:
        self._files = Path(certificate), Path(key)
        self._read = self._state()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.load_cert_chain(certificate, key, "")

    @classmethod
    def of(cls, settings: HttpTlsSettings) -> "HttpCertificate | None":
        """That of the settings; None without one."""
        files = settings.http_certificate_file, settings.http_key_file
        return cls(*files) if all(files) else None

    async def follow(self, stop: asyncio.Event) -> None:
        """Take over what the files hold, each time that they change, until `stop`."""
        while not stop.is_set():
            await pause(stop, LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take over what the files hold, if they have changed since the last look."""
        try:
            found = self._state()
            if found == self._read:
                return
            self._read = found
            # A trial first: of files that do not fit, the context would keep the one half.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files, "")
            self.context.load_cert_chain(*self._files, "")
        except OSError as error:  # as ssl's errors are
            log.error("certificate_refused", reason=type(error).__name__)
        else:
            log.info("certificate_renewed")

    def _state(self) -> tuple[tuple[int, int], ...]:
        return tuple((status.st_ctime_ns, status.st_ino) for status in (file.stat() for file in self._files))
