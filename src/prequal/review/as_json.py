"""Cases as JSON, the same for the command line and the console's API.

Invariant: it shows neither a PAN nor an applicant's name.
"""

import json
from typing import Any

from prequal.domain.review import REASONS
from prequal.domain.times import to_the_second
from prequal.review.cases import WholeCase
from prequal.review.queries import Case


def reasons() -> list[dict[str, Any]]:
    """The reasons of people's decisions, with the applicant's sentence."""
    return [{"code": each.code, "outcome": each.outcome, "en": each.en, "hi": each.hi} for each in REASONS.values()]


def whole(shown: WholeCase) -> dict[str, Any]:
    """A case with all that a reviewer sees of it."""
    subject = shown.subject
    return case_as_json(shown.case) | {
        "status": subject.status,
        "pan_number_masked": subject.pan_number_masked,
        "loan_type": subject.loan_type,
        "monthly_income_inr": str(subject.monthly_income_inr),
        "cibil_score": subject.cibil_score,
        "policy_version": subject.policy_version,
        "policy_reason": subject.rule,
        "measures": json.loads(subject.measures),
        "created_at": to_the_second(subject.created_at),
        "notes": [{"at": to_the_second(each.written_at), "by": each.writer, "note": each.note} for each in shown.notes],
        "votes": [
            {"at": to_the_second(each.voted_at), "by": each.voter, "outcome": each.outcome, "reason": each.reason}
            for each in shown.votes
        ],
    }


def case_as_json(case: Case) -> dict[str, Any]:
    """A case; amounts and times are texts."""
    return {
        "application_id": str(case.application_id),
        "state": case.state,
        "opened_at": to_the_second(case.opened_at),
        "target_at": to_the_second(case.target_at),
        "hours_to_target": round(case.hours_to_target, 2),
        "loan_amount_inr": str(case.loan_amount_inr),
        "people_needed": case.people_needed,
        "claimed_by": case.claimed_by if case.is_claimed else None,
        "lease_until": to_the_second(case.lease_until) if case.is_claimed else None,
        "version": case.version,
        "outcome": case.outcome,
        "reason": case.reason,
        "decided_at": to_the_second(case.decided_at),
    }
