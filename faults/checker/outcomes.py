"""I2: each application has exactly one final status, and it is what the oracle computes from its inputs and score.

Invariant: nothing of the service is asked what the right outcome is.
"""

from faults.checker.evidence import FINAL, Application, Evidence, Violation, found
from harness import oracle


def violations(evidence: Evidence) -> list[Violation]:
    """Applications that are undecided, were decided more than once, or otherwise than they should have been."""
    everyone = list(evidence.applications.values())
    decided = [one for one in everyone if one.status in FINAL]
    pans = {pan_hash: pan for pan, pan_hash in evidence.pan_hashes.items()}
    return [
        *found("I2", "has no final status", [one.id for one in everyone if one.status not in FINAL]),
        *found("I2", "moved other than once", [one.id for one in decided if one.version != 2]),
        *found("I2", "is decided against the policy", [one.id for one in decided if one.status != _decision(one)]),
        *found(
            "I2",
            "has another score than the oracle's",
            [one.id for one in decided if not _scored_right(one, pans, evidence.draw_key)],
        ),
    ]


def _decision(one: Application) -> str | None:
    if one.cibil_score is None:
        return None
    return oracle.decision(one.cibil_score, one.monthly_income_inr, one.loan_amount_inr)


def _scored_right(one: Application, pans: dict[str, str], draw_key: bytes) -> bool:
    """Whose PAN the client did not send cannot be scored again, and passes."""
    pan = pans.get(one.pan_number_hash)
    return pan is None or one.cibil_score == oracle.score(draw_key, pan, one.monthly_income_inr, one.loan_type)
