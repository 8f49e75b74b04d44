"""An applicant's request, and the states of an application.

Invariant: a status moves once by the policy, from PENDING; MANUAL_REVIEW alone moves once more, by people; none back.

    PENDING ──► PRE_APPROVED | REJECTED
       └──────► MANUAL_REVIEW ──people──► PRE_APPROVED | REJECTED
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from prequal.domain.pan import Pan


class LoanType(StrEnum):
    """What the loan is for."""

    PERSONAL = "PERSONAL"
    HOME = "HOME"
    AUTO = "AUTO"


class Status(StrEnum):
    """Where an application stands."""

    PENDING = "PENDING"
    PRE_APPROVED = "PRE_APPROVED"
    REJECTED = "REJECTED"
    MANUAL_REVIEW = "MANUAL_REVIEW"


DECIDED_VERSION: Final = 2
"""The version of an application that the policy decided: it begins with 1. What people decide makes one more of it."""


FIRST_ID: Final = UUID(int=0)
LAST_ID: Final = UUID(int=2**128 - 1)
"""No application's id is below the one or above the other."""


def first_id(since: datetime) -> UUID:
    """The least id of an application that came in that millisecond: a UUIDv7 (RFC 9562, 5.7)."""
    return UUID(int=int(since.timestamp() * 1000) << 80)


def time_of(id_: UUID) -> datetime:
    """The millisecond that an application's id names: when it came."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class LoanApplication:
    """A valid application: it need not be checked again.

    Amounts are rupees, 0.01 … 9,999,999,999.99, at most two decimals. The name is trimmed, or absent.
    """

    id: UUID
    pan: Pan
    applicant_name: str | None
    monthly_income_inr: Decimal
    loan_amount_inr: Decimal
    loan_type: LoanType
