"""The record compared with its chain for a person, in a thread beside the pages.

Invariant: one runs at a time; it ends within `SECONDS_MAX`, and with the process.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from prequal.console.away import ended_by
from prequal.console.waiting import wait_briefly
from prequal.core.errors import PrequalError, Refused
from prequal.core.settings.console import ConsoleSettings
from prequal.postgres.connections import ConnectionPool
from prequal.record import commands
from prequal.record.acts import Actor, Detail, record_act
from prequal.record.blocks import Link
from prequal.record.heads import Head
from prequal.telemetry.logs import where

SECONDS_MAX: Final = 600.0
FAILED: Final = "The verification failed, and says nothing about the record: the console's log has the fault of ours."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verification:
    """One that runs, or the last that ended: `words` say what it found, `head` is the newest block that it compared."""

    by: str
    begun_at: datetime
    blocks: int = 0
    entries: int = 0
    head: str = ""
    ended_at: datetime | None = None
    is_fine: bool = False
    words: str = ""
    has_kept_head: bool = False
    """Whether a head that was kept outside was given, from which on nothing may be missing."""


class Verifier:
    """Does what `prequal audit verify` does, and remembers the last result until the process ends."""

    def __init__(self, settings: ConsoleSettings, pool: ConnectionPool) -> None:
        self._settings = settings
        self._pool = pool
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self.last: Verification | None = None

    @property
    def can_verify(self) -> bool:
        """Whether this console has the record's key."""
        return self._settings.record_key is not None

    @property
    def is_running(self) -> bool:
        """Whether a verification runs."""
        return self._task is not None and not self._task.done()

    async def verify(self, actor: Actor, head: Head | None) -> None:
        """Begin, if none runs, and `wait_briefly` for its end. Raises `Refused` while one runs."""
        if self.is_running:
            raise Refused("A verification runs already: its result will stand here for you too.")
        self.last = Verification(actor.name, datetime.now(UTC), has_kept_head=head is not None)
        self._task = asyncio.create_task(self._run(actor, self.last, head))
        await wait_briefly(self._task)

    def stop(self) -> None:
        """End a verification that runs, at its next block."""
        self._is_stopped = True

    async def _run(self, actor: Actor, begun: Verification, head: Head | None) -> None:
        ends = time.monotonic() + SECONDS_MAX

        def progress(block: Link, entries: int) -> None:
            if self._is_stopped or time.monotonic() > ends:
                raise Refused(f"It was ended after block {block.number}: `prequal audit verify` has the time.")
            self.last = replace(begun, blocks=block.number, entries=entries, head=block.mac.hex())

        try:
            verdict = await asyncio.to_thread(commands.verify, self._settings, head, progress)
            is_fine = verdict.tampering is None
            words = "" if is_fine else f"{verdict.words}."
            details: dict[str, Detail] = {"blocks": verdict.blocks, "entries": verdict.entries, "as_chained": is_fine}
            if head:
                details["kept_head"] = head.mac.hex()
            async with self._pool.use("console_write") as connection:
                await record_act(connection, actor, "record_verified", "record", "chain", details)
        except PrequalError as problem:
            is_fine, words = False, ended_by(problem)
        except Exception as bug:
            log.error("record_not_verified", error=where(bug))
            is_fine, words = False, FAILED
        self.last = replace(self.last or begun, ended_at=datetime.now(UTC), is_fine=is_fine, words=words)
