"""Reasons in words, from what was stored with a decision."""

import pytest

from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Kind
from prequal.domain.policy.reasons import explain
from prequal.domain.policy.sentences import in_words

MEASURES: dict[str, object] = {
    "cibil_score": 700,
    "minimum_cibil_score": 650,
    "monthly_income_inr": "50000.00",
    "loan_amount_inr": "2400000.00",
    "term_months": 48,
    "income_over_term_inr": "2400000.00",
}


@pytest.mark.parametrize(
    ("figure", "kind", "text"),
    [
        ("45.50", Kind.SHARE, "45.50 %"),
        (48, Kind.MONTHS, "48"),
        (None, Kind.SCORE, "–"),
        ("HOME", Kind.LOAN_TYPE, "HOME"),
    ],
)
def test_figures_are_shown_with_their_unit(figure: object, kind: Kind, text: str) -> None:
    assert in_words(figure, kind) == text


def test_reason_names_what_was_measured_the_threshold_and_the_figures() -> None:
    reason = explain(packaged.current(), "INCOME_DOES_NOT_COVER_LOAN", MEASURES)

    assert reason.measured is not None
    assert reason.threshold is not None
    assert (reason.measured.name, reason.measured.value) == ("income_over_term_inr", "2400000.00")
    assert (reason.threshold.name, reason.threshold.text) == ("loan_amount_inr", "₹24,00,000.00")
    assert reason.sentence == (
        "The credit score of 700 reaches the minimum of 650, but 48 months of income, ₹24,00,000.00, are not more than "
        "the loan of ₹24,00,000.00."
    )


def test_reason_has_a_sentence_in_hindi() -> None:
    reason = explain(packaged.current(), "SCORE_BELOW_MINIMUM", MEASURES | {"cibil_score": 610}, "hi")

    assert reason.sentence == "क्रेडिट स्कोर 610 न्यूनतम 650 से कम है।"


@pytest.mark.parametrize("row", packaged.current().document.rows, ids=lambda row: row.reason)
@pytest.mark.parametrize("language", ["en", "hi"])
def test_every_row_has_its_reason_in_words(row: object, language: str) -> None:
    sentence = explain(packaged.current(), row.reason, MEASURES, language).sentence  # type: ignore[attr-defined]

    assert "{" not in sentence
    assert "–" not in sentence


def test_reason_of_a_missing_fact_has_no_threshold() -> None:
    reason = explain(packaged.current(), "NO_CREDIT_FILE", {"cibil_score": None})

    assert reason.measured is not None
    assert (reason.measured.name, reason.measured.value, reason.threshold) == ("cibil_score", None, None)
    assert reason.sentence.startswith("The credit bureau has no file")


@pytest.mark.parametrize(("version", "code"), [("v1", "SCORE_TOO_ROUND"), ("v0", "SCORE_BELOW_MINIMUM")])
def test_reason_of_an_unknown_code_or_version_is_its_figures(version: str, code: str) -> None:
    reason = explain(packaged.policy_of(version), code, {"cibil_score": 700})

    assert (reason.code, reason.sentence, reason.measured) == (code, "cibil_score 700", None)


def test_reason_without_its_figures_is_the_figures_that_there_are() -> None:
    figures = {"cibil_score": 700, "term_months": 48}

    reason = explain(packaged.current(), "INCOME_COVERS_LOAN", figures)

    assert (reason.code, reason.measured) == ("INCOME_COVERS_LOAN", None)
    assert reason.sentence == "cibil_score 700, term_months 48"
