"""The largest amount that the same policy approves, for an application that it did not approve.

Invariant: what is offered was decided again, whole, by the same version.
"""

from collections.abc import Callable

from prequal.domain.application import Status
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.policy import Policy


def largest_approved(policy: Policy, facts: Facts) -> int | None:
    """In paise, a multiple of the policy's step, below the amount of `facts`; None when no such amount is approved.

    A condition changes once, at most, as the amount grows: between such changes the outcome is the same, so that the
    largest amount before each change is all that must be tried.
    """
    path, amount = policy.document.path_to_yes, facts.loan_amount_inr
    if path is None or amount is None or policy.decide(facts).code in _codes_of_missing(policy):
        return None
    step = path.step.in_paise
    first, last = -(-path.least.in_paise // step), min(path.most.in_paise, amount - 1) // step

    def with_steps(number: int) -> Facts:
        return facts._replace(loan_amount_inr=number * step)

    def changes(condition: Callable[..., bool]) -> int:
        return _last_alike(lambda number: condition(policy.values(with_steps(number))), first, last)

    if first > last:
        return None
    tops = {last, *(changes(condition) for condition in policy.conditions_on_amount)}
    for number in sorted(tops, reverse=True):
        if policy.decide(with_steps(number)).status is Status.PRE_APPROVED:
            return number * step
    return None


def _codes_of_missing(policy: Policy) -> frozenset[str]:
    return frozenset(missing.reason for missing in policy.document.missing)


def _last_alike(holds: Callable[[int], bool], first: int, last: int) -> int:
    """The last number for which `holds` is as for `first`, when it changes once at most."""
    wanted = holds(first)
    while first < last:
        middle = (first + last + 1) // 2
        if holds(middle) == wanted:
            first = middle
        else:
            last = middle - 1
    return first
