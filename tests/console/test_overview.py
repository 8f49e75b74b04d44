"""Overview and System: what the pages say of a database that the test has filled."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import prequal.console
from harness.database import Database
from harness.waiting import soon
from prequal.console.consumers import Lag
from prequal.console.queries.system import processes
from prequal.console.rendering import Renderer, count, inr
from prequal.console.visit import Console
from prequal.core.settings.console import ConsoleSettings
from prequal.core.topology import Service
from prequal.domain.person import PersonRole
from prequal.postgres.connections import connected
from prequal.service.readiness import Readiness
from tests.support.reviews import in_review
from tests.support.submissions import stored


async def test_overview_counts_what_came_in_and_what_waits(signed_in: Callable[..., Any], database: Database) -> None:
    stored(database, 3)
    await in_review(database)

    page = (await (await signed_in(PersonRole.AUDITOR)).get("/?hours=24")).text

    assert "<b>3</b><span>applications without a decision</span>" in page
    assert "<b>1</b><span>case for people to decide</span>" in page
    assert "<b>4</b><span>applications</span>" in page
    assert "<b>3</b><span>PENDING</span><small>75.0 %</small>" in page


async def test_overview_of_nothing_says_so(signed_in: Callable[..., Any]) -> None:
    assert "Nothing came in." in (await (await signed_in(PersonRole.AUDITOR)).get("/")).text


async def test_parts_that_are_away_are_named_on_the_overview(signed_in: Callable[..., Any], console: Console) -> None:
    await console.consumers.ask()

    page = (await (await signed_in(PersonRole.OPERATOR)).get("/")).text

    assert "<b>–</b><span>dead letters for people to resolve</span>" in page
    assert "Away: Kafka, prequal-api, credit-service, decision-service, publisher, console." in page


async def test_system_shows_what_it_knows_with_its_age_while_kafka_is_away(
    signed_in: Callable[..., Any], console: Console
) -> None:
    operator_ = await signed_in(PersonRole.OPERATOR)
    await console.consumers.ask()
    before = (await operator_.get("/system")).text
    console.consumers.last = Lag(datetime(2026, 11, 28, 20, 0, 5, tzinfo=UTC), {"credit-service-group": 1234})

    page = (await operator_.get("/system")).text

    assert "How far the consumers are behind is not known." in before
    assert "<b>Kafka</b><span>does not answer</span>" in page
    assert "<b>1,234</b><span>messages behind: credit-service-group</span><small>as of 29 Nov 2026, 01:30:05" in page
    assert "revision 0" in page


async def test_processes_are_counted_by_their_connections(database: Database) -> None:
    async with (
        connected(database.url, "credit-service ready"),
        connected(database.url, "credit-service ready"),
        connected(database.url, "decision-service policy") as connection,
    ):
        found = await processes(connection)

    assert (found["credit-service"], found["decision-service"]) == (2, 0)


async def test_process_of_another_name_is_counted_as_its_service(database: Database, settings: ConsoleSettings) -> None:
    settings = settings.model_copy(update={"service_name": "the scoring in Mumbai"})
    readiness, stop = Readiness(Service.CREDIT, settings), asyncio.Event()
    watching = asyncio.create_task(readiness.watch(stop))
    async with connected(database.url, "test") as connection:
        await soon(lambda: readiness.answer()[1]["database"] == "connected")

        found = await processes(connection)

    stop.set()
    await watching
    assert found == dict.fromkeys(Service, 0) | {Service.CREDIT: 1}


def test_numbers_and_times_are_as_in_india() -> None:
    assert (inr(Decimal("1234567.5")), inr(None)) == ("₹12,34,567.50", "–")
    assert (count(1234567), count(0), count(None)) == ("12,34,567", "0", "–")
    at = Renderer("Asia/Kolkata").at
    assert at(datetime(2026, 11, 28, 20, 0, 5, tzinfo=UTC)) == "29 Nov 2026, 01:30:05 IST"
    assert (
        at(datetime(2026, 11, 28, 20, 0, 5, 42_900, tzinfo=UTC), milliseconds=True) == "29 Nov 2026, 01:30:05.042 IST"
    )
    assert [*map(Renderer("Asia/Kolkata").said, (True, False, None, 5))] == ["yes", "no", "–", "5"]


@pytest.mark.parametrize("text", ["2026-99-99T99:99:99Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"])
def test_words_that_only_look_like_a_time_are_shown_as_they_are(text: str) -> None:
    assert Renderer("Asia/Kolkata").said(text) == text


def test_no_template_has_inline_script_or_style_or_switches_escaping_off() -> None:
    for template in (Path(prequal.console.__file__).parent / "templates").iterdir():
        text = template.read_text(encoding="utf-8").replace('<script src="{{ script }}" defer></script>', "")
        found = [
            word for word in ("<script", "<style", "style=", " on", "|safe", "| safe", "autoescape") if word in text
        ]
        assert [word for word in found if word != " on" or any(f" on{e}=" in text for e in ("click", "load"))] == []


async def test_system_shows_the_key_that_encrypted_last_first(
    signed_in: Callable[..., Any], database: Database
) -> None:
    database.execute(
        """
        INSERT INTO key_uses (key_id, encryptions, last_used)
        VALUES (%s, 7, now() - interval '1 day'), (%s, 1234567, now())
        """,
        b"older123",
        b"newer123",
    )

    page = (await (await signed_in(PersonRole.OPERATOR)).get("/system")).text

    assert "12,34,567" in page
    assert page.index(b"newer123".hex()) < page.index(b"older123".hex())
