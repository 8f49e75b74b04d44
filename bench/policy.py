"""Time an evaluation of the policy, beside the same three rules written by hand.

    python -m bench.policy

Invariant: both get the same amounts, and of each the shortest run counts.
"""

import json
import timeit
from collections.abc import Callable
from decimal import Decimal
from time import process_time

from prequal.domain.application import LoanType
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts

RUNS = 40
TIMES = 5_000

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


def microseconds(*acts: Callable[[], object]) -> list[float]:
    """The CPU time of one call of each, by its shortest run; they run in turn, so that a busy moment meets all."""
    runs = [[timeit.timeit(act, timer=process_time, number=TIMES) for act in acts] for _ in range(RUNS)]
    return [min(times) / TIMES * 1e6 for times in zip(*runs, strict=True)]


def main() -> None:
    """Measure and print."""
    evaluation, whole, hand = microseconds(
        lambda: POLICY.decide(FACTS),
        lambda: POLICY.decide(Facts.of(700, INCOME, AMOUNT, LoanType.HOME)).measures_json,
        lambda: by_hand(700, INCOME, AMOUNT),
    )
    print(f"evaluation of {POLICY.version}: {evaluation:.2f} µs")
    print(f"with facts and measures as JSON: {whole:.2f} µs; by hand: {hand:.2f} µs; ratio {whole / hand:.2f}")


if __name__ == "__main__":
    main()
