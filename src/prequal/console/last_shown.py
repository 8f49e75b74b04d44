"""The pages that each session was shown last, for as long as PostgreSQL is away.

Invariant: a page goes to no session but the one that was shown it, and to that one no longer than until it would have
ended, or was seen with other roles.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from prequal.domain.person import PersonRole
from prequal.people.sessions import Session, token_hash

BYTES_MAX: Final = 32 * 1024 * 1024
"""Of all pages together; those that were shown longest ago are forgotten first."""


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A page as it was shown: UTF-8 HTML, and when."""

    html: bytes
    roles: frozenset[PersonRole]
    at: datetime
    until: float
    """By the clock of the class: when the session ends if nobody uses it again."""


class LastShown:
    """By the hash of a session's token and the address of a page."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: OrderedDict[tuple[bytes, str], ShownPage] = OrderedDict()
        self._bytes = 0

    def keep(self, token: str, address: str, html: bytes, session: Session) -> None:
        """Keep a page that is shown now; what the session was shown with other roles is forgotten."""
        self._forget((token_hash(token), address))
        for page in self._of(token):
            if self._pages[page].roles != session.roles:
                self._forget(page)
        shown = ShownPage(html, session.roles, datetime.now(UTC), self._clock() + session.seconds_left)
        self._pages[token_hash(token), address] = shown
        self._bytes += len(html)
        while self._bytes > BYTES_MAX:
            self._forget(next(iter(self._pages)))

    def of(self, token: str, address: str) -> ShownPage | None:
        """The page as this session was shown it last; None where it was not, or that has ended since."""
        shown = self._pages.get((token_hash(token), address))
        return shown if shown and self._clock() < shown.until else None

    def end(self, token: str) -> None:
        """Forget the pages of a session that has ended."""
        for page in self._of(token):
            self._forget(page)

    def _of(self, token: str) -> list[tuple[bytes, str]]:
        session = token_hash(token)
        return [page for page in self._pages if page[0] == session]

    def _forget(self, page: tuple[bytes, str]) -> None:
        if shown := self._pages.pop(page, None):
            self._bytes -= len(shown.html)
