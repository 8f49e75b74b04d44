"""A sign-in by an issuer that did not come about: counted, logged, and said in words, for pages and JSON alike.

Invariant: a stranger learns nothing of who works here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from prequal.console.away import away
from prequal.console.sign_in_limit import retry_after
from prequal.core.circuit_breaker import BreakerOpen
from prequal.core.errors import PrequalError, Transient
from prequal.issuers.code_flow import AnotherBrowser, NotVouched
from prequal.issuers.discovery import IssuerAway
from prequal.issuers.tokens import KeyNotKnown
from prequal.people.issuer_sign_in import UnknownSubject
from prequal.people.sign_in import SignInBusy, TooManyRefused
from prequal.postgres.connections import PostgresAway
from prequal.telemetry import metrics

log = structlog.get_logger()

_OUTCOMES: Final[tuple[tuple[type[PrequalError], str], ...]] = (
    (AnotherBrowser, "another_browser"),
    (NotVouched, "not_vouched"),
    (UnknownSubject, "unknown_subject"),
    (TooManyRefused, "limited"),
    (SignInBusy, "busy"),
    (Transient, "away"),
)
"""What a failure is counted as, by the first row that fits."""


@dataclass(frozen=True, slots=True)
class IssuerRefusal:
    """How a failure is answered."""

    status: int
    words: str
    headers: Mapping[str, str]


def refusal_of(problem: PrequalError) -> IssuerRefusal:
    """How this failure is answered; it is counted and logged by that."""
    outcome = next(name for kind, name in _OUTCOMES if isinstance(problem, kind))
    metrics.ISSUER_SIGN_INS.labels(outcome).inc()
    is_issuers = _is_away(problem) or isinstance(problem, NotVouched)
    log.warning("issuer_sign_in_refused", outcome=outcome, reason=str(problem) if is_issuers else None)
    if isinstance(problem, TooManyRefused):
        return IssuerRefusal(429, str(problem), retry_after(problem))
    return IssuerRefusal(503 if isinstance(problem, Transient) else 401, _words(problem), {})


def _words(problem: PrequalError) -> str:
    if _is_away(problem):
        return "Your organisation's sign-in does not answer as it should: try again in a moment."
    if isinstance(problem, NotVouched):
        return "Your organisation's sign-in has not let you in, or its answer is not taken: please begin again."
    if isinstance(problem, AnotherBrowser):
        return "This sign-in was begun in another browser, or too long ago: please begin again."
    return away(problem)


def _is_away(problem: PrequalError) -> bool:
    """Whether the issuer does not answer as it should, or is left alone for that; a breaker may be PostgreSQL's too."""
    return isinstance(problem, IssuerAway | KeyNotKnown | BreakerOpen) and not isinstance(problem, PostgresAway)
