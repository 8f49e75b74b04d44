"""Try it in the console: an application to the sandbox, and its result in two languages."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.database import Database, url_of_service
from prequal.client import ApiClient
from prequal.core.errors import Refused
from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.person import PersonRole
from prequal.domain.sandbox import SCORES
from tests.support.submissions import stored

SignedIn = Callable[..., Any]
ID = "0190b5a8-0000-7000-8000-000000000000"
FIELDS = {"person": "1", "loan_type": "HOME", "monthly_income_inr": "75000", "loan_amount_inr": "1500000"}
PANS = [pan.reveal() for pan in SCORES]


@pytest.fixture
def settings(database: Database, request: pytest.FixtureRequest) -> ConsoleSettings:
    url = url_of_service(database.url, "console")
    where = getattr(request, "param", "http://127.0.0.1:1")
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers="127.0.0.1:1", try_it_api_url=where)


async def test_application_is_posted_with_the_published_pan_that_no_page_shows(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[dict[str, Any]] = []

    def submit(_: ApiClient, application: dict[str, Any]) -> str:
        posted.append(application)
        return ID

    monkeypatch.setattr(ApiClient, "submit", submit)
    reviewer = await signed_in(PersonRole.REVIEWER)

    form = await reviewer.get("/try-it")
    answer = await reviewer.post("/try-it", "/try-it", **FIELDS)

    assert [each["pan_number"] for each in posted] == ["FGHIJ5678K"]
    assert answer.headers["location"] == f"/try-it/{ID}"
    assert "XXXXX5678K, score 610" in form.text
    assert not any(pan in form.text for pan in PANS)
    assert '<a href="/try-it"' in (await reviewer.get("/")).text


async def test_page_of_a_result_is_live_and_without_a_script_reloaded_until_it_is_there_in_two_languages(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: dict[str, Any] = {"application_id": ID, "status": "PENDING"}
    monkeypatch.setattr(ApiClient, "decision", lambda _, __, language: answers | {"notice": f"in {language}"})
    reviewer = await signed_in(PersonRole.REVIEWER)

    pending = await reviewer.get(f"/try-it/{ID}")
    answers |= {
        "status": "REJECTED",
        "policy": {"version": "v1"},
        "reasons": [{"sentence": "Too low."}],
        "path_to_yes": {"sentence": "₹1 would do."},
    }
    decided = await reviewer.get(f"/try-it/{ID}")

    assert f'data-live="/live/try-it/{ID}"' in pending.text
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in pending.text
    assert "refresh" not in decided.text
    assert "data-live" not in decided.text
    assert all(words in decided.text for words in ("REJECTED", "in en", "in hi", "Too low.", "₹1 would do."))


async def test_result_shows_what_was_asked_for(
    signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (application,) = stored(database, 1)
    answer = {"application_id": str(application.id), "status": "PENDING"}
    monkeypatch.setattr(ApiClient, "decision", lambda _, __, ___: answer)

    page = await (await signed_in(PersonRole.REVIEWER)).get(f"/try-it/{application.id}")

    assert f"for the person of PAN <code>XXXXX{application.pan[5:]}</code>" in page.text
    assert application.pan not in page.text


async def test_what_the_api_refuses_is_said_and_what_was_typed_stays(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(_: ApiClient, application: dict[str, Any]) -> str:
        raise Refused("INVALID_AMOUNT: loan_amount_inr: too large")

    monkeypatch.setattr(ApiClient, "submit", submit)
    reviewer = await signed_in(PersonRole.REVIEWER)

    answer = await reviewer.post("/try-it", "/try-it", **FIELDS | {"loan_amount_inr": "99999999999"})
    nobody = await reviewer.post("/try-it", "/try-it", **FIELDS | {"person": "99"})

    assert (answer.status_code, nobody.status_code) == (422, 422)
    assert "loan_amount_inr: too large" in answer.text
    assert 'value="99999999999"' in answer.text


async def test_api_that_is_away_is_a_page(signed_in: SignedIn) -> None:
    reviewer = await signed_in(PersonRole.REVIEWER)

    assert (await reviewer.post("/try-it", "/try-it", **FIELDS)).status_code == 503


@pytest.mark.parametrize("settings", [""], indirect=True)
async def test_page_is_not_there_without_a_sandbox(signed_in: SignedIn) -> None:
    reviewer = await signed_in(PersonRole.REVIEWER)

    answers = [
        await reviewer.get("/try-it"),
        await reviewer.post("/try-it", **FIELDS),
        await reviewer.get(f"/try-it/{ID}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert "/try-it" not in (await reviewer.get("/")).text
