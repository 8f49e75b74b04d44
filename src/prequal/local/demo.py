"""The first three applications of an empty database: one of each outcome, so that a newcomer sees it work.

Invariant: the PANs are drawn afresh, those of individuals, and so never one of the sandbox.
"""

import secrets
import string
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from prequal.client import ApiClient, ApplicationStatus
from prequal.core.errors import Transient
from prequal.domain.money import rupees

DECIDED_SECONDS: Final = 30.0

# Scores: 650 + 40 + 10 ± 5, with enough income; the same, with too large a loan; 650 - 20 - 10 ± 5.
APPLICATIONS: Final[tuple[dict[str, Any], ...]] = (
    {"loan_type": "HOME", "monthly_income_inr": 100_000, "loan_amount_inr": 1_000_000},
    {"loan_type": "HOME", "monthly_income_inr": 100_000, "loan_amount_inr": 20_000_000},
    {"loan_type": "PERSONAL", "monthly_income_inr": 20_000, "loan_amount_inr": 300_000},
)


def demonstrate(url: str, token: str | None) -> Iterator[str]:
    """Post one application after the other, and yield a line for each: its status, its score, how fast.

    Args:
        url: where the API is.
        token: of a client, where one is asked for.

    Raises:
        Refused: the API refused one.
        Transient: the API cannot be reached, or one stays undecided.
    """
    with ApiClient(url, token) as client:
        for application in APPLICATIONS:
            yield _line(application, _decided(client, application))


def fresh_pan() -> str:
    """A well-formed PAN of an individual, drawn at random."""
    letters = [secrets.choice(string.ascii_uppercase) for _ in range(5)]
    return f"{''.join(letters[:3])}P{letters[3]}{1 + secrets.randbelow(9_999):04}{letters[4]}"


def _decided(client: ApiClient, application: dict[str, Any]) -> ApplicationStatus:
    application_id = client.submit({"pan_number": fresh_pan(), "applicant_name": "First Visitor"} | application)
    *_, last = client.watch(application_id, DECIDED_SECONDS)
    if not last.is_final:
        raise Transient(f"application {application_id} was not decided within {DECIDED_SECONDS:.0f} s")
    return last


def _line(application: dict[str, Any], decided: ApplicationStatus) -> str:
    loan, income = (rupees(Decimal(application[name])) for name in ("loan_amount_inr", "monthly_income_inr"))
    wish = f"{application['loan_type']:<8} {loan:>15} on {income:>13} a month"
    return f"{decided.status:<13}  score {decided.cibil_score or 'none'}  in {decided.milliseconds:4.0f} ms   {wish}"
