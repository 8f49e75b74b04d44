"""What a policy decides, against a second evaluator, and what it does where a fact is missing."""

import json
import os
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prequal.domain.application import LoanType, Status
from prequal.domain.policy import packaged
from prequal.domain.policy.compiling import emi_factor
from prequal.domain.policy.conditions import comparisons
from prequal.domain.policy.document import Document, Missing, Row
from prequal.domain.policy.facts import KINDS, NEVER_KNOWN, Facts
from prequal.domain.policy.loading import facts_read, load
from prequal.domain.policy.path_to_yes import largest_approved
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.reading import read
from prequal.domain.policy.scope import scope_of
from tests.unit.domain.policy import naive
from tests.unit.domain.policy.documents import (
    MISSING_FORM,
    ROW_FORM,
    WITH_FOIR,
    a_document,
    replaced,
    without_the_score_in_its_rows,
)

POLICIES: Final = int(os.environ.get("EXAMPLES", "100"))
"""Random policies that are decided by; `make test-policies` has more."""
APPLICATIONS_A_POLICY: Final = 100

LIMITS = """
[limits]
low_score = {{ score = {low} }}
high_score = {{ score = {high} }}
small_inr = {{ rupees = {small} }}
large_inr = {{ rupees = {large}, paise = {paise} }}
short = {{ months = {short} }}
long = {{ months = {long} }}
rate = {{ basis_points = {rate} }}
most_foir = {{ basis_points = {foir} }}

[derived]
foir = {{ foir_of = "emi_inr", rounding = "{rounding}" }}
emi_inr = {{ emi_of = "loan_amount_inr", rate = "rate", over = "long", rounding = "{rounding}" }}
income_inr = {{ income_over = "short" }}
"""
COMPARED = [
    ("cibil_score", "low_score"),
    ("cibil_score", "high_score"),
    ("loan_amount_inr", "small_inr"),
    ("loan_amount_inr", "large_inr"),
    ("income_inr", "loan_amount_inr"),
    ("foir", "most_foir"),
    ("emi_inr", "monthly_income_inr"),
]
CONDITIONS = [
    *(f"{left} {operator} {right}" for left, right in COMPARED for operator in ("<", "<=", ">", ">=")),
    *(f"loan_type {operator} {loan_type}" for operator in ("=", "!=") for loan_type in LoanType),
]  # fmt: skip
PATH = """
[path_to_yes]
step = { rupees = 7 }
least = { rupees = 14 }
most = { rupees = 900 }
en = "x"
hi = "x"

[notice]
en = "x"
hi = "x"
"""
OUTCOMES = st.sampled_from(["PRE_APPROVED", "REJECTED", "MANUAL_REVIEW"])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy of the grammar, whether or not each of its rows can match."""
    small = draw(st.integers(0, 400))
    limits = LIMITS.format(
        low=draw(st.integers(640, 660)),
        high=draw(st.integers(640, 700)),
        small=small,
        large=small + draw(st.integers(0, 500)),
        paise=draw(st.integers(0, 99)),
        short=draw(st.integers(1, 3)),
        long=draw(st.integers(1, 24)),
        rate=draw(st.integers(0, 4000)),
        foir=draw(st.integers(0, 15_000)),
        rounding=draw(st.sampled_from(["up", "down", "half_up"])),
    )
    tables = draw(st.lists(st.lists(st.sampled_from(CONDITIONS), max_size=3), max_size=6))
    rows = [
        ROW_FORM.format(when=json.dumps(when), outcome=draw(OUTCOMES), number=number)
        for number, when in enumerate([*tables, []])
    ]
    missing = [MISSING_FORM.format(fact=fact, number=number) for number, fact in enumerate(KINDS)]
    head = 'format = 1\nversion = "v1"\ntitle = "x"\ntests = []\n'
    return unchecked(read("".join([head, limits, *rows, *missing, PATH])))


def unchecked(document: Document) -> Policy:
    scope = scope_of(document)
    tables = tuple(comparisons(scope, row, number) for number, row in enumerate(document.rows, 1))
    return Policy(document, "00" * 32, scope, tables)


def applications(chance: Random, number: int) -> list[Facts]:
    """Amounts and scores round those that the policies name; a fact is missing now and then."""
    return [
        Facts(
            chance.choice([None, *range(640, 701)]),
            chance.randint(1, 60_000),
            chance.randint(1, 100_000),
            chance.choice([*LoanType]),
            chance.choice([None, *range(0, 20_000, 997)]),
        )
        for _ in range(number)
    ]


def as_fractions(facts: Facts) -> dict[str, Any]:
    return {
        name: Fraction(value, 100) if name.endswith("_inr") and value is not None else value
        for name, value in facts._asdict().items()
    }


@given(policies(), st.randoms(use_true_random=False))
@settings(max_examples=POLICIES, deadline=None)
def test_every_decision_of_every_policy_is_the_second_evaluators(policy: Policy, chance: Random) -> None:
    everyone = applications(Random(chance.getrandbits(64)), APPLICATIONS_A_POLICY)

    found = [policy.decide(facts).code for facts in everyone]

    assert found == [naive.reason(policy.document, as_fractions(facts)) for facts in everyone]


@given(policies(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_path_to_yes_is_the_largest_amount_that_is_found_by_trying_them_all(policy: Policy, chance: Random) -> None:
    everyone = applications(Random(chance.getrandbits(64)), 10)

    found = [largest_approved(policy, facts) for facts in everyone]

    assert found == [tried_one_by_one(policy, facts) for facts in everyone]


def tried_one_by_one(policy: Policy, facts: Facts) -> int | None:
    if isinstance(policy.decide(facts).fired, Missing):
        return None
    assert facts.loan_amount_inr is not None
    below = [paise for paise in range(1400, 90_001, 700) if paise < facts.loan_amount_inr]
    approved = [
        paise
        for paise in below
        if policy.decide(facts._replace(loan_amount_inr=paise)).status is Status.PRE_APPROVED
    ]  # fmt: skip
    return max(approved, default=None)


@pytest.mark.parametrize("version", packaged.versions())
def test_missing_fact_of_a_version_neither_approves_nor_rejects(version: str) -> None:
    policy = packaged.policy_of(version)
    assert policy is not None
    whole = Facts(900, 10_000_000, 100, LoanType.HOME, 0)
    rejected = whole._replace(cibil_score=300)
    read = facts_read(policy.document, policy.scope, tables_of(policy))

    decisions = [policy.decide(facts._replace(**{fact: None})) for fact in read for facts in (whole, rejected)]

    assert {decision.status for decision in decisions} == {Status.MANUAL_REVIEW}
    assert len({decision.code for decision in decisions}) == len(read)


@given(policies(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_missing_fact_never_approves_and_never_rejects(policy: Policy, chance: Random) -> None:
    (facts,) = applications(Random(chance.getrandbits(64)), 1)

    decisions = [policy.decide(facts._replace(**{fact: None})) for fact in KINDS]

    assert {decision.status for decision in decisions} == {Status.MANUAL_REVIEW}
    assert all(isinstance(decision.fired, Missing) for decision in decisions)


@pytest.mark.parametrize("amount", [1, 100_000_000_000])
def test_applicant_without_a_file_is_reviewed_also_by_a_policy_that_does_not_read_the_score(amount: int) -> None:
    policy = load(without_the_score_in_its_rows())
    facts = Facts(None, 1, amount, LoanType.HOME)

    decision = policy.decide(facts)

    assert {policy.decide(facts._replace(cibil_score=score)).status for score in (300, 900)} != {Status.MANUAL_REVIEW}
    assert (decision.status, decision.code) == (Status.MANUAL_REVIEW, "NO_SCORE")
    assert decision.measures == json.loads(decision.measures_json)
    assert decision.measures["cibil_score"] is None
    assert largest_approved(policy, facts) is None
    assert naive.reason(policy.document, as_fractions(facts)) == "NO_SCORE"


def test_fact_that_a_policy_does_not_read_may_be_missing() -> None:
    decision = packaged.current().decide(Facts(700, 100, 100, None))

    assert decision.code == "INCOME_COVERS_LOAN"


def tables_of(policy: Policy) -> Any:
    return tuple(comparisons(policy.scope, row, number) for number, row in enumerate(policy.document.rows, 1))


def test_every_row_that_rejects_has_a_sentence_in_both_languages() -> None:
    for version in packaged.versions():
        policy = packaged.policy_of(version)
        assert policy is not None

        assert all(row.en.strip() and row.hi.strip() for row in policy.document.rows if row.outcome == "REJECTED")


def test_measures_of_every_kind_are_stored_as_exact_text() -> None:
    policy = load(WITH_FOIR)

    decision = policy.decide(Facts(700, 5_000_000, 100_000_000, LoanType.HOME, 10))

    assert decision.measures == json.loads(decision.measures_json) == {
        "monthly_income_inr": "50000.00",
        "loan_amount_inr": "1000000.00",
        "loan_type": "HOME",
        "stated_obligations_inr": "0.10",
        "cibil_score": 700,
        "emi_inr": "88848.79",
        "foir": "177.70",
        "rate": "12.00",
        "term": 12,
        "most_foir": "60.00",
    }  # fmt: skip


def test_score_is_stored_as_a_number() -> None:
    decision = load(a_document()).decide(Facts(650, 1, 100_000, LoanType.HOME))

    assert decision.measures == json.loads(decision.measures_json)
    assert decision.measures["cibil_score"] == 650


def test_digest_of_a_policy_is_its_hash() -> None:
    assert packaged.current().digest.hex() == packaged.current().hash
    assert load(a_document()).digest.hex() == load(a_document()).hash


def test_measures_of_a_missing_fact_are_empty_where_nothing_is_known() -> None:
    decision = load(WITH_FOIR).decide(Facts(700, 5_000_000, 100_000_000, LoanType.HOME))

    assert json.loads(decision.measures_json) | {"rate": "", "term": 0, "most_foir": ""} == {
        "monthly_income_inr": "50000.00",
        "loan_amount_inr": "1000000.00",
        "loan_type": "HOME",
        "stated_obligations_inr": None,
        "cibil_score": 700,
        "emi_inr": None,
        "foir": None,
        "rate": "",
        "term": 0,
        "most_foir": "",
    }


def test_policy_without_limits_has_measures() -> None:
    rows = ROW_FORM.format(when='["loan_type = HOME"]', outcome="REJECTED", number=1).replace(
        "cibil_score", "loan_type"
    )
    rows += ROW_FORM.format(when="[]", outcome="PRE_APPROVED", number=2).replace("cibil_score", "loan_type")
    tests = "".join(
        f'\n[[tests]]\nloan_type = "{kind}"\nreason = "{code}"\n'
        for kind, code in (("HOME", "ROW_1"), ("AUTO", "ROW_2"))
    )
    tests = tests.replace("[[tests]]", "[[tests]]\ncibil_score = 700")
    tests += '\n[[tests]]\nreason = "NO_1"\n\n[[tests]]\ncibil_score = 700\nreason = "NO_2"\n'
    missing = MISSING_FORM.format(fact="cibil_score", number=1) + MISSING_FORM.format(fact="loan_type", number=2)
    text = a_document(limits="\n[limits]\n", rows=rows, missing=missing, path="", tests=tests)

    measures = load(text).decide(Facts(700, None, None, LoanType.HOME)).measures_json

    assert json.loads(measures) == {"cibil_score": 700, "loan_type": "HOME"}


def test_policy_names_the_facts_that_it_reads_and_no_application_has() -> None:
    assert load(WITH_FOIR).facts_never_known == ("stated_obligations_inr",)
    assert load(a_document()).facts_never_known == packaged.current().facts_never_known == ()


def test_facts_that_no_application_has_are_those_that_are_never_filled_in() -> None:
    facts = Facts.of(700, Decimal(1), Decimal(1), LoanType.HOME)

    assert {name for name, value in facts._asdict().items() if value is None} == NEVER_KNOWN


def test_table_without_a_total_last_row_is_never_run() -> None:
    document = read(replaced("when = []", 'when = ["cibil_score > minimum_cibil_score"]'))

    with pytest.raises(AssertionError, match="the last row takes all"):
        unchecked(document).decide(Facts(700, 1, 1, LoanType.HOME))


def test_path_to_yes_is_absent_where_the_policy_states_none() -> None:
    policy = load(a_document(path=""))

    assert largest_approved(policy, Facts(700, 1, 100_000_000, LoanType.HOME)) is None


def test_path_to_yes_is_absent_below_the_smallest_amount() -> None:
    assert largest_approved(load(a_document()), Facts(700, 1, 100_000, LoanType.HOME)) is None


@pytest.mark.parametrize(("amount", "largest"), [(100_001, 100_000), (200_000, 100_000), (200_001, 200_000)])
def test_path_to_yes_is_below_what_was_asked_for_by_a_paisa_at_least(amount: int, largest: int) -> None:
    policy = load(a_document())

    assert largest_approved(policy, Facts(700, 1, amount, LoanType.HOME)) == largest


@pytest.mark.parametrize("thousands", range(1, 40))
def test_path_to_yes_goes_up_to_the_limit_wherever_it_is(thousands: int) -> None:
    policy = load(a_document().replace("rupees = 500000", f"rupees = {thousands}000"))

    assert largest_approved(policy, Facts(700, 1, 900_000_000, LoanType.HOME)) == thousands * 100_000


def test_instalment_without_interest_is_the_principal_by_months() -> None:
    assert emi_factor(0, 12) == Fraction(1, 12)


def test_row_of_a_reason_is_found_by_its_code() -> None:
    policy = packaged.current()

    assert isinstance(policy.reason("SCORE_BELOW_MINIMUM"), Row)
    assert policy.reason("OF_OLDER_CODE") is None
