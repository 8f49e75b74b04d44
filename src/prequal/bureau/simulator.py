"""Answers of the simulated bureau: a score that is the PAN's own, or, for some PANs, a bureau's misbehaviour.

Invariant: it keeps nothing of a request but how often its id came, and only of those that are to fail.
"""

import asyncio
from collections import Counter
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prequal.core.keys import KEY_BYTES
from prequal.domain import sandbox
from prequal.domain.application import LoanType
from prequal.domain.pan import Pan
from prequal.domain.scoring import cibil_score
from prequal.security.draws import ScoreDraws
from prequal.service.http_requests import TooLarge, TooSlow, gone, read_body

SLOW: Final = Pan("SANDB2000G")
AWAY: Final = Pan("SANDB0503H")
FAILS_TWICE: Final = Pan("SANDB0502J")
"""The PANs of docs/sandbox.md for which it behaves badly."""
SLOW_SECONDS: Final = 2.0
BODY_BYTES_MAX: Final = 16 * 1024
CLOSE: Final = {"Connection": "close"}
_INCOME: Final = Decimal(50_000)
"""A bureau does not ask for the income, so the score has no points for it."""


class Inquiry(BaseModel):
    """What is asked."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore")

    request_id: str
    pan: str


class Simulator:
    """The bureau's one answer, with what it may do before."""

    def __init__(self, slow_seconds: float = SLOW_SECONDS) -> None:
        self._draws = ScoreDraws(bytes(KEY_BYTES))
        self._failed: Counter[str] = Counter()
        self._slow_seconds = slow_seconds

    async def report(self, request: Request) -> Response:
        """Answer `POST /reports`."""
        try:
            inquiry = Inquiry.model_validate_json(await read_body(request, BODY_BYTES_MAX))
            pan = Pan(inquiry.pan)
        except TooLarge:
            return JSONResponse({"error": "the body is over 16 KiB"}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, CLOSE)
        except TooSlow:
            return JSONResponse({"error": "the body did not come"}, HTTPStatus.REQUEST_TIMEOUT, CLOSE)
        except (ValidationError, ValueError):
            return JSONResponse({"error": "request_id and pan are expected"}, HTTPStatus.UNPROCESSABLE_ENTITY)
        if pan == SLOW:
            await asyncio.sleep(self._slow_seconds)
        if pan == AWAY or (pan == FAILS_TWICE and self._fails(inquiry.request_id)):
            return JSONResponse({"error": "away"}, HTTPStatus.SERVICE_UNAVAILABLE)
        score = cibil_score(pan, self._draws.draw(pan), _INCOME, LoanType.AUTO, sandbox.SCORES)
        outcome = "NO_FILE" if score is None else "SCORE"
        return JSONResponse({"request_id": inquiry.request_id, "outcome": outcome, "score": score})

    def _fails(self, request_id: str) -> bool:
        self._failed[request_id] += 1
        return self._failed[request_id] <= 2


async def health(_: Request) -> Response:
    """Answer `GET /health`."""
    return JSONResponse({"status": "healthy"})


def app(slow_seconds: float = SLOW_SECONDS) -> Starlette:
    """The simulated bureau as an ASGI application; `slow_seconds` is how long a slow answer takes."""
    simulator = Simulator(slow_seconds)
    routes = [Route("/reports", simulator.report, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes, exception_handlers={ClientDisconnect: gone})
