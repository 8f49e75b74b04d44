"""The record in the console: verified with its chain, and asked who saw what."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, LiteralString

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from harness.database import Database, url_of_service
from harness.system import OTHER_KEY
from prequal.console import verifications
from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.person import PersonRole
from prequal.postgres.connections import connected
from prequal.record import chain, commands, queries
from prequal.record.heads import Head
from prequal.record.verification import Verdict
from tests.support.submissions import stored

SignedIn = Callable[..., Any]
KEY = SecretStr(OTHER_KEY)


@pytest.fixture
def settings(database: Database) -> ConsoleSettings:
    url = url_of_service(database.url, "console")
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers="127.0.0.1:1", record_key=KEY)


async def chained(settings: ConsoleSettings) -> None:
    async with connected(settings.database_url, "test") as connection:
        await chain.chain(connection, settings.record_keys()[0])


async def test_record_that_is_as_it_was_chained_is_said_to_be_with_its_head(
    signed_in: SignedIn, settings: ConsoleSettings
) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)
    await chained(settings)
    async with connected(settings.database_url, "test") as connection:
        newest = await queries.last_link(connection)

    answer = await auditor.post("/record/verify")
    page = (await auditor.get(answer.headers["location"])).text

    assert newest is not None
    assert "OK: " in page
    assert newest.mac.hex() in page
    assert "record verified" in page
    assert "nothing was cut off" not in page

    kept = json.dumps({"number": newest.number, "mac": newest.mac.hex()})
    await auditor.post("/record/verify", head=kept)
    page = (await auditor.get("/record")).text

    assert "and nothing was cut off since the head that was given" in page
    assert "kept head" in page


async def test_first_entry_that_a_superuser_altered_is_named(
    signed_in: SignedIn, settings: ConsoleSettings, database: Database
) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)
    await chained(settings)
    database.execute("ALTER TABLE acts DISABLE TRIGGER ALL")
    database.execute("UPDATE acts SET actor = 'nobody' WHERE id = 2")

    await auditor.post("/record/verify")
    page = (await auditor.get("/record")).text

    assert "acts:2 was altered" in page
    assert "OK: " not in page


@pytest.mark.parametrize(
    "change",
    [
        "details = ('{\"n\": ' || repeat('9', 5000) || '}')::jsonb",
        "details = (repeat('{\"a\":', 970) || '1' || repeat('}', 970))::jsonb",
        "details = '[7]'",
        'details = \'{"reason": "2026-99-99T99:99:99Z"}\'',
        "occurred_at = 'infinity'",
        "occurred_at = '4000-01-01 BC'",
    ],
)
async def test_entry_that_cannot_be_read_is_named_and_the_page_is_shown(
    signed_in: SignedIn, settings: ConsoleSettings, database: Database, change: LiteralString
) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)
    await chained(settings)
    database.execute("ALTER TABLE acts DISABLE TRIGGER ALL")
    database.execute("ALTER TABLE acts DROP CONSTRAINT acts_details_check")
    database.execute("UPDATE acts SET " + change + " WHERE id = 2")

    await auditor.post("/record/verify")
    page = await auditor.get("/record")

    assert page.status_code == 200
    assert "acts:2 was altered" in page.text


async def test_verification_that_fails_for_a_reason_that_is_not_known_says_so(
    signed_in: SignedIn, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Verdict:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(commands, "verify", fail)
    auditor = await signed_in(PersonRole.AUDITOR)

    with capture_logs() as logs:
        await auditor.post("/record/verify")
    page = (await auditor.get("/record")).text

    assert "The verification failed, and says nothing about the record" in page
    assert "Verified for auditor, –" not in page
    assert "secret" not in page
    (line,) = [each for each in logs if each["event"] == "record_not_verified"]
    assert line["error"].startswith("ZeroDivisionError at ")


async def test_blocks_that_were_cut_off_are_found_by_a_head_that_was_kept_outside(
    signed_in: SignedIn, settings: ConsoleSettings
) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)
    await chained(settings)

    await auditor.post("/record/verify", head=json.dumps({"number": 7, "mac": "00" * 32}))
    page = (await auditor.get("/record")).text

    assert "block:2 was cut off" in page


@pytest.mark.parametrize("head", ["no head", "[" * 20_000, '{"number": 1e999, "mac": ""}', '{"number": 0, "mac": ""}'])
async def test_text_that_is_no_head_is_refused_and_nothing_is_verified(
    signed_in: SignedIn, settings: ConsoleSettings, database: Database, head: str
) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)
    await chained(settings)

    answer = await auditor.post("/record/verify", head=head)

    assert answer.status_code == 409
    assert "A head is the text of a file" in answer.text
    assert database.value("SELECT count(*) FROM acts WHERE action = 'record_verified'") == 0


@pytest.mark.usefixtures("forms_do_not_wait")
async def test_long_verification_shows_how_far_it_is_and_takes_no_second(
    signed_in: SignedIn, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = asyncio.Event()
    loop = asyncio.get_running_loop()

    def verify(_: ConsoleSettings, head: Head | None, progress: Any) -> Verdict:
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(30)
        return Verdict(1, 3, 0, None)

    monkeypatch.setattr(commands, "verify", verify)
    auditor = await signed_in(PersonRole.AUDITOR)

    await auditor.post("/record/verify")
    running, second = await auditor.get("/record"), await auditor.post("/record/verify")
    may_end.set()

    assert "so far" in running.text
    assert running.headers["refresh"] == "2"
    assert second.status_code == 409


async def test_verification_that_would_take_too_long_ends(
    signed_in: SignedIn, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifications, "SECONDS_MAX", -1.0)
    auditor = await signed_in(PersonRole.AUDITOR)
    await chained(settings)

    await auditor.post("/record/verify")

    assert "It was ended after block 1" in (await auditor.get("/record")).text


async def test_who_saw_an_application_is_listed_and_that_it_was_asked_is_recorded(
    signed_in: SignedIn, database: Database
) -> None:
    (application,) = stored(database, 1)
    database.execute(
        "INSERT INTO audit_log (application_id, service, action) VALUES (%s, 'credit-service', 'READ')", application.id
    )
    await (await signed_in(PersonRole.REVIEWER)).get(f"/applications/{application.id}")
    auditor = await signed_in(PersonRole.AUDITOR)

    page = await auditor.post("/record/who", id=str(application.id))

    assert "the PAN was decrypted for the bureau" in page.text
    assert "person reviewer" in page.text
    assert application.pan not in page.text
    act = database.row("SELECT actor, subject FROM acts WHERE action = 'accesses_viewed'")
    assert act == {"actor": "auditor", "subject": str(application.id)}


async def test_who_is_not_asked_by_a_pan_and_repeats_none(signed_in: SignedIn) -> None:
    answer = await (await signed_in(PersonRole.AUDITOR)).post("/record/who", id="ABCDE1234F")

    assert answer.status_code == 409
    assert "ABCDE1234F" not in answer.text


async def test_age_of_what_is_not_chained_is_known_without_the_key(
    signed_in: SignedIn, settings: ConsoleSettings
) -> None:
    await signed_in(PersonRole.AUDITOR)
    async with connected(settings.database_url, "test") as connection:
        before = await queries.lag(connection)
        await chain.chain(connection, settings.record_keys()[0])
        after = await queries.lag(connection)

    assert before.chained_at is None
    assert before.oldest_unchained_seconds > 0
    assert after.chained_at is not None
    assert after.oldest_unchained_seconds == 0
