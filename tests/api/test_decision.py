"""`GET …/decision`: the reason, the figures, and a smaller loan that the same version approves."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from harness import oracle
from harness.applications import an_application
from harness.policies import ASHA, policy_text
from prequal.domain.application import LoanType, Status
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.loading import load
from prequal.ops.policies import in_transaction
from prequal.policy_versions import life
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, ActorKind
from prequal.review import cases
from prequal.schema.version import run_at_revision
from tests.support.api import Api

POLICY = packaged.current()


def an_application_decided(api: Api, score: int | None, **amounts: Any) -> str:
    """An application that is decided with this score, as decision-service does."""
    application_id = api.accepted(an_application(**amounts))
    row = api.database.application(application_id)
    facts = Facts.of(score, row["monthly_income_inr"], row["loan_amount_inr"], LoanType(row["loan_type"]))
    decision = POLICY.decide(facts)
    stored(api, application_id, decision.status, score, decision.code, decision.measures_json, POLICY.digest)
    return application_id


def stored(
    api: Api,
    application_id: str,
    status: str,
    score: int | None,
    code: str,
    measures: str,
    digest: bytes | None,
    version: str = "v1",
) -> None:
    api.database.execute(
        """
        UPDATE applications SET status = %s, cibil_score = %s, decision_rule = %s, decision_measures = %s,
               policy_version = %s, policy_hash = %s, version = 2 WHERE id = %s
        """,
        status,
        score,
        code,
        measures,
        version,
        digest,
        application_id,
    )


def asked(api: Api, application_id: str, language: str | None = None) -> httpx.Response:
    headers = {} if language is None else {"Accept-Language": language}
    return api.client.get(f"/applications/{application_id}/decision", headers=headers)


def test_rejection_has_its_reason_with_what_was_measured_and_the_threshold(api: Api) -> None:
    application_id = an_application_decided(api, 610)

    response = asked(api, application_id)

    body = response.json()
    assert (response.status_code, body["application_id"], body["status"]) == (200, application_id, "REJECTED")
    assert body["policy"] == {"version": "v1", "hash": POLICY.hash}
    assert body["reasons"] == [
        {
            "code": "SCORE_BELOW_MINIMUM",
            "sentence": "The credit score of 610 is below the minimum of 650.",
            "measured": {"name": "cibil_score", "value": 610, "text": "610"},
            "threshold": {"name": "minimum_cibil_score", "value": 650, "text": "650"},
        }
    ]
    assert body["notice"] == POLICY.document.notice.en
    assert body["request_id"] == response.headers["x-request-id"]
    assert "path_to_yes" not in body


def test_amounts_are_grouped_as_in_india(api: Api) -> None:
    application_id = an_application_decided(
        api, 700, monthly_income_inr="25720.16", loan_amount_inr="1234567.68", loan_type="HOME"
    )

    (reason,) = asked(api, application_id).json()["reasons"]

    assert reason["threshold"] == {"name": "loan_amount_inr", "value": "1234567.68", "text": "₹12,34,567.68"}
    assert "₹12,34,567.68, are not more than the loan of ₹12,34,567.68" in reason["sentence"]


@pytest.mark.parametrize(
    ("income", "amount", "path"),
    [
        pytest.param("10000.00", "480000.00", "479000.00", id="at the border"),
        pytest.param("10000.01", "9999999999.99", "480000.00", id="a paisa over the border"),
        pytest.param("20.84", "1000.32", "1000.00", id="the smallest amount"),
        pytest.param("20.83", "1000.00", None, id="below the smallest amount"),
    ],
)
def test_path_to_yes_is_the_largest_amount_that_the_same_version_approves(
    api: Api, income: str, amount: str, path: str | None
) -> None:
    application_id = an_application_decided(api, 650, monthly_income_inr=income, loan_amount_inr=amount)

    found = asked(api, application_id).json().get("path_to_yes")

    assert (found and found["loan_amount_inr"]) == path
    if path:
        assert oracle.decision(650, income, path) == "PRE_APPROVED"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "With everything else as it is, a loan of ₹12,34,000.00 would be pre-approved."),
        ("hi", "अन्य सब कुछ समान रहने पर ₹12,34,000.00 का ऋण पूर्व-स्वीकृत होगा।"),
    ],
)
def test_path_to_yes_is_said_in_a_sentence_with_the_amount_grouped_as_in_india(
    api: Api, language: str, sentence: str
) -> None:
    application_id = an_application_decided(api, 700, monthly_income_inr="25720.16", loan_amount_inr="5000000.00")

    path = asked(api, application_id, language).json()["path_to_yes"]

    assert path == {"loan_amount_inr": "1234000.00", "sentence": sentence}


def test_pre_approved_application_has_a_reason_and_needs_no_path(api: Api) -> None:
    body = asked(api, an_application_decided(api, 790)).json()

    assert body["reasons"][0]["code"] == "INCOME_COVERS_LOAN"
    assert "path_to_yes" not in body


def test_decision_by_a_kept_report_says_how_old_it_was(api: Api) -> None:
    by_a_kept_one, by_its_own = an_application_decided(api, 800), an_application_decided(api, 800)
    api.database.execute("INSERT INTO reused_reports VALUES (%s, 7200)", by_a_kept_one)

    assert asked(api, by_a_kept_one).json()["bureau_report_age_seconds"] == 7200
    assert "bureau_report_age_seconds" not in asked(api, by_its_own).json()


def test_person_without_a_file_has_a_reason_of_its_own_and_no_path(api: Api) -> None:
    body = asked(api, an_application_decided(api, None, loan_amount_inr="9999999.00")).json()

    (reason,) = body["reasons"]
    assert (body["status"], reason["code"]) == ("MANUAL_REVIEW", "NO_CREDIT_FILE")
    assert reason["measured"] == {"name": "cibil_score", "value": None, "text": "–"}
    assert reason["threshold"] is None
    assert "path_to_yes" not in body


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("hi", "hi"),
        ("hi-IN,en;q=0.5", "hi"),
        ("en, hi;q=0.9", "en"),
        ("en;q=0.1, HI;q=0.2", "hi"),
        ("hi;q=0", "en"),
        ("ta, fr;q=0.9", "en"),
        ("hi;q=2, *", "en"),
        ("hi;level=1", "en"),
        ("en;q=0.1, hi;Q=0.5", "hi"),
        ("en;q=0.1,\thi", "hi"),
        ("en;q=0.1, hi\t;\tq=0.2", "hi"),
        (";;;,=,q=", "en"),
    ],
)
def test_sentences_are_in_the_language_that_is_wanted_most(api: Api, accepted: str | None, language: str) -> None:
    response = asked(api, an_application_decided(api, 610), accepted)

    assert response.headers["content-language"] == language
    assert response.json()["notice"] == getattr(POLICY.document.notice, language)
    assert response.json()["reasons"][0]["sentence"].startswith({"en": "The credit", "hi": "क्रेडिट"}[language])


@pytest.mark.parametrize(
    ("lines", "language"),
    [(["hi", "en;q=0.5"], "hi"), (["en;q=0.1", "hi"], "hi"), (["hi", "hi"], "hi"), (["hi;q=0.2", "", "ta"], "hi")],
)
def test_language_is_wanted_by_all_lines_of_the_header_together(api: Api, lines: list[str], language: str) -> None:
    path = f"/applications/{an_application_decided(api, 610)}/decision"

    response = api.client.get(path, headers=[("Accept-Language", line) for line in lines])

    assert response.headers["content-language"] == language


def test_decision_is_kept_in_no_cache_and_varies_by_language(api: Api) -> None:
    headers = asked(api, an_application_decided(api, 610)).headers

    assert (headers["cache-control"], headers["vary"]) == ("no-store", "Accept-Language")


def test_pending_application_has_its_status_alone(api: Api) -> None:
    application_id = api.accepted(an_application())

    response = asked(api, application_id)

    assert response.status_code == 200
    assert response.json() == {
        "application_id": application_id,
        "status": "PENDING",
        "request_id": response.headers["x-request-id"],
    }


def test_decision_from_before_the_hash_was_stored_is_explained(api: Api) -> None:
    application_id = api.accepted(an_application())
    measures = json.dumps({"cibil_score": 610, "minimum_cibil_score": 650})
    stored(api, application_id, "REJECTED", 610, "SCORE_BELOW_MINIMUM", measures, None)

    body = asked(api, application_id).json()

    assert body["policy"] == {"version": "v1", "hash": None}
    assert body["reasons"][0]["sentence"] == "The credit score of 610 is below the minimum of 650."


def test_decision_by_a_stored_version_is_explained_by_its_document(api: Api) -> None:
    policy = load(policy_text("v2", 700))
    in_transaction(api.database.url, lambda connection: life.propose(connection, ASHA, policy_text("v2", 700)))
    rejected = api.accepted(an_application())
    measures = json.dumps({"cibil_score": 699, "minimum_cibil_score": 700})
    stored(api, rejected, "REJECTED", 699, "SCORE_BELOW_MINIMUM", measures, policy.digest, "v2")
    reviewed = api.accepted(an_application(monthly_income_inr="10000.00", loan_amount_inr="480000.00"))
    stored(api, reviewed, "MANUAL_REVIEW", 700, "INCOME_DOES_NOT_COVER_LOAN", "{}", policy.digest, "v2")

    body = asked(api, rejected).json()
    assert body["policy"] == {"version": "v2", "hash": policy.hash}
    assert body["reasons"][0]["sentence"] == "The credit score of 699 is below the minimum of 700."
    assert asked(api, reviewed).json()["path_to_yes"]["loan_amount_inr"] == "479000.00"


def test_decision_by_an_unknown_document_has_figures_and_no_path(api: Api) -> None:
    application_id = api.accepted(an_application(monthly_income_inr="100.00", loan_amount_inr="9999999.00"))
    stored(api, application_id, "MANUAL_REVIEW", 700, "INCOME_DOES_NOT_COVER_LOAN", '{"cibil_score": 700}', b"h" * 32)

    body = asked(api, application_id).json()

    assert body["policy"]["hash"] == (b"h" * 32).hex()
    assert body["reasons"] == [
        {"code": "INCOME_DOES_NOT_COVER_LOAN", "sentence": "cibil_score 700", "measured": None, "threshold": None}
    ]
    assert "path_to_yes" not in body


REASON = {"en": "Documents show an income", "hi": "दस्तावेज़ों से"}


@pytest.mark.parametrize("language", ["en", "hi"])
def test_decision_of_people_is_shown_beside_the_policys_own(api: Api, language: str) -> None:
    application_id = an_application_decided(api, 700, monthly_income_inr="10000.00", loan_amount_inr="500000.00")
    before = asked(api, application_id, language).json()
    reviewed(api, application_id)

    body = asked(api, application_id, language).json()

    review = body["review"]
    assert (body["status"], before["status"]) == ("PRE_APPROVED", "MANUAL_REVIEW")
    assert (review["outcome"], review["reason"]) == ("PRE_APPROVED", "INCOME_CONFIRMED")
    assert review["sentence"].startswith(REASON[language])
    assert review["decided_at"] > body["decided_at"] == before["decided_at"]
    assert (body["reasons"], body["policy"]) == (before["reasons"], before["policy"])
    assert ("review" in before, "path_to_yes" in before, "path_to_yes" in body) == (False, True, False)


def test_status_after_a_review_has_its_outcome_and_reason(api: Api) -> None:
    application_id = an_application_decided(api, 700, monthly_income_inr="10000.00", loan_amount_inr="500000.00")
    before = api.status(application_id).json()
    reviewed(api, application_id)

    body = api.status(application_id).json()

    assert "review" not in before
    assert body["review"] == {"outcome": "PRE_APPROVED", "reason": "INCOME_CONFIRMED"}
    assert body["status"] == "PRE_APPROVED"


def reviewed(api: Api, application_id: str) -> None:
    """Let a person pre-approve an application in review."""
    api.database.execute(
        """
        INSERT INTO review_cases (application_id, opened_at, target_at, loan_amount_inr, people_needed)
        SELECT id, updated_at, updated_at + interval '1 day', loan_amount_inr, 1 FROM applications WHERE id = %s
        """,
        application_id,
    )
    reviewer = Actor(ActorKind.PERSON, "asha")

    async def decide(connection: Connection) -> None:
        await cases.claim(connection, reviewer, UUID(application_id))
        await cases.decide(connection, reviewer, UUID(application_id), Status.PRE_APPROVED, "INCOME_CONFIRMED")

    run_at_revision(api.database.url, "review", decide)
