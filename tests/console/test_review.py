"""Review in the console: the queue, a case, and what reviewers do with it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from harness.database import Database
from prequal.domain.person import PersonRole
from prequal.people import administration
from prequal.people.administration import NewSecrets
from prequal.postgres.connections import connected
from prequal.record.acts import operator
from tests.console.conftest import PASSWORD, Browser
from tests.support.submissions import stored

SignedIn = Callable[..., Any]


def a_case(database: Database, amount: str = "500000.00", people_needed: int = 1) -> UUID:
    """An application that the policy left to people."""
    (submission,) = stored(database, loan_amount_inr=amount)
    with database.connect() as connection:
        connection.execute(
            """
            UPDATE applications
            SET status = 'MANUAL_REVIEW', cibil_score = 700, decision_rule = 'SHORT_OF_INCOME', version = 2,
                decision_measures = '{"score": "700"}', policy_version = 'v1', policy_hash = %s
            WHERE id = %s
            """,
            (bytes(32), submission.id),
        )
        connection.execute(
            """
            INSERT INTO review_cases (application_id, loan_amount_inr, target_at, people_needed)
            VALUES (%s, %s, now() + interval '20 hours', %s)
            """,
            (submission.id, Decimal(amount), people_needed),
        )
        connection.commit()
    return submission.id


@pytest.fixture
async def second_reviewer(browser: Callable[[], Browser], people: None, database: Database) -> Browser:
    async with connected(database.url, "test") as connection:
        await administration.add(connection, operator(), "meena", [PersonRole.REVIEWER], NewSecrets(PASSWORD))
    found = browser()
    assert (await found.sign_in("meena")).status_code == 303
    return found


async def test_reviewer_claims_a_case_writes_a_note_and_decides_it(signed_in: SignedIn, database: Database) -> None:
    case, reviewer = a_case(database), await signed_in(PersonRole.REVIEWER)
    assert str(case) in (await reviewer.get("/review")).text

    for form in (
        {"act": "claim", "minutes": "45"},
        {"act": "note", "text": "Slips of <three> months are there."},
        {"act": "decide", "reason": "INCOME_CONFIRMED"},
    ):
        answer = await reviewer.post(f"/review/{case}", **form)
        assert answer.headers["location"] == f"/review/{case}?done=yes"

    shown = (await reviewer.get(f"/review/{case}")).text
    assert "Slips of &lt;three&gt; months are there." in shown
    assert "PRE_APPROVED, <code>INCOME_CONFIRMED</code>" in shown
    assert str(case) not in (await reviewer.get("/review")).text
    assert database.value("SELECT status FROM applications WHERE id = %s", case) == "PRE_APPROVED"
    acts = database.rows("SELECT actor_kind, actor, action FROM acts WHERE action LIKE 'review%%' ORDER BY id")
    assert [tuple(act.values()) for act in acts] == [
        ("person", "reviewer", "review_claimed"),
        ("person", "reviewer", "review_note_written"),
        ("person", "reviewer", "review_decided"),
    ]


async def test_larger_case_is_decided_by_two_different_people(
    signed_in: SignedIn, second_reviewer: Browser, database: Database
) -> None:
    case, first = a_case(database, "2000000.00", 2), await signed_in(PersonRole.REVIEWER)

    for reviewer in (first, second_reviewer):
        await reviewer.post(f"/review/{case}", act="claim")
        await reviewer.post(f"/review/{case}", act="decide", reason="INCOME_NOT_ENOUGH")
        if reviewer is first:
            assert database.value("SELECT status FROM applications WHERE id = %s", case) == "MANUAL_REVIEW"

    assert database.value("SELECT status FROM applications WHERE id = %s", case) == "REJECTED"


async def test_act_on_a_case_that_moved_says_what_it_is_now_and_keeps_what_was_typed(
    signed_in: SignedIn, second_reviewer: Browser, database: Database
) -> None:
    case, reviewer = a_case(database), await signed_in(PersonRole.REVIEWER)
    await second_reviewer.post(f"/review/{case}", act="claim")

    answer = await reviewer.post(f"/review/{case}", act="second-look", text="Is this income regular?")

    assert answer.status_code == 409
    assert "Another person has claimed the case" in answer.text
    assert "claimed by meena" in answer.text
    assert "Is this income regular?</textarea>" in answer.text


async def test_note_with_a_pan_is_refused(signed_in: SignedIn, database: Database) -> None:
    case, reviewer = a_case(database), await signed_in(PersonRole.REVIEWER)

    answer = await reviewer.post(f"/review/{case}", act="note", text="His PAN is ABCPE1234F.")

    assert answer.status_code == 422
    assert database.value("SELECT count(*) FROM review_notes") == 0


async def test_queue_pages_by_key_in_both_orders(
    signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.console.views.review.PAGE_CASES", 1)
    smaller, larger = a_case(database, "500000.00"), a_case(database, "700000.00")
    reviewer = await signed_in(PersonRole.REVIEWER)

    first = (await reviewer.get("/review?by=amount")).text
    second = (await reviewer.get(f"/review?by=amount&after={larger}")).text

    assert f'href="/review/{larger}"' in first
    assert f'href="/review/{smaller}"' not in first
    assert f'href="/review/{smaller}"' in second


async def test_auditor_sees_a_case_and_no_form(signed_in: SignedIn, database: Database) -> None:
    case = a_case(database)

    shown = await (await signed_in(PersonRole.AUDITOR)).get(f"/review/{case}")

    assert shown.status_code == 200
    assert 'name="act"' not in shown.text
