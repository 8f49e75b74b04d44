"""What a process does about its key ring while it runs: takes over a changed file, and reports how often it encrypted.

Invariant: a ring that is wrong, or holds a key that the database does not know, is not taken over; the last one stays.
"""

import asyncio
from pathlib import Path
from time import monotonic

import structlog

from prequal.core.errors import Misconfigured, Transient
from prequal.core.lifecycle import pause
from prequal.core.settings import EncryptionSettings
from prequal.postgres import key_uses
from prequal.postgres.connections import connected
from prequal.postgres.key_checks import recorded_key
from prequal.security import key_file
from prequal.security.pan_encryption import KeyRing

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 2.0
REPORT_EVERY_SECONDS = 60.0
LAST_REPORT_SECONDS = 1.0

Signature = tuple[int, int, int] | None


class KeyWatch:
    """The task that watches over one ring."""

    def __init__(self, settings: EncryptionSettings, ring: KeyRing) -> None:
        self._database_url = settings.database_url
        self._file = Path(settings.encryption_key_file) if settings.encryption_key_file else None
        self._ring = ring
        self._seen: Signature = None  # so that a change between the start and the first look is not missed
        self._reported_at = monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop`, then report once more."""
        while not stop.is_set():
            await self._take_over()
            if monotonic() - self._reported_at >= REPORT_EVERY_SECONDS:
                await self._report()
            await pause(stop, LOOK_EVERY_SECONDS)
        try:
            async with asyncio.timeout(LAST_REPORT_SECONDS):
                await self._report()
        except TimeoutError:
            log.warning("key_uses_lost", encryptions=sum(self._ring.uses.values()))

    async def _take_over(self) -> None:
        """Use the file's ring if it is another one than was seen last, and good."""
        signature = self._signature()
        if self._file is None or signature == self._seen:
            return
        try:
            keys = key_file.read(self._file)
            changed = KeyRing(keys.active, keys.decrypting)
            async with connected(self._database_url, "keys") as connection:
                await recorded_key("ENCRYPTION_KEY", *changed.checks)(connection)
        except Misconfigured as problem:
            self._seen = signature
            log.error("key_ring_refused", reason=str(problem))
        except Transient as error:
            log.warning("retrying", what="key ring", reason=str(error))
        else:
            self._ring.replace(keys.active, keys.decrypting)
            self._seen = signature
            log.info("key_ring_changed", active=self._ring.current_id.hex(), keys=len(changed.checks))

    async def _report(self) -> None:
        """Add what was encrypted since the last report to the keys' counts."""
        self._reported_at = monotonic()
        if not (uses := self._ring.take_uses()):
            return
        try:
            async with connected(self._database_url, "keys") as connection:
                await key_uses.add(connection, uses)
        except BaseException as error:
            self._ring.uses.update(uses)
            if not isinstance(error, Transient):
                raise
            log.warning("retrying", what="counts of keys", reason=str(error))

    def _signature(self) -> Signature:
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_mode) if found else None
