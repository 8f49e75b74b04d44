"""The keys of reports, of the record and of second factors: one that nothing needs is retired, and no other."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from harness.applications import an_application
from harness.broker import REPORTED, Broker
from harness.database import PASSWORD, Database
from harness.system import DRAW_KEY, ENCRYPTION_KEY, OTHER_KEY, REPORT_KEY, a_system
from harness.waiting import PATIENCE_SECONDS
from prequal.cli.app import app
from prequal.core.errors import Misconfigured, Refused, Transient
from prequal.core.keys import key_bytes, key_id
from prequal.credit import queries
from prequal.decision.service import forget_retired
from prequal.local.logins import as_login
from prequal.messaging.report_mac import ReportMac
from prequal.ops import encryption_keys
from prequal.postgres import key_checks
from prequal.postgres.connections import Connection, connected
from prequal.record import chain
from prequal.record import queries as record_queries
from prequal.record.acts import operator
from prequal.record.blocks import Block
from prequal.schema.grants import Role
from tests.builders import a_key_text
from tests.support.record import RECORD_KEY, chained, written
from tests.support.submissions import Submission, stored

PEOPLE_KEY = a_key_text(21)
OLD = {"REPORT_KEY": REPORT_KEY, "RECORD_KEY": RECORD_KEY, "PEOPLE_KEY": PEOPLE_KEY}
REPORT_KEY_BYTES, RECORD_KEY_BYTES = (key_bytes(SecretStr(text)) for text in (REPORT_KEY, RECORD_KEY))
NEW_ID = key_id(key_bytes(SecretStr(OTHER_KEY))).hex()


def id_of(key: str) -> str:
    return key_id(key_bytes(SecretStr(key))).hex()


def prequal(database: Database, *words: str, **settings: str) -> Result:
    environment = {"DATABASE_URL": as_login(database.url, Role.ADMINISTRATOR, PASSWORD), **settings}
    return CliRunner().invoke(app, list(words), env=environment)


def a_report(submission: Submission) -> queries.Report:
    """A report of credit-service's, ready to be written."""
    return queries.Report(
        event_id=submission.event_id,
        digest=bytes(32),
        report_id=submission.report_id,
        application_id=submission.id,
        body=(submission.report().value or b"").decode(),
        correlation_id=None,
        traceparent=None,
    )


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.exception
    return result.stdout


def refusal(result: Result) -> str:
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


def rotated(database: Database, name: str) -> dict[str, str]:
    """Settings with another active key, after the database has learnt of it as of the old one."""
    for key in (OLD[name], OTHER_KEY):
        encryption_keys.make_known(database.url, operator(), name, key_bytes(SecretStr(key)))
    return {name: OTHER_KEY, f"{name}S_RETIRED": OLD[name]}


def listed(database: Database, name: str, keys: dict[str, str]) -> list[tuple[str, str, Any]]:
    found = json.loads(ok(prequal(database, "keys", "list", name, "--json", **keys)))
    return [(each["key_id"], each["state"], each["needed_by"]) for each in found]


def reported(database: Database, table: str, submission: Submission) -> None:
    database.execute(
        f"""
        INSERT INTO {table} (id, topic, event_id, event_type, application_id, payload)
        OVERRIDING SYSTEM VALUE VALUES (1, %s, %s, 'CreditReportGenerated', %s, %s)
        """,
        REPORTED,
        submission.report_id,
        submission.id,
        (submission.report().value or b"").decode(),
    )


def test_report_key_is_retired_when_nothing_that_it_signed_is_undecided(database: Database) -> None:
    keys, old = rotated(database, "REPORT_KEY"), id_of(REPORT_KEY)
    waiting = stored(database, 2)
    for table, submission in (
        ("outbox_events", waiting[0]),
        ("outbox_archive", waiting[0]),
        ("outbox_archive", waiting[1]),
    ):
        reported(database, table, submission)

    assert listed(database, "REPORT_KEY", keys) == [
        (old, "verifies", {"undecided applications": 2}),
        (NEW_ID, "active", {}),
    ]
    assert listed(database, "REPORT_KEY", {"REPORT_KEY": OTHER_KEY})[0] == (old, "not here", None)
    assert "is in use: undecided applications 2." in refusal(prequal(database, "keys", "retire", old, **keys))
    assert "is not here" in refusal(prequal(database, "keys", "retire", old, REPORT_KEY=OTHER_KEY))
    assert "is the active one" in refusal(prequal(database, "keys", "retire", NEW_ID, **keys))

    database.execute(
        """
        UPDATE applications SET status = 'REJECTED', cibil_score = 640, decision_rule = 'SCORE_BELOW_MINIMUM',
            decision_measures = '{}', policy_version = 'v1', version = 2
        """
    )
    assert "Take it out of decision-service's" in ok(prequal(database, "keys", "retire", old, **keys))

    assert listed(database, "REPORT_KEY", keys) == [(old, "retired", {}), (NEW_ID, "active", {})]
    assert "is retired already" in refusal(prequal(database, "keys", "retire", old, **keys))
    assert database.row("SELECT action, subject, details FROM acts ORDER BY id DESC LIMIT 1") == {
        "action": "key_retired",
        "subject": old,
        "details": {"purpose": "REPORT_KEY"},
    }


async def retire_elsewhere(database: Database, name: str, keys: dict[str, str]) -> Result:
    return await asyncio.to_thread(prequal, database, "keys", "retire", id_of(OLD[name]), **keys)


@pytest.mark.usefixtures("endless_transactions")
async def test_report_that_is_being_written_holds_retirement_of_its_key_off(database: Database) -> None:
    keys = await asyncio.to_thread(rotated, database, "REPORT_KEY")
    (waiting,) = stored(database)
    async with connected(as_login(database.url, Role.CREDIT, PASSWORD), "test report") as connection:
        async with connection.transaction():
            await queries.append_reports(connection, [a_report(waiting)], key_id(REPORT_KEY_BYTES))
            retired = await retire_elsewhere(database, "REPORT_KEY", keys)
            assert isinstance(retired.exception, Transient), retired.output

        assert "undecided applications 1" in refusal(await retire_elsewhere(database, "REPORT_KEY", keys))


@pytest.mark.usefixtures("endless_transactions")
async def test_nobody_waits_for_long_behind_a_retirement_that_waits_for_a_backup(database: Database) -> None:
    keys = await asyncio.to_thread(rotated, database, "REPORT_KEY")
    backup, write = connected(database.url, "test backup"), connected(database.url, "test write")
    async with backup as dumping, write as writing, dumping.transaction():
        await dumping.execute("SELECT FROM key_checks")
        retiring = asyncio.create_task(retire_elsewhere(database, "REPORT_KEY", keys))
        await writing.execute("SET lock_timeout = '2s'")
        looks = 0
        while not retiring.done():
            await writing.execute("SELECT FROM key_checks")  # raises when it has waited for two seconds
            looks += 1
            await asyncio.sleep(0.01)

    assert looks > 1
    assert isinstance((await retiring).exception, Transient)
    ok(await retire_elsewhere(database, "REPORT_KEY", keys))


async def test_report_that_is_written_between_the_looks_of_a_retirement_is_still_accepted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await asyncio.to_thread(rotated, database, "REPORT_KEY")
    (waiting,) = stored(database)
    held_off = key_checks.hold_checks_off

    async def written_before(connection: Connection) -> None:
        reported(database, "outbox_events", waiting)
        await held_off(connection)

    monkeypatch.setattr(key_checks, "hold_checks_off", written_before)

    assert "undecided applications 1" in refusal(await retire_elsewhere(database, "REPORT_KEY", keys))

    assert [state for _, state, _ in await asyncio.to_thread(listed, database, "REPORT_KEY", keys)] == [
        "verifies",
        "active",
    ]


async def test_nothing_is_reported_under_a_retired_key(database: Database) -> None:
    keys = await asyncio.to_thread(rotated, database, "REPORT_KEY")
    ok(await retire_elsewhere(database, "REPORT_KEY", keys))
    (waiting,) = stored(database)
    async with connected(as_login(database.url, Role.CREDIT, PASSWORD), "test report") as connection:
        with pytest.raises(Transient, match=rf"REPORT_KEY .id {id_of(REPORT_KEY)}. is retired: restart"):
            await queries.append_reports(connection, [a_report(waiting)], key_id(REPORT_KEY_BYTES))
        assert (database.count("outbox_events"), database.count("processed_messages")) == (0, 0)

        written = await queries.append_reports(connection, [a_report(waiting)], bytes.fromhex(NEW_ID))

    assert len(written) == 1


async def test_decision_accepts_a_key_no_more_once_it_is_retired(database: Database) -> None:
    mac, facts = ReportMac(key_bytes(SecretStr(OTHER_KEY)), [REPORT_KEY_BYTES]), b"facts"
    keys = await asyncio.to_thread(rotated, database, "REPORT_KEY")
    async with connected(as_login(database.url, Role.DECISION, PASSWORD), "test keys") as connection:
        await forget_retired(mac, connection)
        assert mac.is_valid(ReportMac(REPORT_KEY_BYTES).make(facts), facts)

        ok(await retire_elsewhere(database, "REPORT_KEY", keys))
        with capture_logs() as logs:
            for _ in range(2):
                await forget_retired(mac, connection)

        assert not mac.is_valid(ReportMac(REPORT_KEY_BYTES).make(facts), facts)
        assert mac.is_valid(mac.make(facts), facts)
        assert [(log["event"], log["keys"]) for log in logs] == [("report_keys_forgotten", [id_of(REPORT_KEY)])]
        with pytest.raises(Misconfigured, match=rf"REPORT_KEY .id {id_of(REPORT_KEY)}. is retired"):
            await forget_retired(ReportMac(REPORT_KEY_BYTES), connection)


@pytest.mark.usefixtures("endless_transactions")
async def test_block_that_is_being_chained_holds_retirement_of_its_key_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await asyncio.to_thread(rotated, database, "RECORD_KEY")
    written(database)
    added = record_queries.add

    async def meanwhile(connection: Connection, block: Block) -> None:
        await added(connection, block)
        retired = await retire_elsewhere(database, "RECORD_KEY", keys)
        assert isinstance(retired.exception, Transient), retired.output

    monkeypatch.setattr(record_queries, "add", meanwhile)

    async with connected(as_login(database.url, Role.AUDITOR, PASSWORD), "test chain") as connection:
        assert await chain.chain(connection, RECORD_KEY_BYTES) is not None

    assert "record_blocks 1" in refusal(await retire_elsewhere(database, "RECORD_KEY", keys))


async def test_block_that_is_chained_between_the_looks_of_a_retirement_keeps_its_key_in_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await asyncio.to_thread(rotated, database, "RECORD_KEY")
    written(database)
    held_off = key_checks.hold_checks_off

    async def chained_before(connection: Connection) -> None:
        async with connected(database.url, "test chain") as other:
            await chain.chain(other, RECORD_KEY_BYTES)
        await held_off(connection)

    monkeypatch.setattr(key_checks, "hold_checks_off", chained_before)

    assert "record_blocks 1" in refusal(await retire_elsewhere(database, "RECORD_KEY", keys))


async def test_nothing_is_chained_under_a_retired_key(database: Database) -> None:
    keys = await asyncio.to_thread(rotated, database, "RECORD_KEY")
    ok(await retire_elsewhere(database, "RECORD_KEY", keys))
    written(database)

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(Misconfigured, match=f"RECORD_KEY .id {id_of(RECORD_KEY)}. is not the key"):
            await chain.follow(as_login(database.url, Role.AUDITOR, PASSWORD), RECORD_KEY_BYTES, asyncio.Event())

    assert database.count("record_blocks") == 0


def test_record_key_is_retired_when_its_blocks_have_left_and_still_proves_their_file(
    database: Database, tmp_path: Path
) -> None:
    written(database)
    chained(database)
    keys, old = rotated(database, "RECORD_KEY"), id_of(RECORD_KEY)
    as_owner = {**keys, "DATABASE_URL": database.url}
    ok(prequal(database, "audit", "chain", **as_owner))

    assert listed(database, "RECORD_KEY", keys) == [
        (old, "verifies", {"record_blocks": 1}),
        (NEW_ID, "active", {"record_blocks": 1}),
    ]
    assert "is in use: record_blocks 1." in refusal(prequal(database, "keys", "retire", old, **keys))

    file = str(tmp_path / "old.jsonl")
    ok(prequal(database, "audit", "export", file, "--before", "2999-01-01", **as_owner))
    ok(prequal(database, "audit", "drop", file, **as_owner))
    ok(prequal(database, "keys", "retire", old, **keys))

    assert "OK: " in ok(prequal(database, "audit", "verify", "--export", file, **as_owner))
    chain_again = prequal(database, "audit", "chain", RECORD_KEY=RECORD_KEY, DATABASE_URL=database.url)
    assert isinstance(chain_again.exception, Misconfigured)


def test_people_key_is_retired_when_no_second_factor_is_under_it(database: Database) -> None:
    added = ("users", "add", "asha", "--role", "auditor", "--generate")
    ok(prequal(database, *added, "--totp", PEOPLE_KEY=PEOPLE_KEY))
    keys, old = rotated(database, "PEOPLE_KEY"), id_of(PEOPLE_KEY)

    assert listed(database, "PEOPLE_KEY", keys) == [(old, "decrypts", {"people": 1}), (NEW_ID, "active", {})]
    assert "is in use: people 1." in refusal(prequal(database, "keys", "retire", old, **keys))

    ok(prequal(database, "users", "password", "asha", "--generate", "--totp", **keys))
    ok(prequal(database, "keys", "retire", old, **keys))

    stale = prequal(
        database, "users", "add", "ravi", "--role", "auditor", "--generate", "--totp", PEOPLE_KEY=PEOPLE_KEY
    )
    assert isinstance(stale.exception, Misconfigured)


@pytest.mark.parametrize("name", list(OLD))
def test_only_key_of_its_kind_is_not_retired(database: Database, name: str) -> None:
    encryption_keys.make_known(database.url, operator(), name, key_bytes(SecretStr(OLD[name])))

    done = prequal(database, "keys", "retire", id_of(OLD[name]), **{name: OTHER_KEY, f"{name}S_RETIRED": OLD[name]})

    assert f"is the only one: `prequal keys rotate {name}` first" in refusal(done)


def test_key_that_is_not_known_and_the_key_of_draws_are_not_retired(database: Database) -> None:
    encryption_keys.make_known(database.url, operator(), "SCORE_DRAW_KEY", DRAW_KEY)
    ring = {"ENCRYPTION_KEY": OTHER_KEY, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    assert "scores would change" in refusal(prequal(database, "keys", "retire", key_id(DRAW_KEY).hex(), **ring))
    assert "knows no key 00ff00ff00ff00ff" in refusal(prequal(database, "keys", "retire", "00ff00ff00ff00ff", **ring))


def test_process_that_signs_with_a_retired_key_ends_and_says_so(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    with a_system(database.url, broker.bootstrap_servers, tmp_path) as system:
        system.start("credit")
        keys = rotated(database, "REPORT_KEY")
        ok(prequal(database, "keys", "retire", id_of(REPORT_KEY), **keys))

        assert system.credit.exit_code() == 2
        assert f"REPORT_KEY (id {id_of(REPORT_KEY)}) is not the key" in system.credit.last_sentence()


def retire_encryption_key(database: Database, broker: Broker) -> None:
    """Take the services' key out of use; another one is known since."""
    encryption_keys.make_known(database.url, operator(), "ENCRYPTION_KEY", key_bytes(SecretStr(OTHER_KEY)))
    ring = {"ENCRYPTION_KEY": OTHER_KEY, "ENCRYPTION_KEYS_RETIRED": ENCRYPTION_KEY}
    stores = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    ok(prequal(database, "keys", "retire", id_of(ENCRYPTION_KEY), **ring, **stores))


def test_api_accepts_nothing_under_an_encryption_key_once_it_is_retired(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    with a_system(database.url, broker.bootstrap_servers, tmp_path) as system:
        system.start("api")
        retire_encryption_key(database, broker)

        refused = httpx.post(f"{system.api.url}/applications", json=an_application(), timeout=10)

        (logged,) = system.api.logged("write_unavailable")
    assert (refused.status_code, database.count("applications")) == (503, 0)
    assert f"ENCRYPTION_KEY (id {id_of(ENCRYPTION_KEY)}) is retired" in logged["reason"]


def test_idle_api_that_encrypts_under_a_retired_key_ends_and_says_so(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    with a_system(database.url, broker.bootstrap_servers, tmp_path) as system:
        system.start("api")
        retire_encryption_key(database, broker)

        assert system.api.exit_code() == 2
        assert f"ENCRYPTION_KEY (id {id_of(ENCRYPTION_KEY)}) is not the key" in system.api.last_sentence()
