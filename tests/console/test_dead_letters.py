"""Dead letters in the console, on a real broker."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from harness.broker import SUBMITTED, SUBMITTED_DLQ, Broker, Headers, RawMessage
from harness.database import Database, url_of_service
from harness.waiting import PATIENCE_SECONDS
from prequal.console import dead_letter_cache
from prequal.console.views import dead_letters
from prequal.console.visit import Console
from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.person import PersonRole
from tests.support.unreadable_headers import stored_with_unreadable_headers

SignedIn = Callable[..., Any]
FIRST, SECOND = f"{SUBMITTED_DLQ}:0:0", f"{SUBMITTED_DLQ}:0:1"
HEADERS: Headers = [("dlq.error_kind", b"malformed_json"), ("dlq.error_message", b"<i>no</i> object")]


@pytest.fixture
def settings(database: Database, broker: Broker) -> ConsoleSettings:
    url = url_of_service(database.url, "console")
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture(autouse=True)
def _kafka_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: where it is away it is said to be."""
    monkeypatch.setattr(dead_letter_cache, "WAIT_SECONDS", PATIENCE_SECONDS)


@pytest.fixture(autouse=True)
def _two_that_wait(broker: Broker) -> None:
    """One of them has a PAN in it."""
    broker.publish(SUBMITTED_DLQ, [RawMessage(value, b"key", HEADERS, 0) for value in (b"{ABCDE1234F", b"{")])


async def test_dead_letter_is_listed_and_shown_with_its_pan_masked(signed_in: SignedIn, database: Database) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)

    listed, shown = (await auditor.get("/dead-letters")).text, (await auditor.get(f"/dead-letters/{FIRST}")).text

    assert "2 wait, of 2" in listed
    assert "&lt;i&gt;no&lt;/i&gt; object" in shown
    assert "ABCDE" not in listed + shown
    assert "XXXXX1234F" in shown
    assert "Replay" not in listed + shown
    look = "SELECT actor, subject_kind, subject, details FROM acts WHERE action = 'dead_letter_viewed'"
    assert database.row(look) == {
        "actor": "auditor",
        "subject_kind": "dead_letter",
        "subject": FIRST,
        "details": {},
    }


@pytest.mark.parametrize("by", ["page", "program"])
async def test_look_at_a_dead_letter_of_an_application_is_a_look_at_the_application(
    signed_in: SignedIn, person: Callable[..., Any], database: Database, broker: Broker, by: str
) -> None:
    application = "0190b5a8-0000-7000-8000-000000000000"
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", application.encode(), HEADERS, 0)])
    third = f"{FIRST[:-1]}2"

    for _ in range(2):
        if by == "page":
            await (await signed_in(PersonRole.OPERATOR)).get(f"/dead-letters/{third}")
        else:
            await (await person(PersonRole.OPERATOR)).get(f"/api/v1/dead-letters/{third}")

    look = "SELECT subject_kind, subject, details FROM acts WHERE action = 'dead_letter_viewed'"
    assert database.row(look) == {
        "subject_kind": "application",
        "subject": application,
        "details": {"dead_letter": third},
    }


@pytest.mark.parametrize("by", ["page", "program"])
async def test_dead_letter_with_unreadable_headers_is_shown_without_them(
    signed_in: SignedIn, person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    stored_with_unreadable_headers(monkeypatch)

    if by == "page":
        shown = await (await signed_in(PersonRole.OPERATOR)).get(f"/dead-letters/{SECOND}")
    else:
        shown = await (await person(PersonRole.OPERATOR)).get(f"/api/v1/dead-letters/{SECOND}")

    assert shown.status_code == 200
    assert "unknown" in shown.text
    assert "dlq.error_kind" not in shown.text


async def test_overview_counts_those_that_nobody_has_resolved(signed_in: SignedIn, console: Console) -> None:
    operator = await signed_in(PersonRole.OPERATOR)
    await operator.get("/dead-letters")  # the overview waits for no long list
    await operator.post("/dead-letters", act="replay", id=[FIRST], confirmed="yes")

    assert "<b>1</b><span>dead letter for people to resolve</span>" in (await operator.get("/")).text


async def test_replay_is_shown_first_and_done_when_it_is_confirmed(
    signed_in: SignedIn, database: Database, broker: Broker
) -> None:
    operator = await signed_in(PersonRole.OPERATOR)

    asked = await operator.post("/dead-letters", act="replay", id=[FIRST, SECOND])
    before = database.count("resolved_dead_letters")
    done = await operator.post("/dead-letters", act="replay", id=[FIRST, SECOND], confirmed="yes")

    assert (asked.status_code, before) == (200, 0)
    assert FIRST in asked.text
    assert SECOND in asked.text
    assert done.headers["location"] == "/dead-letters?done=REPLAYED"
    assert broker.published(SUBMITTED) == 2
    actors = {row["actor"] for row in database.rows("SELECT actor FROM acts WHERE subject_kind = 'dead_letter'")}
    assert actors == {"operator"}


async def test_while_kafka_is_away_what_was_read_is_shown_with_its_time_and_what_was_typed_is_kept(
    signed_in: SignedIn, console: Console, broker: Broker
) -> None:
    operator = await signed_in(PersonRole.OPERATOR)
    form = {"act": "discard", "id": [FIRST, SECOND], "because": "a load test", "confirmed": "yes"}

    console.consumers.is_away = True
    unread = await operator.get("/dead-letters")
    console.consumers.is_away = False
    before = await operator.get("/dead-letters")
    console.consumers.is_away = True
    away, one = await operator.get("/dead-letters"), await operator.get(f"/dead-letters/{FIRST}")
    refused = await operator.post("/dead-letters", **form)
    console.consumers.is_away = False
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", b"key", HEADERS, 0)])
    after = await operator.get("/dead-letters")
    again = await operator.post("/dead-letters", act="discard", id=f"{FIRST}\r\n{SECOND}")

    assert [each.status_code for each in (unread, before, away, one, refused)] == [503, 200, 200, 503, 503]
    assert "Kafka does not answer." in unread.text
    assert "Kafka does not answer." not in before.text
    assert "Kafka does not answer. What is shown was read from it at" in away.text
    assert f'value="{SECOND}"' in away.text
    assert "data-heal" in away.text
    assert "Kafka does not answer." in refused.text
    assert ">\na load test</textarea>" in refused.text
    assert f">\n{FIRST}\n{SECOND}</textarea>" in refused.text
    assert ("data-heal" in after.text, "3 wait, of 3" in after.text) == (False, True)
    assert again.status_code == 200


@pytest.mark.parametrize("written", [1, 3])
async def test_nothing_of_an_earlier_topic_of_the_same_name_is_shown(
    signed_in: SignedIn, broker: Broker, written: int
) -> None:
    operator = await signed_in(PersonRole.OPERATOR)
    await operator.get("/dead-letters")
    headers: Headers = [("dlq.error_kind", b"unknown_version"), ("dlq.error_message", b"of the new topic")]

    broker.renew()
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", b"key", headers, 0)] * written)
    shown = (await operator.get("/dead-letters")).text

    assert re.search(f"{written} waits?, of {written}", shown)
    assert "malformed_json" not in shown


async def test_dead_letter_that_its_topic_does_not_hold_is_nowhere(signed_in: SignedIn) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)

    for id_ in (f"{SUBMITTED_DLQ}:0:99", "1:2:3"):
        assert (await auditor.get(f"/dead-letters/{id_}")).status_code == 404


async def test_all_that_wait_are_chosen_at_once_and_the_pages_go_by_key(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await signed_in(PersonRole.OPERATOR)

    none, chosen = (await operator.get("/dead-letters")).text, (await operator.get("/dead-letters?chosen=all")).text

    assert (none.count(" checked "), chosen.count(" checked ")) == (0, 2)
    monkeypatch.setattr(dead_letters, "SHOWN_MAX", 1)
    first = (await operator.get("/dead-letters")).text
    (after,) = re.findall(r'href="(/dead-letters\?after=[^"]+)">Next page', first)
    second = (await operator.get(after)).text
    assert [
        (FIRST in page.partition("<tbody")[2], SECOND in page.partition("<tbody")[2]) for page in (first, second)
    ] in (
        [(True, False), (False, True)],
        [(False, True), (True, False)],
    )
    assert "Next page" not in second
    assert f'href="{after}&amp;chosen=all">Choose all that wait on this page' in second


async def test_page_goes_on_behind_a_dead_letter_that_was_resolved_since_it_was_shown(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await signed_in(PersonRole.OPERATOR)
    monkeypatch.setattr(dead_letters, "SHOWN_MAX", 1)
    (after,) = re.findall(r'href="([^"]+)">Next page', (await operator.get("/dead-letters")).text)
    (last,) = {FIRST, SECOND} & set(after.replace("waiting:", "=").split("="))

    await operator.post("/dead-letters", act="discard", id=last, because="a test", confirmed="yes")
    page = (await operator.get(after)).text

    (other,) = {FIRST, SECOND} - {last}
    assert other in page.partition("<tbody")[2].partition("</tbody")[0]


async def test_discard_takes_a_reason_without_a_pan(signed_in: SignedIn, database: Database) -> None:
    operator = await signed_in(PersonRole.OPERATOR)
    form = {"act": "discard", "id": FIRST, "confirmed": "yes"}

    without = await operator.post("/dead-letters", **form)
    with_pan = await operator.post("/dead-letters", **form, because="of ABCDE1234F")
    done = await operator.post("/dead-letters", **form, because="sent by a load test")

    shown = (await operator.get(f"/dead-letters/{FIRST}")).text
    assert (without.status_code, with_pan.status_code, done.status_code) == (409, 409, 303)
    assert f'name="id" value="{FIRST}"' in with_pan.text
    assert 'name="because" value="of XXXXX1234F"' in with_pan.text
    assert "discarded by operator, " in shown
    assert ": sent by a load test</dd>" in shown
    assert database.row("SELECT action, reason, resolved_by FROM resolved_dead_letters") == {
        "action": "discarded",
        "reason": "sent by a load test",
        "resolved_by": "operator",
    }


async def test_dead_letter_that_was_discarded_meanwhile_is_left_alone_and_said(signed_in: SignedIn) -> None:
    operator = await signed_in(PersonRole.OPERATOR)
    await operator.post("/dead-letters", act="discard", id=FIRST, because="a test", confirmed="yes")

    answer = await operator.post("/dead-letters", act="replay", id=FIRST)

    assert answer.status_code == 409
    assert "Discarded before" in answer.text


@pytest.mark.parametrize("fields", [{"act": "replay"}, {"act": "burn", "id": FIRST}, {"act": "replay", "id": "1:2:3"}])
async def test_form_without_a_choice_is_refused(signed_in: SignedIn, fields: dict[str, str]) -> None:
    assert (await (await signed_in(PersonRole.OPERATOR)).post("/dead-letters", **fields)).status_code == 409


async def test_json_api_lists_shows_replays_and_discards(
    person: Callable[..., Any], database: Database, broker: Broker
) -> None:
    client, path = await person(PersonRole.OPERATOR), "/api/v1/dead-letters"

    listed = (await client.get(path)).json()
    shown = (await client.get(f"{path}/{FIRST}")).json()
    tried = (await client.post(f"{path}/replay", json={"ids": [FIRST], "dry_run": True})).json()
    before = broker.published(SUBMITTED)
    replayed = (await client.post(f"{path}/replay", json={"ids": [FIRST]})).json()
    with_pan = await client.post(f"{path}/discard", json={"ids": [SECOND], "because": "of ABCDE1234F"})
    discarded = (await client.post(f"{path}/discard", json={"ids": [SECOND], "because": "a load test"})).json()
    after = await client.post(f"{path}/replay", json={"ids": [SECOND]})
    missing = await client.get(f"{path}/{SUBMITTED_DLQ}:0:99")

    assert ([each["id"] for each in listed["dead_letters"]], listed["total"]) == ([FIRST, SECOND], 2)
    assert (shown["reason"], shown["payload"]["lines"]) == ("malformed_json", ["{XXXXX1234F"])
    assert (tried["resolved"], tried["dry_run"], before) == ([FIRST], True, 0)
    assert (replayed["resolved"], broker.published(SUBMITTED)) == ([FIRST], 1)
    assert discarded["resolved"] == [SECOND]
    assert [answer.status_code for answer in (with_pan, after, missing)] == [422, 409, 404]
    acts = database.rows("SELECT actor, action FROM acts WHERE subject_kind = 'dead_letter' ORDER BY id")
    assert [tuple(act.values()) for act in acts] == [
        ("operator", "dead_letter_viewed"),
        ("operator", "dead_letters_replayed"),
        ("operator", "dead_letters_discarded"),
    ]


async def test_json_api_lists_in_pages_which_go_on_behind_one_that_was_resolved(
    person: Callable[..., Any], broker: Broker
) -> None:
    client, path = await person(PersonRole.OPERATOR), "/api/v1/dead-letters"
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", b"key", HEADERS, 0)] * 9)  # offset 10 sorts behind 9
    ids = [f"{SUBMITTED_DLQ}:0:{offset}" for offset in range(11)]

    first = (await client.get(path, params={"limit": 5})).json()
    await client.post(f"{path}/discard", json={"ids": [ids[4]], "because": "a test"})
    pages = [(await client.get(path, params={"limit": 5, "after": ids[last]})).json() for last in (4, 9, 10)]
    bad = [await client.get(path, params={"after": each}) for each in ("", "1:2:3", f"{SUBMITTED}:0:1", "x" * 201)]

    listed = [[each["id"] for each in page["dead_letters"]] for page in (first, *pages)]
    assert listed == [ids[:5], ids[5:10], ids[10:], []]
    assert [page["total"] for page in (first, *pages)] == [11, 10, 10, 10]
    assert [each.status_code for each in bad] == [422] * 4
