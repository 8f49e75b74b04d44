"""Review in the console: the queue, a case, and what reviewers do with it."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from harness.database import Database
from prequal.domain.person import PersonRole
from tests.console.conftest import Browser
from tests.support.reviews import LARGE, SMALL, in_review

SignedIn = Callable[..., Any]


@pytest.fixture
async def second_reviewer(signed_in: SignedIn, second_reviewers_name: str) -> Browser:
    reviewer: Browser = await signed_in(second_reviewers_name)
    return reviewer


async def test_reviewer_claims_a_case_writes_a_note_and_decides_it(signed_in: SignedIn, database: Database) -> None:
    case, reviewer = await in_review(database), await signed_in(PersonRole.REVIEWER)
    assert str(case) in (await reviewer.get("/review")).text

    for form, done in (
        ({"act": "claim", "minutes": "45"}, "CLAIMED"),
        ({"act": "note", "text": "Slips of <three> months are there."}, "NOTED"),
        ({"act": "decide", "reason": "INCOME_CONFIRMED"}, "DECIDED"),
    ):
        answer = await reviewer.post(f"/review/{case}", **form)
        assert answer.headers["location"] == f"/review/{case}?done={done}"

    shown = (await reviewer.get(answer.headers["location"])).text
    assert "The case is decided." in shown
    assert "Slips of &lt;three&gt; months are there." in shown
    assert "PRE_APPROVED, <code>INCOME_CONFIRMED</code>" in shown
    assert "The applicant is shown: Documents show an income that is enough for the loan." in shown
    assert "are not more than the loan of ₹" in shown
    assert str(case) not in (await reviewer.get("/review")).text
    assert database.value("SELECT status FROM applications WHERE id = %s", case) == "PRE_APPROVED"
    acts = database.rows("SELECT actor_kind, actor, action FROM acts WHERE action LIKE 'review%%' ORDER BY id")
    assert [tuple(act.values()) for act in acts] == [
        ("person", "reviewer", "review_claimed"),
        ("person", "reviewer", "review_note_written"),
        ("person", "reviewer", "review_decided"),
    ]


@pytest.mark.parametrize("after", ["garbage", "0190b5a8-0000-7000-8000-000000000000", ""])
async def test_page_behind_a_case_that_is_not_there_is_not_there(after: str, signed_in: SignedIn) -> None:
    assert (await (await signed_in(PersonRole.REVIEWER)).get(f"/review?after={after}")).status_code == 404


async def test_larger_case_is_decided_by_two_different_people(
    signed_in: SignedIn, second_reviewer: Browser, database: Database
) -> None:
    case, first = await in_review(database, LARGE), await signed_in(PersonRole.REVIEWER)

    for reviewer in (first, second_reviewer):
        await reviewer.post(f"/review/{case}", act="claim")
        if reviewer is first:
            claimed = (await first.get(f"/applications/{case}")).text
        answer = await reviewer.post(f"/review/{case}", act="decide", reason="INCOME_NOT_ENOUGH")
        if reviewer is first:
            assert database.value("SELECT status FROM applications WHERE id = %s", case) == "MANUAL_REVIEW"
            voted = (await first.get(answer.headers["location"])).text
            assert "Your decision is recorded; the case waits for a second person" in voted
            assert "you have voted; it waits for another reviewer" in voted
            assert 'value="claim"' not in voted

    assert database.value("SELECT status FROM applications WHERE id = %s", case) == "REJECTED"
    timeline = (await first.get(f"/applications/{case}")).text
    assert re.search(
        r"Review: two people decide it, by [^;]+ IST; reviewer has claimed it until [^;]+ IST\.</li>", claimed
    )
    assert "Review: two" not in timeline
    steps = re.findall(r"· (.+)</span><br>(.+)</li>", timeline)
    assert steps[-4:] == [
        ("reviewer", "claimed the case"),
        ("reviewer", "voted REJECTED, INCOME_NOT_ENOUGH: a second person decides too"),
        ("meena", "claimed the case"),
        ("meena", "decided: REJECTED, INCOME_NOT_ENOUGH"),
    ]


async def test_case_that_a_second_look_was_asked_for_is_decided_by_two_people(
    signed_in: SignedIn, second_reviewer: Browser, database: Database
) -> None:
    case, first = await in_review(database), await signed_in(PersonRole.REVIEWER)
    decision = {"act": "decide", "reason": "INCOME_CONFIRMED"}
    await first.post(f"/review/{case}", act="claim")

    asked = await first.post(f"/review/{case}", act="second-look", text="Is this income regular?")
    released = (await first.get(asked.headers["location"])).text
    queued = (await first.get("/review")).text
    await second_reviewer.post(f"/review/{case}", act="claim")
    claimed = (await first.get(f"/review/{case}")).text
    voted = await second_reviewer.post(f"/review/{case}", **decision)
    after_one = (await first.get(f"/review/{case}")).text
    await first.post(f"/review/{case}", act="claim")
    decided = await first.post(f"/review/{case}", **decision)

    assert "The case is released; another reviewer decides it with you." in released
    assert "claimed by nobody" in released
    assert "two people, for its amount or for a second look that was asked for" in released
    assert "Is this income regular?</p>" in released
    assert ">waits for a second person<" in queued
    assert "claimed by meena until" in claimed
    assert 'value="claim"' not in claimed
    assert voted.headers["location"] == f"/review/{case}?done=VOTED"
    assert "1 of 2 has voted, claimed by nobody" in after_one
    assert decided.headers["location"] == f"/review/{case}?done=DECIDED"
    assert database.value("SELECT status FROM applications WHERE id = %s", case) == "PRE_APPROVED"


async def test_act_on_a_case_that_moved_says_what_it_is_now_and_keeps_what_was_typed(
    signed_in: SignedIn, second_reviewer: Browser, database: Database
) -> None:
    case, reviewer = await in_review(database), await signed_in(PersonRole.REVIEWER)
    await second_reviewer.post(f"/review/{case}", act="claim")

    answer = await reviewer.post(f"/review/{case}", act="second-look", text="Is this income regular?")

    assert answer.status_code == 409
    assert re.search(r"Another person has claimed the case: meena, until [^.]+ IST\.", answer.text)
    assert "claimed by meena" in answer.text
    assert "Is this income regular?</textarea>" in answer.text


@pytest.mark.parametrize("amounts", [SMALL, LARGE], ids=["one person", "two people"])
async def test_decision_after_the_lease_is_refused_and_changes_nothing(
    amounts: dict[str, Any], signed_in: SignedIn, database: Database
) -> None:
    case, reviewer = await in_review(database, amounts), await signed_in(PersonRole.REVIEWER)
    await reviewer.post(f"/review/{case}", act="claim")
    database.execute("UPDATE review_cases SET lease_until = clock_timestamp()")

    answer = await reviewer.post(f"/review/{case}", act="decide", reason="INCOME_CONFIRMED")

    assert answer.status_code == 409
    assert "Your claim of the case has ended: claim it again." in answer.text
    assert "claimed by nobody" in answer.text
    assert 'value="claim">Claim<' in answer.text
    assert database.value("SELECT status FROM applications WHERE id = %s", case) == "MANUAL_REVIEW"
    assert database.value("SELECT state FROM review_cases") == "OPEN"
    assert database.count("review_votes") == 0


async def test_what_was_typed_for_another_act_is_kept(signed_in: SignedIn, database: Database) -> None:
    case, reviewer = await in_review(database), await signed_in(PersonRole.REVIEWER)
    typed = {"text": "\nThe slips are there.", "reason": "INCOME_CONFIRMED"}

    refused = await reviewer.post(f"/review/{case}", act="claim", minutes="0", **typed)
    claimed = await reviewer.post(f"/review/{case}", act="claim", minutes="45", **typed)
    undecided = await reviewer.post(f"/review/{case}", act="decide", **typed)
    noted = await reviewer.post(f"/review/{case}", act="note", **typed)
    shown = await reviewer.get(noted.headers["location"])

    assert [each.status_code for each in (refused, claimed, undecided, noted)] == [422, 200, 422, 303]
    for page in (refused, claimed, undecided):
        assert ">\nThe slips are there.</textarea>" in page.text
    assert "The case is claimed for you." in claimed.text
    assert "The note below is not written yet" in undecided.text
    assert 'value="INCOME_CONFIRMED" checked' in claimed.text
    assert 'value="INCOME_CONFIRMED" checked' in shown.text
    assert database.value("SELECT count(*) FROM review_notes") == 1


async def test_looking_at_a_case_is_recorded_as_a_look_at_its_application(
    signed_in: SignedIn, database: Database
) -> None:
    case, auditor = await in_review(database), await signed_in(PersonRole.AUDITOR)

    await auditor.get("/review")
    await auditor.get(f"/review/{case}")
    await auditor.get(f"/review/{case}x")

    (act,) = database.rows("SELECT actor, subject FROM acts WHERE action = 'application_viewed'")
    assert tuple(act.values()) == ("auditor", str(case))


async def test_note_with_a_pan_is_refused(signed_in: SignedIn, database: Database) -> None:
    case, reviewer = await in_review(database), await signed_in(PersonRole.REVIEWER)

    answer = await reviewer.post(f"/review/{case}", act="note", text="His PAN is ABCPE1234F.")

    assert answer.status_code == 422
    assert database.value("SELECT count(*) FROM review_notes") == 0


async def test_queue_pages_by_key_in_both_orders(
    signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.console.views.review.PAGE_CASES", 1)
    smaller, larger = await in_review(database, SMALL), await in_review(database, LARGE)
    reviewer = await signed_in(PersonRole.REVIEWER)

    first = (await reviewer.get("/review?by=amount")).text
    second = (await reviewer.get(f"/review?by=amount&after={larger}")).text

    assert f'href="/review/{larger}"' in first
    assert f'href="/review/{smaller}"' not in first
    assert f'href="/review/{smaller}"' in second


async def test_auditor_sees_a_case_and_no_form(signed_in: SignedIn, database: Database) -> None:
    case = await in_review(database)

    shown = await (await signed_in(PersonRole.AUDITOR)).get(f"/review/{case}")

    assert shown.status_code == 200
    assert 'name="act"' not in shown.text
