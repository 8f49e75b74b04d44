"""Probes at a fixed pace beside a load: one that is answered late is late for all that came due meanwhile.

Invariant: as many are counted as came due, whatever they are answered and however long that takes.
"""

import asyncio
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

import httptools

from harness.client import Connection

PATHS: Final = ("/health", "/ready")
EVERY_SECONDS: Final = 0.05
"""For each of the two."""
UNANSWERED: Final = (OSError, EOFError, httptools.HttpParserError)


def expected(seconds: float) -> float:
    """How many come due in such a time."""
    return len(PATHS) * seconds / EVERY_SECONDS


@dataclass(frozen=True, slots=True)
class Probe:
    """One that came due; `seconds` later it was answered or cut, or has waited so long in vain.

    Attributes:
        status: None without an answer.
        is_cut: whether its connection was refused or cut.
    """

    due_at: float
    seconds: float
    status: int | None = None
    is_cut: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether it was cut or answered otherwise than with 200."""
        return self.is_cut or self.status not in (None, 200)


class Prober:
    """Asks for `/health` and `/ready` until it is cancelled, each over a connection of its own.

    Attributes:
        next_due: by path, when the first that is not answered came due, or comes, in seconds since 1970.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._probes: list[Probe] = []
        self.next_due: dict[str, float] = {}

    async def run(self) -> None:
        """Ask."""
        async with asyncio.TaskGroup() as paths:
            for path in PATHS:
                paths.create_task(self._ask_for(path))

    def due_between(self, began: float, ended: float) -> list[Probe]:
        """Those that came due from one moment to the other, in seconds since 1970; who waits has done so until then."""
        waiting = [
            Probe(due, ended - due)
            for first in self.next_due.values()
            for due in (first + number * EVERY_SECONDS for number in range(int(max(0, ended - first) / EVERY_SECONDS)))
        ]
        return [each for each in (*self._probes, *waiting) if began <= each.due_at < ended]

    async def _ask_for(self, path: str) -> None:
        self.next_due[path] = time.time()
        while True:
            try:
                connection = await Connection.open(self._port)
            except OSError:
                self._note(path, None)
                await self._until_due(path)
                continue
            with closing(connection), suppress(*UNANSWERED):
                await self._ask_over(connection, path)
            self._note(path, None)

    async def _ask_over(self, connection: Connection, path: str) -> None:
        """Ask until the connection is cut. Raises one of `UNANSWERED`."""
        while True:
            await self._until_due(path)
            self._note(path, (await connection.get(path)).status)

    async def _until_due(self, path: str) -> None:
        await asyncio.sleep(max(0.0, self.next_due[path] - time.time()))

    def _note(self, path: str, status: int | None) -> None:
        """Note what came, as the answer to all that have come due."""
        now = time.time()
        while (due := self.next_due[path]) <= now:
            self._probes.append(Probe(due, now - due, status, is_cut=status is None))
            self.next_due[path] = due + EVERY_SECONDS
