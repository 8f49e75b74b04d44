"""Cases that people decide: how soon, by how many, and the closed list of reasons with their sentences.

Invariant: a reason is added, never changed or removed, because decided cases name it. The list stands beside the
policy's versions and not in them: a version's rows say why the machine decided, its document is never changed once it
is released, and a case is decided days after the version that opened it was replaced.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from prequal.domain.application import Status

LEASE_MINUTES: Final = 30
LEASE_MINUTES_MAX: Final = 480
"""For how long a case is claimed, if the person does not say, and at most."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By when a case is to be decided, and above which amount in rupees by two people."""

    target_hours: int = 24
    two_people_above_inr: Decimal = Decimal(1_000_000)


DEFAULT_RULES: Final = Rules()


@dataclass(frozen=True, slots=True)
class ReviewReason:
    """A reason, the one outcome that it goes with, and its sentences; no reason is a missing credit history."""

    code: str
    outcome: Status
    en: str
    hi: str


_ALL: Final = (
    ReviewReason(
        "INCOME_CONFIRMED",
        Status.PRE_APPROVED,
        "Documents show an income that is enough for the loan.",
        "दस्तावेज़ों से ऐसी आय की पुष्टि हुई है जो ऋण के लिए पर्याप्त है।",
    ),
    ReviewReason(
        "REPAYMENT_CONFIRMED",
        Status.PRE_APPROVED,
        "Documents show that earlier obligations were paid on time.",
        "दस्तावेज़ों से पुष्टि हुई है कि पिछले दायित्व समय पर चुकाए गए।",
    ),
    ReviewReason(
        "SECURITY_SUFFICIENT",
        Status.PRE_APPROVED,
        "The security that is offered covers the loan.",
        "प्रस्तावित प्रतिभूति ऋण के लिए पर्याप्त है।",
    ),
    ReviewReason(
        "INCOME_NOT_ENOUGH",
        Status.REJECTED,
        "The income is not enough for a loan of this amount.",
        "इस राशि के ऋण के लिए आय पर्याप्त नहीं है।",
    ),
    ReviewReason(
        "INCOME_NOT_CONFIRMED",
        Status.REJECTED,
        "The stated income could not be confirmed.",
        "बताई गई आय की पुष्टि नहीं हो सकी।",
    ),
    ReviewReason(
        "OBLIGATIONS_TOO_HIGH",
        Status.REJECTED,
        "The obligations that are there already are too high for this loan.",
        "मौजूदा दायित्व इस ऋण के लिए बहुत अधिक हैं।",
    ),
    ReviewReason(
        "DETAILS_DO_NOT_AGREE",
        Status.REJECTED,
        "Details of the application do not agree with the documents.",
        "आवेदन का विवरण दस्तावेज़ों से मेल नहीं खाता।",
    ),
)

REASONS: Final[Mapping[str, ReviewReason]] = {reason.code: reason for reason in _ALL}
"""Every reason, by its code."""
