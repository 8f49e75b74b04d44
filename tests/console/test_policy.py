"""Policy in the console: one person proposes a version, another approves it; it goes into force, and is rolled back."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
import psycopg
import pytest

from harness.database import Database
from harness.policies import ASHA, RAVI, activated, approved, let_the_clock_step_back, policy_text, proposed
from harness.policies import REPORT as REPORT_HASH
from harness.waiting import soon
from prequal.console import backtest_process
from prequal.console.backtests import Busy
from prequal.console.visit import Console
from prequal.domain.person import PersonRole
from prequal.domain.policy import packaged
from prequal.domain.policy.loading import load
from prequal.policy_versions import challenges, life, shadows
from prequal.postgres.connections import connected
from prequal.record.acts import operator
from tests.console.conftest import backtest_waits
from tests.support.console import REPORT, document, fields, says
from tests.support.reviews import reported
from tests.support.submissions import a_submission, store, stored
from tests.unit.domain.policy.documents import WITH_FOIR

SignedIn = Callable[..., Any]


async def backtested(database: Database) -> None:
    """Record a backtest of v2, as the command line does."""
    async with connected(database.url, "test") as connection, connection.transaction():
        await life.record_backtest(connection, operator(), load(document()), bytes(32), REPORT)


def hashes() -> dict[str, str]:
    return {"hash": load(document()).hash, "backtest": bytes(32).hex()}


async def test_approved_version_challenges_and_is_ended(signed_in: SignedIn, database: Database) -> None:
    officer, approver = await signed_in(PersonRole.RISK_OFFICER), await signed_in(PersonRole.APPROVER)
    await officer.post("/policy", document=document())
    await backtested(database)
    await approver.post("/policy/v2/approve", **hashes())

    shown = await fields(approver, "v2", "challenge")
    refused = await approver.post("/policy/v2/challenge", **shown, percent="51")
    begun = await approver.post("/policy/v2/challenge", **shown, percent="10")
    versions, version = (await officer.get("/policy")).text, (await officer.get("/policy/v2")).text
    ended = await officer.post("/policy/v2/challenge/end")

    assert [answer.status_code for answer in (refused, begun, ended)] == [409, 303, 303]
    assert "decides 10 % of the applications in the place of v1, since" in versions
    assert '<td data-label="State">approved, challenger of 10 %</td>' in versions
    assert "<dd>approved, challenger of 10 %</dd>" in version
    assert "It decides 10 % of the applications as the challenger of v1, since" in version
    after = (await officer.get("/policy")).text
    assert "The version in force decides every application." in after
    assert "ended by risk_officer." in after
    assert "It was the challenger of v1 until" in (await officer.get("/policy/v2")).text


async def test_activation_after_the_clock_stepped_back_says_from_when_it_holds(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection:
        for version in ("v2", "v4"):
            await approved(connection, policy_text(version), REPORT)
        await life.activate(connection, RAVI, "v2")
        await activated(connection, policy_text("v3"))
    officer = await signed_in(PersonRole.RISK_OFFICER)
    let_the_clock_step_back(database, 3600)

    answer = await officer.post("/policy/v4/activate", **await fields(officer, "v4", "activate"))
    put_into_force = await officer.get(answer.headers["Location"])

    assert "decides from the time on that its state says: the database&#39;s clock stepped back." in put_into_force.text
    assert re.search(r"<dt>State</dt><dd>approved, from \d", put_into_force.text)

    rolled_back = await officer.get((await officer.post("/policy/v2/rollback")).headers["Location"])
    assert "goes out of force once the database&#39;s clock, which stepped back, has caught up." in rolled_back.text


async def test_challenge_of_another_version_is_not_ended_from_the_page_of_one(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, policy_text("v2"), REPORT)
        await approved(connection, policy_text("v3"), REPORT)
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy/v2/challenge", **await fields(officer, "v2", "challenge"), percent="10")
    await officer.post("/policy/v3/challenge", **await fields(officer, "v3", "challenge"), percent="10")  # meanwhile

    ended = await officer.post("/policy/v2/challenge/end")
    of_none = await officer.post("/policy/v9/challenge/end")

    assert (ended.status_code, of_none.status_code) == (409, 404)
    assert "v2 does not challenge the one in force: v3 does." in ended.text
    assert "approved, challenger of 10 %" in (await officer.get("/policy/v3")).text


async def test_policy_page_shows_how_each_side_of_a_challenge_decided_and_what_ended_it(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection)
        await challenges.begin(connection, RAVI, "v2", 1000)
    await reported(database, stored(database, 3))
    async with connected(database.url, "test") as connection, connection.transaction():
        await activated(connection, policy_text("v3"))

    page = (await (await signed_in(PersonRole.AUDITOR)).get("/policy")).text

    assert '<td data-label="Decided by">v1</td><td data-label="PRE_APPROVED" class="number">3</td>' in page
    assert '<td data-label="Decided by">v2</td><td data-label="PRE_APPROVED" class="number">0</td>' in page
    assert "when v3 came into force, by ravi." in page


async def test_version_goes_by_two_people_into_force_and_back(signed_in: SignedIn, database: Database) -> None:
    officer, approver = await signed_in(PersonRole.RISK_OFFICER), await signed_in(PersonRole.APPROVER)

    proposed = await officer.post("/policy", document=document())
    await backtested(database)
    shown = (await approver.get("/policy/v2")).text
    approved = await approver.post("/policy/v2/approve", **hashes())
    activated = await approver.post("/policy/v2/activate", **await fields(approver, "v2", "activate"))
    in_force = (await officer.get("/policy")).text
    rolled_back = await officer.post("/policy/v2/rollback")

    assert proposed.headers["location"] == "/policy/v2?done=PROPOSED"
    assert "Of 3 decided applications 1 would have another status" in shown
    assert "₹12,00,000.00" in shown
    assert [answer.status_code for answer in (approved, activated, rolled_back)] == [303, 303, 303]
    done = [answer.headers["location"] for answer in (activated, rolled_back)]
    assert done == ["/policy/v2?done=ACTIVATED", "/policy/v2?done=ROLLED_BACK"]
    assert '>v2</a></td><td data-label="State">active' in in_force
    acts = database.rows("SELECT actor_kind, actor, action FROM acts WHERE action LIKE 'policy%%' ORDER BY id")
    assert [(act["actor"], act["action"]) for act in acts if act["actor_kind"] == "person"] == [
        ("risk_officer", "policy_proposed"),
        ("approver", "policy_approved"),
        ("approver", "policy_activated"),
        ("risk_officer", "policy_rolled_back"),
    ]


async def test_author_sees_who_puts_the_version_into_force_and_is_refused_where_he_tries(
    signed_in: SignedIn, database: Database
) -> None:
    officer, approver = await signed_in(PersonRole.RISK_OFFICER), await signed_in(PersonRole.APPROVER)
    await officer.post("/policy", document=document())
    await backtested(database)
    await approver.post("/policy/v2/approve", **hashes())
    of_approver = (await approver.get("/policy/v2")).text
    shown = await fields(approver, "v2", "challenge")

    page = (await officer.get("/policy/v2")).text
    activation = await officer.post("/policy/v2/activate", **await fields(approver, "v2", "activate"))
    challenge = await officer.post("/policy/v2/challenge", **shown, percent="10")

    said = "You are an author of this version: an approver or another risk officer must put it into force, or let it"
    forms = ('action="/policy/v2/activate"', 'action="/policy/v2/challenge"')
    assert (said in page, said in of_approver) == (True, False)
    assert [(form in page, form in of_approver) for form in forms] == [(False, True)] * 2
    assert (activation.status_code, challenge.status_code) == (409, 409)
    refused = "risk_officer is an author of v2: an approver or another risk officer must"
    assert f"{refused} put it into force." in activation.text
    assert f"{refused} let it challenge." in challenge.text
    assert database.value("SELECT version FROM policy_activations ORDER BY id DESC LIMIT 1") == "v1"
    assert database.count("policy_challenges") == 0


async def test_edit_of_the_shadow_and_putting_it_into_force_say_that_it_is_the_shadow_no_more(
    signed_in: SignedIn, database: Database
) -> None:
    officer, approver = await signed_in(PersonRole.RISK_OFFICER), await signed_in(PersonRole.APPROVER)

    async def shadow() -> None:
        async with connected(database.url, "test") as connection, connection.transaction():
            await shadows.begin(connection, ASHA, "v2")

    await officer.post("/policy", document=policy_text(minimum=710))
    await shadow()
    proposed = await officer.post("/policy", document=document())
    edited = (await officer.get(proposed.headers["Location"])).text
    await backtested(database)
    await approver.post("/policy/v2/approve", **hashes())
    await shadow()
    shown = (await officer.get("/policy/v2")).text
    activated = await approver.post("/policy/v2/activate", **await fields(approver, "v2", "activate"))
    in_force = (await approver.get(activated.headers["Location"])).text

    assert "stored as this version, which is the shadow no more." in edited
    assert "<dd>checked</dd>" in edited
    assert "<dd>approved, shadow</dd>" in shown
    assert "This version is put into force, and is the shadow no more: within 5 seconds" in in_force
    assert "<dd>active</dd>" in in_force


async def test_version_shows_its_limits_and_what_differs_from_the_one_in_force(signed_in: SignedIn) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    begun = (await officer.get("/policy")).text
    await officer.post("/policy", document=document().replace("650", "651"))

    shown, in_force = (await officer.get("/policy/v2")).text, (await officer.get("/policy/v1")).text

    assert "version = &#34;v1&#34;" in begun
    assert "<dt><code>minimum_cibil_score</code></dt><dd>651</dd>" in shown
    assert "<dt><code>term_months</code></dt><dd>48 months</dd>" in shown
    assert 'class="long">650</td><td data-label="v2" class="long">651</td>' in shown
    assert "What differs from" not in in_force
    assert "Roll back" not in in_force


async def test_document_that_breaks_a_rule_is_refused_with_every_problem_and_kept(signed_in: SignedIn) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)

    answer = await officer.post("/policy", document=document().replace("cibil_score <", "cibil_scor <"))

    assert answer.status_code == 422
    assert "<br><code>when = [&#34;cibil_scor &lt; minimum_cibil_score&#34;]</code></p>" in answer.text
    assert "cibil_scor &lt;" in answer.text.partition("<textarea")[2]


async def test_document_of_a_version_of_another_author_is_refused_with_who_that_is_and_kept(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection:
        await life.propose(connection, ASHA, policy_text())
    officer = await signed_in(PersonRole.RISK_OFFICER)

    answer = await officer.post("/policy", document=policy_text(minimum=710))

    assert answer.status_code == 409
    assert "v2 was proposed by asha: give your document another version" in answer.text
    assert "score = 710" in answer.text.partition("<textarea")[2]
    assert database.value("SELECT document FROM policy_versions WHERE version = 'v2'") == policy_text()


async def test_approval_of_another_document_than_was_shown_is_refused_with_why(
    signed_in: SignedIn, database: Database
) -> None:
    officer, approver = await signed_in(PersonRole.RISK_OFFICER), await signed_in(PersonRole.APPROVER)
    await officer.post("/policy", document=document())
    await backtested(database)

    answer = await approver.post("/policy/v2/approve", **hashes() | {"hash": bytes(32).hex()})

    assert answer.status_code == 409
    assert "v2 is another document than the one to be approved" in answer.text


async def test_officer_backtests_a_version_on_the_last_days_and_sees_what_it_would_have_changed(
    signed_in: SignedIn, database: Database
) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    decided = a_submission()
    store(database, [decided])
    await reported(database, [decided], 650)
    await officer.post("/policy", document=document().replace("650", "651"))

    proposed = (await officer.get("/policy/v2")).text
    shown = await fields(officer, "v2", "backtest")
    refused = await officer.post("/policy/v2/backtest", **shown, days="0")
    done = await officer.post("/policy/v2/backtest", **shown, days="30")
    in_force = await officer.post("/policy/v1/backtest", days="30")

    report = await soon(lambda: says(officer, "Of 1 decided application 1 would have another status"))
    assert [answer.status_code for answer in (refused, done, in_force)] == [409, 303, 409]
    assert "A backtest, which the approver looks at." in proposed
    assert "An approver who wrote no text of it approves it on this backtest." in report
    assert "Backtest it again" in report
    assert "was activated: the backtest that was approved stays with it" in in_force.text


@pytest.mark.usefixtures("forms_do_not_wait")
async def test_page_follows_a_backtest_that_runs_beside_which_no_second_begins_and_says_why_it_ended(
    signed_in: SignedIn, database: Database
) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())

    sent = await fields(officer, "v2", "backtest")
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")  # so that it reads none yet
        first = await officer.post("/policy/v2/backtest", "/policy", **sent, days="30")
        shown = await officer.get("/policy/v2")
        second = await officer.post("/policy/v2/backtest", "/policy", **sent, days="30")
        await soon(lambda: backtest_waits(database))
        processes = [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
        priorities = [each.nice() for each in processes]
        for each in processes:
            each.kill()
        ended = await soon(lambda: says(officer, "The backtest ended before it was done: try again."))
    third = await officer.post("/policy/v2/backtest", **sent, days="30")

    assert (first.status_code, second.status_code, third.status_code) == (303, 409, 303)
    assert "v2 is backtested for risk_officer since" in shown.text
    assert "read. <a" in shown.text or "it begins to read" in shown.text
    assert shown.headers["refresh"] == "2"
    assert "Another backtest runs: try again when it is over." in second.text
    assert priorities == [19]
    assert "The backtest for risk_officer failed" in ended
    assert await soon(lambda: says(officer, "Of 0 decided applications 0 would have another status"))


async def test_of_two_backtests_that_are_asked_for_at_once_one_is_refused(people: None, console: Console) -> None:
    backtests, asked = console.backtests, (RAVI, load(document()), document(), timedelta(days=30), life.NOTHING)

    begun = await asyncio.gather(backtests.begin(*asked), backtests.begin(*asked), return_exceptions=True)

    assert [type(each) for each in begun] == [type(None), Busy]
    assert backtests._task
    await backtests._task
    assert not backtests.is_running


async def test_backtest_whose_process_ends_at_once_is_said_and_leaves_nothing_open(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(pid: int) -> None:
        psutil.Process(pid).kill()
        raise ProcessLookupError

    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())
    monkeypatch.setattr("prequal.ops.backtest.give_way", gone)
    opened = backtest_process._CONTEXT.Pipe(duplex=False)
    monkeypatch.setattr(backtest_process._CONTEXT, "Pipe", lambda **_: opened)

    await officer.post("/policy/v2/backtest", **await fields(officer, "v2", "backtest"), days="30")

    assert await soon(lambda: says(officer, "The backtest ended before it was done: try again."))
    assert [each.closed for each in opened] == [True, True]


async def test_version_that_is_not_approved_is_not_put_into_force(signed_in: SignedIn) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())

    answer = await officer.post("/policy/v2/activate", hash=load(document()).hash, in_force="v1")

    assert answer.status_code == 409
    assert "v2 is not approved." in answer.text


async def test_another_document_than_the_page_showed_is_neither_put_into_force_nor_lets_challenge(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, policy_text("v2"), REPORT)
    officer = await signed_in(PersonRole.RISK_OFFICER)
    stale = {act: await fields(officer, "v2", act) for act in ("activate", "challenge")}
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, policy_text("v2", 710), REPORT)  # meanwhile, by the same two people

    answers = [
        await officer.post("/policy/v2/activate", **stale["activate"]),
        await officer.post("/policy/v2/activate", in_force="v1"),
        await officer.post("/policy/v2/challenge", **stale["challenge"], percent="10"),
    ]

    said = f"v2 is another document than the one that was shown: its hash is {load(policy_text('v2', 710)).hash}."
    assert [each.status_code for each in answers] == [409] * 3
    assert all(said in each.text for each in answers)
    assert (await officer.post("/policy/v2/activate", **await fields(officer, "v2", "activate"))).status_code == 303


async def test_version_takes_the_place_of_none_but_the_one_that_the_page_showed_in_force(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, policy_text("v2"), REPORT)
    officer = await signed_in(PersonRole.RISK_OFFICER)
    stale = {act: await fields(officer, "v2", act) for act in ("activate", "challenge")}
    async with connected(database.url, "test") as connection, connection.transaction():
        await activated(connection, policy_text("v3"))  # meanwhile, by somebody else

    activation = await officer.post("/policy/v2/activate", **stale["activate"])
    challenge = await officer.post("/policy/v2/challenge", **stale["challenge"], percent="10")

    assert (activation.status_code, challenge.status_code) == (409, 409)
    assert "Another version was shown as in force: now v3 is." in activation.text
    assert "Another version was shown as in force: now v3 is." in challenge.text
    assert database.value("SELECT version FROM policy_activations ORDER BY id DESC LIMIT 1") == "v3"


async def test_backtest_that_the_page_did_not_show_is_neither_overwritten_nor_put_into_force(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection:
        await life.propose(connection, ASHA, policy_text("v2"))
    officer = await signed_in(PersonRole.RISK_OFFICER)
    without = await fields(officer, "v2", "backtest")
    async with connected(database.url, "test") as connection:
        await approved(connection, policy_text("v2"), REPORT)  # meanwhile, by others
    first = await officer.post("/policy/v2/backtest", **without, days="30")
    stale = {act: await fields(officer, "v2", act) for act in ("backtest", "activate")}
    other = bytes(range(32))
    async with connected(database.url, "test") as connection:
        seen = life.Seen(backtest=REPORT_HASH)
        await life.record_backtest(connection, RAVI, load(policy_text("v2")), other, REPORT, seen)

    second = await officer.post("/policy/v2/backtest", **stale["backtest"], days="30")
    activation = await officer.post("/policy/v2/activate", **stale["activate"])
    third = await officer.post("/policy/v2/backtest", **await fields(officer, "v2", "backtest"), days="30")

    assert [each.status_code for each in (first, second, activation, third)] == [409, 409, 409, 303]
    assert f"v2 has another backtest than the one that was shown: {REPORT_HASH.hex()}." in first.text
    assert f"v2 has another backtest than the one that was shown: {other.hex()}." in second.text
    assert f"v2 has another backtest than the one that was shown: {other.hex()}." in activation.text


@pytest.mark.usefixtures("forms_do_not_wait")
async def test_backtest_that_a_colleague_recorded_while_that_of_the_page_ran_is_kept(
    signed_in: SignedIn, database: Database
) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")  # so that it reads none yet
        await officer.post("/policy/v2/backtest", **await fields(officer, "v2", "backtest"), days="30")
        await backtested(database)

    said = f"v2 has another backtest than the one that was shown: {bytes(32).hex()}."
    assert await soon(lambda: says(officer, said))
    assert database.value("SELECT backtest_hash FROM policy_versions WHERE version = 'v2'") == bytes(32)


async def test_share_and_challenger_that_the_page_did_not_show_are_not_overwritten(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, policy_text("v2"), REPORT)
        await approved(connection, policy_text("v3"), REPORT)
    officer = await signed_in(PersonRole.RISK_OFFICER)
    without = await fields(officer, "v3", "challenge")
    first = await officer.post("/policy/v2/challenge", **await fields(officer, "v2", "challenge"), percent="10")
    with_ten = await fields(officer, "v2", "challenge")
    page = (await officer.get("/policy/v3")).text

    second = await officer.post("/policy/v3/challenge", **without, percent="5")
    third = await officer.post("/policy/v2/challenge", **with_ten, percent="20")
    fourth = await officer.post("/policy/v2/challenge", **with_ten, percent="30")

    assert [each.status_code for each in (first, second, third, fourth)] == [303, 409, 303, 409]
    assert "Now v2 is its challenger, and decides 10 % of the applications." in page
    assert "No challenger was shown: now v2 decides 10 % of the applications." in second.text
    assert "Another challenger or share was shown: now v2 decides 20 % of the applications." in fourth.text
    assert database.count("policy_challenges") == 2


async def test_challenger_that_was_ended_since_it_was_shown_is_not_given_another_share(
    signed_in: SignedIn, database: Database
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, policy_text("v2"), REPORT)
        await challenges.begin(connection, RAVI, "v2", 1000)
    officer = await signed_in(PersonRole.RISK_OFFICER)
    shown = await fields(officer, "v2", "challenge")
    await officer.post("/policy/v2/challenge/end")  # meanwhile, by somebody else

    answer = await officer.post("/policy/v2/challenge", **shown, percent="20")

    assert answer.status_code == 409
    assert "A challenger was shown, and now no version challenges the one in force." in answer.text


async def test_risk_officer_does_not_approve(signed_in: SignedIn, database: Database) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())
    await backtested(database)

    answer = await officer.post("/policy/v2/approve", **hashes())

    assert answer.status_code == 403
    assert database.value("SELECT approved_by FROM policy_versions WHERE version = 'v2'") is None


GROUPS = [
    {"before": "PRE_APPROVED", "after": "REJECTED", "applications": 30, "loan_amount_inr": "1200000.00"},
    {"before": "REJECTED", "after": "REJECTED", "applications": 70, "loan_amount_inr": "3400000.00"},
]
DRAWN = json.dumps(
    {
        "applications": 100,
        "flips": 30,
        "outcomes": GROUPS,
        "by_score_band": [{"scores": "650–699", **group} for group in GROUPS],
        "by_loan_type": [{"loan_type": "HOME", **group} for group in GROUPS],
    }
)


async def test_backtest_is_drawn_with_words_and_a_table_beside_each_plot(
    signed_in: SignedIn, database: Database
) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())
    async with connected(database.url, "test") as connection, connection.transaction():
        await life.record_backtest(connection, operator(), load(document()), bytes(32), DRAWN)

    first, again = (await officer.get("/policy/v2")).text, (await officer.get("/policy/v2")).text

    drawings = re.findall(r"<svg.*?</svg>", first, re.DOTALL)
    assert len(drawings) == 5
    assert all("<title id=" in drawing and "<desc id=" in drawing for drawing in drawings)
    assert "30 from PRE_APPROVED to REJECTED." in drawings[0]
    assert "650–699 before, PRE_APPROVED: 30" in first
    assert "HOME after, REJECTED: ₹46,00,000.00" in first
    assert first.count(", as a table</summary>") == 2
    assert drawings == re.findall(r"<svg.*?</svg>", again, re.DOTALL)


REPLAYED = json.loads(DRAWN) | {
    "pending": 4,
    "replayed": {"of_unknown_versions": 1, "otherwise_than_stored": 2},
    "by_reason": [
        {
            "before": "INCOME_COVERS_LOAN",
            "after": "SCORE_BELOW_MINIMUM",
            "applications": 30,
            "loan_amount_inr": "1200000.00",
        },
    ],
}


async def recorded(database: Database, report: dict[str, Any]) -> None:
    """A backtest of v2 with this report."""
    async with connected(database.url, "test") as connection:
        await proposed(connection, document(), json.dumps(report))


async def test_backtest_says_what_its_own_versions_decided_otherwise_what_is_pending_and_each_reason(
    signed_in: SignedIn, database: Database
) -> None:
    await recorded(database, REPLAYED)

    page = (await (await signed_in(PersonRole.APPROVER)).get("/policy/v2")).text

    replay = "Decided again by their own versions: 97 as stored, 2 otherwise, 1 of unknown versions."
    assert f'<p class="notice bad" role="alert">{replay}' in page
    assert "4 pending applications were left out" in page
    table = page.partition("<h3>By reason</h3>")[2].partition("</table>")[0]
    assert '<td data-label="Before">INCOME_COVERS_LOAN</td><td data-label="After">SCORE_BELOW_MINIMUM</td>' in table
    assert '<td data-label="Applications" class="number">30</td>' in table
    assert "₹12,00,000.00" in table


async def test_backtest_says_of_which_time_it_is(signed_in: SignedIn, database: Database) -> None:
    period = {"from": "2026-11-01T00:00:00+00:00", "to": "2026-12-01T00:00:00+00:00"}
    newest = "01a22239-0178-7000-8000-000000000000"
    await recorded(database, REPLAYED | period | {"newest_application": newest})

    page = (await (await signed_in(PersonRole.APPROVER)).get("/policy/v2")).text

    assert "of those since 1 Nov 2026, 05:30:00 IST and before 1 Dec 2026, 05:30:00 IST." in page
    assert f'is <a href="/applications/{newest}"><code>{newest}</code></a>, of 28 Nov 2026, 18:24:51 IST.' in page


@pytest.mark.parametrize(
    ("replayed", "warns"),
    [
        ({"of_unknown_versions": 0, "otherwise_than_stored": 0}, False),
        ({"of_unknown_versions": 1, "otherwise_than_stored": 0}, True),
        ({"of_unknown_versions": 0, "otherwise_than_stored": 1}, True),
    ],
)
async def test_backtest_warns_exactly_if_not_all_came_out_as_stored(
    replayed: dict[str, int], warns: bool, signed_in: SignedIn, database: Database
) -> None:
    await recorded(database, REPLAYED | {"replayed": replayed})

    page = (await (await signed_in(PersonRole.APPROVER)).get("/policy/v2")).text

    assert "Decided again by their own versions: " in page
    assert ('<p class="notice bad" role="alert">Decided again by their own versions: ' in page) is warns


async def test_applications_that_a_version_would_decide_otherwise_are_listed_by_key(
    signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.console.views.policy.SHOWN_MAX", 2)
    oldest, *_, newest = submissions = stored(database, 3)
    database.execute(
        """
        UPDATE applications SET status = 'REJECTED', cibil_score = 790, monthly_income_inr = 75000, version = 2,
            loan_amount_inr = 3600000, decision_rule = 'CIBIL_BELOW_MINIMUM', decision_measures = '{}',
            policy_version = 'v1', policy_hash = %s
        """,
        packaged.current().digest,
    )
    officer = await signed_in(PersonRole.RISK_OFFICER)

    first = (await officer.get("/policy/v1/flips")).text
    second = (await officer.get(f"/policy/v1/flips?before={submissions[1].id}")).text

    assert f"?before={submissions[1].id}" in first
    assert (str(newest.id) in first, str(oldest.id) in first) == (True, False)
    assert (str(newest.id) in second, str(oldest.id) in second) == (False, True)
    assert "INCOME_DOES_NOT_COVER_LOAN" in first
    assert "?before=" not in second


async def test_flips_of_a_version_that_is_not_there_are_a_page(signed_in: SignedIn) -> None:
    assert (await (await signed_in(PersonRole.RISK_OFFICER)).get("/policy/v99/flips")).status_code == 404


async def test_page_warns_of_a_policy_by_which_people_would_review_every_application(signed_in: SignedIn) -> None:
    officer = await signed_in(PersonRole.RISK_OFFICER)
    for each in (document(), WITH_FOIR):
        await officer.post("/policy", document=each)

    warned = [(await officer.get(f"/policy/{load(each).version}")).text for each in (document(), WITH_FOIR)]

    assert ["people would review every application" in page for page in warned] == [False, True]
