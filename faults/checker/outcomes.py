"""I2: each application has exactly one final status, and it is what the oracle computes from its inputs and score.

The oracle takes the version of the policy that the application names, which must be one that was to decide it. What it
leaves to people may move once more, to what one of them decided.

Invariant: nothing of the service is asked what the right outcome is.
"""

from collections.abc import Iterator, Mapping

from faults.checker.evidence import FINAL, Application, Evidence, Violation, found
from faults.checker.reviews import Review, reviews
from harness import oracle

LEFT_TO_PEOPLE = "MANUAL_REVIEW"
BY_POLICY = 2
"""The version of an application that nobody but the policy decided."""
NOBODY = Review()


def violations(evidence: Evidence) -> list[Violation]:
    """Applications that are undecided, were decided more than once, or otherwise than they should have been."""
    everyone = list(evidence.applications.values())
    decided = [one for one in everyone if one.status in FINAL]
    pans = {pan_hash: pan for pan, pan_hash in evidence.pan_hashes.items()}
    by_people = reviews(evidence)
    return [
        *found("I2", "has no final status", [one.id for one in everyone if one.status not in FINAL]),
        *found(
            "I2",
            "moved other than once, and once more by a person",
            [one.id for one in decided if one.version not in by_people.get(one.id, NOBODY).versions],
        ),
        *found("I2", "was decided by several people", [id_ for id_, it in by_people.items() if len(it.decided) > 1]),
        *found("I2", "is decided against the policy", _against_the_policy(decided, by_people, evidence)),
        *found(
            "I2",
            "names a policy that was not to decide it",
            [one.id for one in decided if not _was_to_decide(one, pans.get(one.pan_number_hash), evidence)],
        ),
        *found("I2", "has a case that says otherwise, or none", _other_cases(evidence)),
        *found(
            "I2",
            "has another score than the oracle's",
            [one.id for one in decided if not _scored_right(one, pans, evidence)],
        ),
    ]


def _against_the_policy(
    decided: list[Application], by_people: Mapping[str, Review], evidence: Evidence
) -> Iterator[str]:
    for one in decided:
        policys, outcomes = _decision(one, evidence), by_people.get(one.id, NOBODY).outcomes
        if one.version == BY_POLICY or not outcomes:
            right = one.status == policys
        else:
            right = policys == LEFT_TO_PEOPLE and one.status in outcomes
        if not right:
            yield one.id


def _other_cases(evidence: Evidence) -> Iterator[str]:
    """A case is there exactly of what the policy left to people, and says what the status says."""
    for one in evidence.applications.values():
        reviewed = one.version > BY_POLICY
        expected = (one.status if reviewed else None) if reviewed or one.status == LEFT_TO_PEOPLE else "no case"
        if evidence.cases.get(one.id, "no case") != expected:
            yield one.id


def _decision(one: Application, evidence: Evidence) -> str | None:
    """What the version that the application names makes of it."""
    policy = evidence.policies.get((one.policy_version, one.policy_hash))
    if one.cibil_score is None or policy is None:
        return None
    return oracle.decision(one.cibil_score, one.monthly_income_inr, one.loan_amount_inr, policy.minimum)


def _was_to_decide(one: Application, pan: str | None, evidence: Evidence) -> bool:
    """Whether the version that it names was in force once, or challenged and its PAN was drawn below the share."""
    policy = evidence.policies.get((one.policy_version, one.policy_hash))
    if policy is None or policy.activated:
        return policy is not None
    return policy.share > 0 and (pan is None or oracle.challenge_draw(evidence.draw_key, pan) < policy.share)


def _scored_right(one: Application, pans: dict[str, str], evidence: Evidence) -> bool:
    """Whose PAN the client did not send cannot be scored again, and passes."""
    pan = pans.get(one.pan_number_hash)
    if pan is None:
        return True
    if evidence.asks_bureau:
        return one.cibil_score == oracle.bureau_score(pan)
    return one.cibil_score == oracle.score(evidence.draw_key, pan, one.monthly_income_inr, one.loan_type)
