"""The shape of a policy document, as types: the reader and the JSON Schema both follow them.

Invariant: a number is whole and its unit stands in its key; text is never a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from prequal.domain.application import LoanType
from prequal.domain.scoring import HIGHEST_SCORE, LOWEST_SCORE

LANGUAGES: Final = ("en", "hi")


@dataclass(frozen=True, slots=True)
class Between:
    """The smallest and the largest number that is taken."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression that the whole text matches, and what it means in words."""

    regex: str
    meaning: str


Name: TypeAlias = Annotated[str, Pattern("[a-z][a-z0-9_]{0,62}", "a name of small letters, digits and underscores")]
Code: TypeAlias = Annotated[str, Pattern("[A-Z][A-Z0-9_]{0,62}", "a code of capitals, digits and underscores")]
Version: TypeAlias = Annotated[str, Pattern("[a-z0-9][a-z0-9.-]{0,31}", "a version such as v2 or 2027-01")]
Sentence: TypeAlias = Annotated[str, Pattern("[\\s\\S]*\\S[\\s\\S]*", "a sentence")]
Condition: TypeAlias = Annotated[
    str, Pattern("\\S+ (<|<=|>|>=|=|!=) \\S+", "three words such as `cibil_score < minimum_cibil_score`")
]
Rounding: TypeAlias = Literal["up", "half_up", "down"]


@dataclass(frozen=True, slots=True)
class ScoreLimit:
    """A score, 300 … 900."""

    score: Annotated[int, Between(LOWEST_SCORE, HIGHEST_SCORE)]


@dataclass(frozen=True, slots=True)
class MonthsLimit:
    """A number of months."""

    months: Annotated[int, Between(1, 480)]


@dataclass(frozen=True, slots=True)
class ShareLimit:
    """A rate a year or a share: 1450 basis points are 14.50 %."""

    basis_points: Annotated[int, Between(0, 100_000)]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `{ rupees = 500000, paise = 50 }` is ₹5,00,000.50."""

    rupees: Annotated[int, Between(0, 9_999_999_999)]
    paise: Annotated[int, Between(0, 99)] = 0

    @property
    def in_paise(self) -> int:
        """The amount in whole paise."""
        return self.rupees * 100 + self.paise


Limit: TypeAlias = ScoreLimit | MonthsLimit | ShareLimit | Money


@dataclass(frozen=True, slots=True)
class IncomeOver:
    """The monthly income times a limit in months; exact."""

    income_over: Name


@dataclass(frozen=True, slots=True)
class Emi:
    """The equal monthly instalment of an amount at a rate a year over months, rounded to the paisa."""

    emi_of: Name
    rate: Name
    over: Name
    rounding: Rounding


@dataclass(frozen=True, slots=True)
class Foir:
    """An instalment and the stated obligations, as a share of the monthly income, rounded to the basis point."""

    foir_of: Name
    rounding: Rounding


Derived: TypeAlias = IncomeOver | Emi | Foir


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: when all conditions hold, the outcome, and the reason with its figures in two languages."""

    when: tuple[Condition, ...]
    outcome: Literal["PRE_APPROVED", "REJECTED", "MANUAL_REVIEW"]
    reason: Code
    measured: Name
    en: Sentence
    hi: Sentence
    threshold: Name | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """The reason for which people review an application when a fact is missing; the score always has one."""

    fact: Name
    reason: Code
    en: Sentence
    hi: Sentence


@dataclass(frozen=True, slots=True)
class PathToYes:
    """The amounts to be tried for a path to yes: multiples of `step`, from `least` to `most`."""

    step: Money
    least: Money
    most: Money
    en: Sentence
    hi: Sentence


@dataclass(frozen=True, slots=True)
class Notice:
    """The words about what a prequalification is not."""

    en: Sentence
    hi: Sentence


@dataclass(frozen=True, slots=True)
class Test:
    """An application whose reason is known; a fact that is left out is missing."""

    reason: Code
    cibil_score: Annotated[int, Between(LOWEST_SCORE, HIGHEST_SCORE)] | None = None
    monthly_income_inr: Money | None = None
    loan_amount_inr: Money | None = None
    loan_type: LoanType | None = None
    stated_obligations_inr: Money | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A version of the policy, as it is written."""

    format: Annotated[int, Between(1, 1)]
    version: Version
    title: Sentence
    limits: Mapping[Name, Limit]
    derived: Mapping[Name, Derived]
    missing: tuple[Missing, ...]
    rows: tuple[Row, ...]
    notice: Notice
    tests: tuple[Test, ...]
    path_to_yes: PathToYes | None = None
