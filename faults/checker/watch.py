"""Looks each second which transaction is open for longest, and writes down those that are not short.

Invariant: a database that does not answer is not waited for: what cannot be seen is not written down.
"""

import threading
from contextlib import suppress
from typing import Self

import psycopg

from faults.checker import database
from harness.journal import Journal

LOOK_EVERY_SECONDS = 1.0
SHORT_SECONDS = 2.0
"""What is over sooner is not worth a line."""


class Watch:
    """Looks for as long as the block, from a thread of its own."""

    def __init__(self, database_url: str, journal: Journal) -> None:
        self._database_url = database_url
        self._journal = journal
        self._over = threading.Event()
        # Not waited for at the end of the process: a frozen database answers no question.
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(database.CONNECT_SECONDS + LOOK_EVERY_SECONDS)

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_EVERY_SECONDS):
            with suppress(psycopg.Error), database.connected(self._database_url) as connection:
                long = [one for one in database.transactions(connection)[:1] if one.seconds > SHORT_SECONDS]
                if long and not self._over.is_set():
                    self._journal.write(*long)
