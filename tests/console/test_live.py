"""Streams of the live pages: what they send, when they end, and how many there are."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from harness.database import Cluster, Database
from harness.waiting import soon
from prequal.client import ApiClient
from prequal.console import live
from prequal.console.app import LIVE
from prequal.console.live import Live, LivePage
from prequal.console.rights import RIGHTS, Right
from prequal.console.service import console_of
from prequal.core.settings.console import ConsoleSettings
from prequal.core.topology import Service
from prequal.domain.person import PersonRole
from prequal.postgres.connections import ConnectionPool
from prequal.service.readiness import Readiness
from tests.support.database_away import away
from tests.support.submissions import stored

SignedIn = Callable[..., Any]
OF_APPLICATIONS = next(page for page in LIVE if page.path == "/live/applications")
OF_TRY_IT = next(page for page in LIVE if page.right == Right.TRY_IT)
APPLICATION = {"id": "0190b5a8-0000-7000-8000-000000000000"}


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(live, "KEPT_SECONDS", 0.0)


@pytest.fixture
async def streams(settings: ConsoleSettings) -> AsyncIterator[Live]:
    async with ConnectionPool(settings.database_url, "console", 2) as pool:
        yield Live(console_of(settings, pool, Readiness(Service.CONSOLE, settings, needs_kafka=False), asyncio.Event()))


async def token_of(signed_in: SignedIn, role: PersonRole) -> str:
    return str((await signed_in(role)).client.cookies["console_session"])


def said(event: str) -> dict[str, Any]:
    """What an event says."""
    found: dict[str, Any] = json.loads(event.partition("data: ")[2])
    return found


async def test_fragment_is_sent_when_it_has_changed_and_not_before(
    streams: Live, signed_in: SignedIn, database: Database
) -> None:
    stream = streams.events(OF_APPLICATIONS, await token_of(signed_in, PersonRole.AUDITOR))

    first, unchanged = said(await anext(stream)), said(await anext(stream))
    (application,) = stored(database, 1)
    changed = said(await anext(stream))

    assert "None fits." in first["fragments"]["applications_list"]
    assert unchanged["fragments"] == {}
    assert str(application.id) in changed["fragments"]["applications_list"]
    assert application.pan not in json.dumps(changed)


async def test_stream_ends_with_its_session_which_it_does_not_use_up(
    streams: Live, signed_in: SignedIn, database: Database
) -> None:
    stream = streams.events(OF_APPLICATIONS, await token_of(signed_in, PersonRole.AUDITOR))
    before = database.value("SELECT idle_until FROM people_sessions")
    await anext(stream)
    after = database.value("SELECT idle_until FROM people_sessions")

    database.execute("UPDATE people_sessions SET idle_until = now()")
    last = [said(event) async for event in stream]

    assert before == after
    assert last == [{"words": live.ENDED, "over": True}]


@pytest.mark.parametrize("page", [page for page in LIVE if page != OF_TRY_IT], ids=lambda page: page.path)
async def test_stream_is_for_those_who_may_see_its_page(page: LivePage, streams: Live, signed_in: SignedIn) -> None:
    for role in PersonRole:
        first = said(await anext(streams.events(page, await token_of(signed_in, role))))
        assert ("fragments" in first) is (role in RIGHTS[page.right])
    assert said(await anext(streams.events(page, ""))) == {"words": live.ENDED, "over": True}


async def test_streams_are_bounded_and_one_that_ends_makes_room(
    streams: Live, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAMS_OF_A_SESSION_MAX", 1)
    token = await token_of(signed_in, PersonRole.AUDITOR)
    first = streams.events(OF_APPLICATIONS, token)
    await anext(first)

    refused = [said(event) async for event in streams.events(OF_APPLICATIONS, token)]
    await first.aclose()  # type: ignore[attr-defined]  # it is a generator
    then = said(await anext(streams.events(OF_APPLICATIONS, token)))

    assert refused == [{"words": live.TOO_MANY}]
    assert "fragments" in then


async def test_while_postgresql_is_away_a_stream_goes_on_exactly_if_its_session_was_seen(
    streams: Live, signed_in: SignedIn, cluster: Cluster, database: Database
) -> None:
    token = await token_of(signed_in, PersonRole.AUDITOR)
    known = streams.events(OF_APPLICATIONS, token)
    await anext(known)

    with away(cluster, database):
        words = said(await anext(known))["words"]
        unknown = streams.events(OF_APPLICATIONS, token)
        first, then = said(await anext(unknown)), await anext(unknown, None)

    async def goes_on() -> bool:
        return "fragments" in said(await anext(known))

    await soon(goes_on)

    assert (first, then) == ({"words": words}, None)
    assert streams._open == {token: 1}


async def test_head_of_a_stream_opens_none(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor, opened = await signed_in(PersonRole.AUDITOR), list[Any]()

    async def events(*asked: Any) -> AsyncIterator[str]:
        opened.append(asked)
        yield ""

    monkeypatch.setattr(Live, "events", events)
    head = await auditor.client.head("/live/applications")

    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert opened == []


async def test_stream_ends_when_the_process_is_to_stop(streams: Live, signed_in: SignedIn) -> None:
    stream = streams.events(OF_APPLICATIONS, await token_of(signed_in, PersonRole.AUDITOR))
    await anext(stream)

    streams._console.stop.set()

    assert [event async for event in stream] == []


async def test_result_of_the_sandbox_is_followed_until_it_is_there(
    settings: ConsoleSettings, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: dict[str, Any] = {"application_id": APPLICATION["id"], "status": "PENDING"}
    monkeypatch.setattr(ApiClient, "decision", lambda _, __, language: answers | {"notice": f"in {language}"})
    token = await token_of(signed_in, PersonRole.REVIEWER)
    sandbox = settings.model_copy(update={"try_it_api_url": "http://127.0.0.1:1"})
    async with ConnectionPool(settings.database_url, "console", 2) as pool:
        made = [
            console_of(each, pool, Readiness(Service.CONSOLE, each, needs_kafka=False)) for each in (sandbox, settings)
        ]
        streams, elsewhere = map(Live, made)
        stream = streams.events(OF_TRY_IT, token, APPLICATION)

        pending = said(await anext(stream))
        answers |= {"status": "REJECTED", "policy": {"version": "v1"}, "reasons": [{"sentence": "Too low."}]}
        then = [said(event) async for event in stream]
        refused = [said(event) async for event in elsewhere.events(OF_TRY_IT, token, APPLICATION)]
        nobody = [said(event) async for event in streams.events(OF_TRY_IT, "", APPLICATION)]

    decided = then[-1]["fragments"]["tried_result"]
    assert "Being decided" in pending["fragments"]["tried_result"]
    assert all(words in decided for words in ("REJECTED", "Too low.", "in en", "in hi"))
    assert [each["over"] for each in (pending, *then)] == [False] * len(then) + [True]
    assert refused == [{"words": "There is no sandbox.", "over": True}]
    assert nobody == [{"words": live.ENDED, "over": True}]
    assert streams._rendered == {}
