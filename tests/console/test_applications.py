"""Applications: found, and one of them shown with all that was done."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from harness.database import Database
from prequal.console.queries import applications
from prequal.console.views.applications import TYPED_MAX
from prequal.domain.person import PersonRole
from prequal.domain.policy import packaged
from tests.support.normalising import MARKS, lengths_normalised
from tests.support.publishing import unpublished
from tests.support.submissions import Submission, stored

SignedIn = Callable[..., Any]
REQUEST_ID = "01935F6E-7C1A-7B52-9E0B-3F6F2A9D1C44"
"""As a client wrote it."""


def submitted_under(database: Database, request_id: str, count: int = 1) -> list[Submission]:
    """Applications whose events wait in the outbox."""
    submissions = stored(database, count)
    for each in submissions:
        unpublished(database, application_id=each.id)
    database.execute("UPDATE outbox_events SET correlation_id = %s", request_id)
    return submissions


async def test_list_shows_the_newest_first_and_no_pan(signed_in: SignedIn, database: Database) -> None:
    first, second = stored(database, 2)

    page = (await (await signed_in(PersonRole.REVIEWER)).get("/applications")).text

    assert page.index(str(second.id)) < page.index(str(first.id))
    assert f"XXXXX{first.pan[5:]}" in page
    assert first.pan not in page


async def test_application_is_found_by_its_id_and_by_its_requests(signed_in: SignedIn, database: Database) -> None:
    (application,) = submitted_under(database, REQUEST_ID)
    reviewer = await signed_in(PersonRole.REVIEWER)

    by_id = await reviewer.post("/applications", id=str(application.id))
    by_request = await reviewer.post("/applications", id=REQUEST_ID)
    by_nobodys = await reviewer.post("/applications", id=str(uuid4()))

    assert (by_id.status_code, by_id.headers["location"]) == (303, f"/applications/{application.id}")
    assert (by_request.status_code, by_request.headers["location"]) == (303, f"/applications/{application.id}")
    assert by_nobodys.status_code == 409


async def test_applications_that_share_a_request_id_are_all_named(signed_in: SignedIn, database: Database) -> None:
    applications = submitted_under(database, REQUEST_ID, 2)

    answer = await (await signed_in(PersonRole.REVIEWER)).post("/applications", id=REQUEST_ID)

    assert answer.status_code == 409
    assert all(str(each.id) in answer.text for each in applications)


async def test_id_that_holds_the_letters_and_digits_of_a_pan_is_searched_for(
    signed_in: SignedIn, database: Database
) -> None:
    id_ = "01a22cb6-4395-72c8-be63-bdabbe7357c8"
    (application,) = submitted_under(database, id_)

    answer = await (await signed_in(PersonRole.REVIEWER)).post("/applications", id=id_)

    assert (answer.status_code, answer.headers.get("location")) == (303, f"/applications/{application.id}")


async def test_pan_is_not_searched_for_and_not_repeated(signed_in: SignedIn) -> None:
    answer = await (await signed_in(PersonRole.REVIEWER)).post("/applications", id="ABCDE1234F")

    assert answer.status_code == 409
    assert "ABCDE1234F" not in answer.text


@pytest.mark.parametrize("field", ["id", "client", "tail", "until"])
async def test_what_is_searched_for_is_bounded_before_it_is_normalised(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    reviewer, lengths = await signed_in(PersonRole.REVIEWER), lengths_normalised(monkeypatch)

    refused = await reviewer.post("/applications", **{field: f"a{MARKS * 5000}"})

    assert refused.status_code == 409
    assert "at most 100 characters" in refused.text
    assert max(lengths, default=0) <= TYPED_MAX


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({"status": "PENDING"}, True),
        ({"status": "REJECTED"}, False),
        ({"client": "local"}, True),
        ({"client": "nobody00"}, False),
        ({"until": "2020-01-01"}, False),
        ({"until": "2099-01-01"}, True),
        ({"tail": "{tail}"}, True),
        ({"tail": "0000Z"}, False),
    ],
    ids=str,
)
async def test_list_is_narrowed_by_what_is_typed(
    signed_in: SignedIn, database: Database, fields: dict[str, str], fits: bool
) -> None:
    (application,) = stored(database, 1)
    typed = {name: value.format(tail=application.pan[5:].lower()) for name, value in fields.items()}

    answer = await (await signed_in(PersonRole.REVIEWER)).post("/applications", **typed)

    assert answer.status_code == 200
    assert (str(application.id) in answer.text) is fits


async def test_list_goes_on_by_key(signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "SHOWN_MAX", 2)
    first, second, third = stored(database, 3)
    reviewer = await signed_in(PersonRole.REVIEWER)

    newest = (await reviewer.get("/applications")).text
    older = (await reviewer.post("/applications", older=str(second.id))).text

    assert f'name="older" value="{second.id}"' in newest
    assert (str(third.id) in older, str(second.id) in older, str(first.id) in older) == (False, False, True)


async def test_looking_at_an_application_is_recorded_before_it_is_shown(
    signed_in: SignedIn, database: Database
) -> None:
    (application,) = stored(database, 1)

    page = await (await signed_in(PersonRole.REVIEWER)).get(f"/applications/{application.id}")

    assert page.status_code == 200
    assert "What was done" in page.text
    assert application.pan not in page.text
    act = database.row("SELECT actor_kind, actor, subject FROM acts WHERE action = 'application_viewed'")
    assert act == {"actor_kind": "person", "actor": "reviewer", "subject": str(application.id)}


@pytest.mark.parametrize("asked", ["0190b5a8-0000-7000-8000-000000000000", "no-id"])
async def test_application_that_is_not_there_is_a_page_and_no_act(
    signed_in: SignedIn, database: Database, asked: str
) -> None:
    answer = await (await signed_in(PersonRole.REVIEWER)).get(f"/applications/{asked}")

    assert answer.status_code == 404
    assert database.value("SELECT count(*) FROM acts WHERE action = 'application_viewed'") == 0


@pytest.mark.parametrize(("field", "value"), [("tail", "1234"), ("until", "tomorrow")])
async def test_what_is_typed_wrongly_is_said(signed_in: SignedIn, field: str, value: str) -> None:
    answer = await (await signed_in(PersonRole.REVIEWER)).post("/applications", **{field: value})

    assert answer.status_code == 409


async def test_decided_application_shows_its_reason_and_the_path_to_yes(
    signed_in: SignedIn, database: Database
) -> None:
    (application,) = stored(database, 1)
    measures = {"cibil_score": 790, "monthly_income_inr": "75000.00", "loan_amount_inr": "3600000.00"}
    database.execute(
        """
        UPDATE applications
        SET status = 'MANUAL_REVIEW', cibil_score = 790, monthly_income_inr = 75000, loan_amount_inr = 3600000,
            decision_rule = 'INCOME_DOES_NOT_COVER_LOAN', decision_measures = %s,
            policy_version = 'v1', policy_hash = %s
        WHERE id = %s
        """,
        json.dumps(measures),
        packaged.current().digest,
        application.id,
    )

    page = (await (await signed_in(PersonRole.REVIEWER)).get(f"/applications/{application.id}")).text

    assert "INCOME_DOES_NOT_COVER_LOAN" in page
    assert "₹35,99,000.00 would be pre-approved" in page


async def test_decision_by_a_kept_report_shows_how_old_it_was(signed_in: SignedIn, database: Database) -> None:
    (application,) = stored(database, 1)
    database.execute(
        """
        UPDATE applications SET status = 'MANUAL_REVIEW', decision_rule = 'NO_CREDIT_FILE', decision_measures = '{}',
            policy_version = 'v1' WHERE id = %s
        """,
        application.id,
    )
    database.execute("INSERT INTO reused_reports VALUES (%s, 5400)", application.id)
    database.execute(
        "INSERT INTO processed_messages VALUES ('credit-service', %s, 'd', now(), %s)",
        application.event_id,
        application.id,
    )

    page = (await (await signed_in(PersonRole.REVIEWER)).get(f"/applications/{application.id}")).text

    assert "kept from an earlier application, 1.5 h old" in page
    assert "found no file at the bureau, by a kept report that was 1 h 30 min old" in page


async def test_list_is_narrowed_by_a_band_of_scores_and_by_those_without_one(
    signed_in: SignedIn, database: Database
) -> None:
    scored, without, pending = stored(database, 3)
    for application, score in ((scored, 649), (without, None)):
        database.execute(
            """
            UPDATE applications SET status = 'MANUAL_REVIEW', cibil_score = %s, decision_rule = 'NO_CREDIT_FILE',
                decision_measures = '{}', policy_version = 'v1' WHERE id = %s
            """,
            score,
            application.id,
        )
    reviewer = await signed_in(PersonRole.REVIEWER)

    found = {}
    for band in ("600–649", "650–699", "none"):
        page = (await reviewer.post("/applications", scores=band)).text
        found[band] = [each for each in (scored, without, pending) if str(each.id) in page]

    assert found == {"600–649": [scored], "650–699": [], "none": [without]}
