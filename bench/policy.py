"""Time an evaluation of the policy, beside the same three rules written by hand.

    python -m bench.policy

Invariant: both get the same amounts, and the shortest of several runs counts, as a ratio too.
"""

import json
import timeit
from collections.abc import Callable
from decimal import Decimal

from prequal.domain.application import LoanType
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts

RUNS = 7
TIMES = 50_000

INCOME, AMOUNT = Decimal("50000.00"), Decimal("2400000.00")
POLICY = packaged.current()
FACTS = Facts.of(700, INCOME, AMOUNT, LoanType.HOME)


def by_hand(score: int, income: Decimal, amount: Decimal) -> str:
    """Policy v1 as code: its rows, and its measures as JSON."""
    over_term = income * 48
    rule = "SCORE_BELOW_MINIMUM" if score < 650 else "COVERED" if over_term > amount else "NOT_COVERED"
    measures = {"minimum_cibil_score": 650, "monthly_income_inr": str(income), "loan_amount_inr": str(amount)}
    return rule + json.dumps(
        measures | {"cibil_score": score, "term_months": 48, "income_over_term_inr": str(over_term)}
    )


def microseconds(act: Callable[[], object]) -> float:
    """The shortest run's time for one call."""
    return min(timeit.repeat(act, number=TIMES, repeat=RUNS)) / TIMES * 1e6


def main() -> None:
    """Measure and print."""
    evaluation = microseconds(lambda: POLICY.decide(FACTS))
    whole = microseconds(lambda: POLICY.decide(Facts.of(700, INCOME, AMOUNT, LoanType.HOME)).measures_json)
    hand = microseconds(lambda: by_hand(700, INCOME, AMOUNT))
    print(f"evaluation of {POLICY.version}: {evaluation:.2f} µs")
    print(f"with facts and measures as JSON: {whole:.2f} µs; by hand: {hand:.2f} µs; ratio {whole / hand:.2f}")


if __name__ == "__main__":
    main()
