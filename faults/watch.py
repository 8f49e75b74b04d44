"""Looks at a system again and again while something is broken: transactions, breakers, what waits to be published.

Invariant: it asks by ways of its own, so that what is broken for the services is not broken for it.
"""

import threading
import time
from collections import defaultdict
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import httpx
import psycopg

from faults.scenario import Run
from harness.database import Database
from harness.journal import SERVICES, Transaction

LOOK_EVERY_SECONDS: Final = 0.25
OPEN_SECONDS: Final = 5.0

OLDEST_TRANSACTION: Final = """
    SELECT application_name AS name, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
    ORDER BY xact_start
    LIMIT 1
"""


class Watch:
    """What was seen since the block began; asked again every quarter of a second until it ends.

    Attributes:
        breakers: the states that each service's breakers were seen in, by service and breaker.
        unpublished_most: the most events that waited to be published at one time.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._over = threading.Event()
        self._database: Database | None = None
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)
        self._longest: dict[str, Transaction] = {}
        self.breakers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.unpublished_most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._run.journal.write(*self._longest.values())

    def demand_breaker(self, service: str, breaker: str) -> None:
        """Demand that a breaker opened, and that it is closed by now, at `/ready` and in the metric."""
        run = self._run
        run.demand("open" in self.breakers[service, breaker], f"{service}'s breaker {breaker} never opened")
        run.demand_soon(
            lambda: (
                _state(run, service, breaker) == "closed"
                and run.system.metric(service, "breaker_state", f'breaker="{breaker}"') == 0
            ),
            10,
            f"{service}'s breaker {breaker} did not close",
        )

    def demand_short_transactions(self) -> None:
        """Demand that nobody held a transaction open while something was away."""
        long = [f"{each.name}: {each.seconds:.1f} s" for each in self._longest.values() if each.seconds > OPEN_SECONDS]
        self._run.demand(not long, f"transactions were open for long: {long}")

    def _look_on(self) -> None:
        while not self._over.is_set():
            with suppress(psycopg.Error):
                self._look_at_database()
            for service in SERVICES:
                with suppress(httpx.HTTPError, ValueError):
                    _, said = self._run.system.ready(service)
                    for breaker, state in said["breakers"].items():
                        self.breakers[service, breaker].add(state)
            self._over.wait(LOOK_EVERY_SECONDS)
        if self._database is not None:
            self._database.close()

    def _look_at_database(self) -> None:
        if self._database is None:
            self._database = Database(self._run.system.database_url)
        for oldest in self._database.rows(OLDEST_TRANSACTION):
            seen = Transaction(time.time(), oldest["name"], oldest["seconds"])
            self._longest[seen.name] = max(self._longest.get(seen.name, seen), seen, key=lambda each: each.seconds)
        self.unpublished_most = max(self.unpublished_most, self._database.count("outbox_events"))


def _state(run: Run, service: str, breaker: str) -> str | None:
    _, said = run.system.ready(service)
    state: str | None = said["breakers"].get(breaker)
    return state
