"""The credit bureau as credit-service sees it, and the simulated one in this process.

Invariant: a bureau gives a score, or says that it has no file; while it does neither, the application waits.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol, TypeAlias

from prequal.domain.pan import Pan
from prequal.domain.scoring import cibil_score
from prequal.messaging.events import ApplicationSubmitted
from prequal.security.draws import ScoreDraws

Score: TypeAlias = int | None
"""A score, 300 … 900; None where the bureau has no file of the person."""


class Bureau(Protocol):
    """Where scores come from."""

    def ask(self, event: ApplicationSubmitted, pan: Pan) -> "Score | asyncio.Future[Score]":
        """The score of an application's person: at once, or when the future is done.

        Never blocks. Asking again about the same application, in this process or another, is the same request. A future
        waits for as long as the bureau is away; it is done with a score, or was cancelled.
        """

    async def close(self) -> None:
        """Let connections go; what is still awaited is cancelled."""


class SimulatedBureau:
    """The simulation of `domain.scoring`, which knows every score at once."""

    def __init__(self, draws: ScoreDraws, published: Mapping[Pan, int | None]) -> None:
        """Draw by `draws`, but for PANs whose score is `published` (`domain.sandbox`)."""
        self._draws = draws
        self._published = published

    def ask(self, event: ApplicationSubmitted, pan: Pan) -> Score:
        draw = self._draws.draw(pan)
        return cibil_score(pan, draw, event.monthly_income_inr, event.loan_type, self._published)

    async def close(self) -> None:
        """The simulation holds no connection."""
