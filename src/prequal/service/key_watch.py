"""A process's key ring: a changed file is taken over, keys are unwrapped in time, and encryptions are reported.

Invariant: a ring that is wrong, or holds a key that the database does not know, is not taken over; the last one stays.

    closed ──unwrapped──► open ──unwrapped again, each minute──► open
       ▲                    │
       └──not unwrapped for KEY_CACHE_SECONDS
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import structlog

from prequal.core.errors import KeysUnavailable, Misconfigured, Transient
from prequal.core.keys import KeyCheck
from prequal.core.lifecycle import pause
from prequal.core.settings import EncryptionSettings
from prequal.postgres import key_uses
from prequal.postgres.connections import Connection, connected
from prequal.postgres.key_checks import recorded_key
from prequal.security import key_file, key_providers
from prequal.security.key_file import RingKeys
from prequal.security.pan_encryption import KeyRing
from prequal.service.readiness import say_changed
from prequal.telemetry import metrics

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 2.0
REPORT_EVERY_SECONDS = 60.0
LAST_REPORT_SECONDS = 1.0
UNWRAP_EVERY_SECONDS = 60.0
PARTS = 10
"""Keys are unwrapped so often at least within the time that they serve."""
KEY_SERVICE = "key_service"

Signature = tuple[int, int] | None
Checks = tuple[KeyCheck, ...]


class KeyWatch:
    """The task that watches over one ring.

    Attributes:
        ring: the process's keys; closed until `load`, if a key service wrapped any of them.
    """

    def __init__(self, settings: EncryptionSettings, clock: Callable[[], float] = monotonic) -> None:
        """Read the ring that the settings name.

        Raises:
            Misconfigured: it is no ring.
        """
        self._settings = settings
        self._clock = clock
        self._database_url = settings.database_url
        self._file = Path(settings.encryption_key_file) if settings.encryption_key_file else None
        self._stored = key_file.read(self._file) if self._file else None
        self.ring = KeyRing(None, clock=clock) if self._is_wrapped else KeyRing.of(settings)
        self._unwrap_at = -math.inf
        self._is_connected: bool | None = None
        self._reason: str | None = None
        self._refusal: str | None = None
        self._taken: Signature = None  # so that a change between the start and the first look is not missed
        self._reported_at = monotonic()

    @property
    def _is_wrapped(self) -> bool:
        """Whether a key service is needed to use the ring."""
        return self._stored is not None and bool(self._stored.sources)

    async def load(self, connection: Connection) -> None:
        """Have the keys unwrapped, if a key service wrapped any, and see that the database knows them all.

        Raises:
            KeysUnavailable: a key service does not answer.
            Misconfigured: it refuses, or the database knows other keys.
        """

        async def require_known(checks: Checks) -> None:
            await recorded_key("ENCRYPTION_KEY", *checks, former=True)(connection)

        if self._file is None or self.ring.is_open:
            await require_known(self.ring.checks)
            return
        try:
            await self._unwrap_and_use(key_file.read(self._file), require_known)
        except KeysUnavailable as away:
            self._note(connected=False, reason=str(away))
            raise

    async def require_active(self, connection: Connection) -> None:
        """Raises `Misconfigured` when the key that encrypts was retired; a closed ring encrypts nothing."""
        if self.ring.checks:
            await recorded_key("ENCRYPTION_KEY", self.ring.checks[0])(connection)

    def reason_not_ready(self) -> str | None:
        """Why nothing can be encrypted or decrypted; None when it can."""
        if self.ring.is_open:
            return None
        return f"PANs can be neither encrypted nor decrypted: {self._reason}"

    def details(self) -> Mapping[str, Any]:
        """Whether the key service did as asked, for `/ready`; of a ring that needs none, nothing."""
        return {KEY_SERVICE: "connected" if self._is_connected else "disconnected"} if self._is_wrapped else {}

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
            log.warning("key_uses_lost", encryptions=sum(self.ring.uses.values()))

    async def _take_over(self) -> None:
        """Use the file's ring if it is another one than was taken last, and good; have wrapped keys unwrapped again."""
        signature = self._signature()
        if self._file is not None and signature != self._taken:
            await self._adopt(self._file, signature)
        if self._stored is not None and self._is_wrapped and self._clock() >= self._unwrap_at:
            await self._renew(self._stored)

    async def _adopt(self, file: Path, signature: Signature) -> None:
        """Use the file's ring, if it is good; a key that is not known or granted now may be so at a later look."""
        try:
            await self._unwrap_and_use(key_file.read(file), self._require_known)
        except Misconfigured as problem:
            if self._refusal != str(problem):
                log.error("key_ring_refused", reason=str(problem))
            self._refusal = str(problem)
        except Transient as error:
            self._wait(error)
        else:
            self._taken, self._refusal = signature, None

    async def _renew(self, stored: RingKeys) -> None:
        """Have the keys in use unwrapped again; while that fails they serve until their time is over."""
        try:
            await self._unwrap_and_use(stored, self._require_known)
        except Misconfigured as problem:
            self._note(connected=False, reason=str(problem))
        except Transient as error:
            self._wait(error)

    async def _unwrap_and_use(self, stored: RingKeys, require_known: Callable[[Checks], Awaitable[None]]) -> None:
        """Take over a ring, if its keys can be unwrapped and the database knows them.

        Raises `Misconfigured` and `Transient` where one of both is not so.
        """
        good_until = self._clock() + self._settings.key_cache_seconds if stored.sources else math.inf
        keys = await asyncio.to_thread(key_providers.unwrapped, stored, self._settings)
        checks = KeyRing(*keys).checks
        if is_changed := checks != self.ring.checks:  # or a database that is away would make keys too old
            await require_known(checks)
        self.ring.replace(*keys, good_until=good_until)
        self._stored = stored
        self._unwrap_at = self._clock() + min(UNWRAP_EVERY_SECONDS, self._settings.key_cache_seconds / PARTS)
        if stored.sources or self._is_connected is not None:
            self._note(connected=True)
        if is_changed:
            log.info("key_ring_changed", active=self.ring.current_id.hex(), keys=len(self.ring.checks))

    async def _require_known(self, checks: Checks) -> None:
        async with connected(self._database_url, "keys", has_started=True) as connection:
            await recorded_key("ENCRYPTION_KEY", *checks, former=True)(connection)

    def _wait(self, error: Transient) -> None:
        if isinstance(error, KeysUnavailable):
            self._note(connected=False, reason=str(error))
        else:
            log.warning("retrying", target="key ring", reason=str(error))

    def _note(self, *, connected: bool, reason: str | None = None) -> None:
        """Keep how the key service did, and say what is new."""
        if (self._is_connected, self._reason) != (connected, reason):
            say_changed(KEY_SERVICE, up=connected, reason=reason)
        self._is_connected, self._reason = connected, reason
        metrics.KEY_SERVICE_AWAY.set(not connected)

    async def _report(self) -> None:
        """Add what was encrypted since the last report to the keys' counts."""
        self._reported_at = monotonic()
        if not (uses := self.ring.take_uses()):
            return
        try:
            async with connected(self._database_url, "keys", has_started=True) as connection:
                await key_uses.add(connection, uses)
        except BaseException as error:
            self.ring.uses.update(uses)
            if not isinstance(error, Transient):
                raise
            log.warning("retrying", target="counts of keys", reason=str(error))

    def _signature(self) -> Signature:
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return (found.st_ino, found.st_ctime_ns) if found else None
