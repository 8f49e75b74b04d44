"""Answers of `GET …/decision` for the API's description, as the code itself makes them.

Invariant: they are decided by the policy that comes with the code, and nothing in them is written by hand.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from prequal.api.decision import decision_body
from prequal.api.read_queries import Reviewed, StoredDecision
from prequal.domain.application import LoanType
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts

EXAMPLE_ID = "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44"
EXAMPLE_TIME = "2026-11-23T09:30:00.123456Z"
EXAMPLE_REQUEST = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"


def decision_examples() -> dict[str, dict[str, Any]]:
    """An answer of each kind, by its name."""
    stored = {
        "rejected": _stored(610, "1500000.00"),
        "manual_review": _stored(700, "4080000.00"),
        "no_credit_file": _stored(None, "1500000.00"),
    }
    people = Reviewed("PRE_APPROVED", "INCOME_CONFIRMED", *[stored["rejected"].updated_at] * 2)
    stored["reviewed"] = replace(stored["manual_review"], status="PRE_APPROVED", review=people)
    bodies = {
        name: decision_body(UUID(EXAMPLE_ID), decision, packaged.current(), "en") for name, decision in stored.items()
    }
    pending = {"application_id": EXAMPLE_ID, "status": "PENDING"}
    return {name: body | {"request_id": EXAMPLE_REQUEST} for name, body in {**bodies, "pending": pending}.items()}


def _stored(cibil_score: int | None, loan_amount_inr: str) -> StoredDecision:
    policy, income, amount = packaged.current(), Decimal("85000.00"), Decimal(loan_amount_inr)
    decision = policy.decide(Facts.of(cibil_score, income, amount, LoanType.HOME))
    return StoredDecision(
        review=None,
        status=decision.status,
        cibil_score=cibil_score,
        monthly_income_inr=income,
        loan_amount_inr=amount,
        loan_type=LoanType.HOME,
        rule=decision.code,
        measures=decision.measures_json,
        policy_version=policy.version,
        policy_hash=policy.digest,
        updated_at=datetime.fromisoformat(EXAMPLE_TIME),
    )
