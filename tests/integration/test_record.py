"""The record and its chain: every entry is chained, and whatever a superuser does to it is found and named."""

import asyncio
import json
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from harness.database import Database
from harness.system import OTHER_KEY, PAN_HASH_KEY
from harness.waiting import eventually
from prequal.core.errors import Misconfigured, Refused, UsageError
from prequal.core.keys import check_value, key_bytes, key_id
from prequal.domain.pan import Pan
from prequal.ops.encryption_keys import make_known
from prequal.postgres import clock
from prequal.postgres.connections import Connection
from prequal.record import chain, commands, heads, queries
from prequal.record.acts import operator
from prequal.record.blocks import BLOCK_ENTRIES
from prequal.record.chain import follow
from prequal.record.heads import read_head
from prequal.record.verification import Tampering, Verdict
from prequal.security.pan_encryption import PanHasher
from tests.support.record import (
    ACT,
    APPLICATION,
    RECORD_KEY,
    WRITTEN,
    by_a_superuser,
    chained,
    run,
    settings_of,
    verified,
    written,
)


@pytest.fixture
def record(database: Database) -> Database:
    """A record of three blocks, with four entries of each table in the first two."""
    for _ in range(2):
        written(database)
        chained(database)
    written(database, 1)
    assert chained(database) == 3
    assert verified(database) == Verdict(3, 18, 0, None)
    return database


TAMPERING: dict[str, tuple[LiteralString, str, str]] = {
    "altered": ("UPDATE audit_log SET service = 'nobody' WHERE id = 3", "altered", "audit_log:3"),
    "details altered": ("UPDATE acts SET details = '{}' WHERE id = 2", "altered", "acts:2"),
    "removed": ("DELETE FROM audit_log WHERE id = 6", "removed", "audit_log:6"),
    "removed from its block too": (
        """
        DELETE FROM audit_log WHERE id = 2;
        UPDATE record_blocks SET audit_log_entries = substring(audit_log_entries FROM 1 FOR 24)
            || substring(audit_log_entries FROM 49) WHERE number = 1
        """,
        "altered",
        "block:1",
    ),
    "swapped": (
        "UPDATE acts a SET occurred_at = b.occurred_at FROM acts b WHERE (a.id, b.id) IN ((1, 2), (2, 1))",
        "swapped with acts:2",
        "acts:1",
    ),
    "back-dated": (
        "UPDATE audit_log SET occurred_at = occurred_at - interval '1 day' WHERE id = 5",
        "altered",
        "audit_log:5",
    ),
    "moved": (
        """
        WITH moved AS (DELETE FROM audit_log WHERE id = 7 RETURNING application_id, service, action, occurred_at)
        INSERT INTO audit_log (application_id, service, action, occurred_at) SELECT * FROM moved
        """,
        "removed",
        "audit_log:7",
    ),
    "details that no parser of ours reads": (
        "UPDATE acts SET details = ('{\"n\": ' || repeat('9', 5000) || '}')::jsonb WHERE id = 2",
        "altered",
        "acts:2",
    ),
    "time that Python has not": (
        "UPDATE audit_log SET occurred_at = 'infinity' WHERE id = 3",
        "altered",
        "audit_log:3",
    ),
    "year of six digits": ("UPDATE acts SET occurred_at = '200000-01-01' WHERE id = 3", "altered", "acts:3"),
    "time before Christ": ("UPDATE acts SET occurred_at = '4000-01-01 BC' WHERE id = 3", "altered", "acts:3"),
    "block of no time": ("UPDATE record_blocks SET chained_at = '-infinity' WHERE number = 3", "altered", "block:3"),
    "block removed": ("DELETE FROM record_blocks WHERE number = 2", "removed", "block:2"),
    "block altered": (
        "UPDATE record_blocks SET chained_at = chained_at - interval '1 day' WHERE number = 2",
        "altered",
        "block:2",
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_of_a_superuser_is_found_and_the_first_entry_named(record: Database, how: str) -> None:
    statement, kind, entry = TAMPERING[how]

    by_a_superuser(record, *(part for part in statement.split(";")))

    assert verified(record).tampering == Tampering(kind, entry)


@pytest.mark.parametrize("levels", [200, 960, 3000])
def test_details_that_are_nested_deep_are_found_and_named(record: Database, levels: int) -> None:
    with record.connect() as connection:
        connection.execute("ALTER TABLE acts DISABLE TRIGGER ALL")
        nested = '{"a":' * levels + "1" + "}" * levels
        connection.execute("UPDATE acts SET details = %s::jsonb WHERE id = 2", (nested,))
        connection.commit()

    assert verified(record).tampering == Tampering("altered", "acts:2")


def test_chain_goes_on_over_entries_that_no_process_of_ours_can_have_written(database: Database) -> None:
    written(database)
    by_a_superuser(
        database,
        "UPDATE acts SET details = ('{\"n\": ' || repeat('9', 5000) || '}')::jsonb WHERE id = 2",
        "UPDATE acts SET details = (repeat('{\"a\":', 970) || '1' || repeat('}', 970))::jsonb WHERE id = 3",
    )
    chained(database)
    assert verified(database) == Verdict(1, 8, 0, None)

    by_a_superuser(database, "UPDATE acts SET details = '{\"n\": 9}' WHERE id = 2")
    assert verified(database).tampering == Tampering("altered", "acts:2")


@pytest.mark.parametrize("at", ["infinity", "-infinity", "200000-01-01", "4000-01-01 BC"])
def test_time_that_cannot_be_read_is_named_where_it_was_given_before_the_chain(record: Database, at: str) -> None:
    record.execute(
        "INSERT INTO audit_log (application_id, service, action, occurred_at) VALUES (%s, 'a', 'READ', %s)",
        APPLICATION,
        at,
    )
    chained(record)

    assert verified(record).tampering == Tampering("back-dated before it was chained", "audit_log:10")
    assert run(record, "who", APPLICATION).stdout.endswith("10 accesses.\n")


def test_entry_that_is_inserted_between_chained_ones_is_found(database: Database) -> None:
    with database.connect() as open_transaction:
        open_transaction.execute(WRITTEN, (APPLICATION,))
        open_transaction.rollback()  # leaves a gap, as a failed write does
    written(database)
    chained(database)

    by_a_superuser(
        database,
        """
        INSERT INTO audit_log (id, application_id, service, action) OVERRIDING SYSTEM VALUE
        VALUES (1, '01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44', 'credit-service', 'READ')
        """,
    )

    assert verified(database).tampering == Tampering("inserted", "audit_log:1")


def test_entry_that_was_back_dated_before_it_was_chained_is_found(record: Database) -> None:
    by_a_superuser(
        record,
        """
        INSERT INTO audit_log (application_id, service, action, occurred_at)
        VALUES ('01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44', 'credit-service', 'READ', now() - interval '1 day')
        """,
    )
    chained(record)

    assert verified(record).tampering == Tampering("back-dated before it was chained", "audit_log:10")


DATED: LiteralString = """
    INSERT INTO audit_log (application_id, service, action, occurred_at)
    VALUES ('01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44', 'credit-service', 'READ', now() + interval '{}')
"""


def test_clock_that_steps_back_between_an_entry_and_its_block_raises_no_alarm(database: Database) -> None:
    database.execute(DATED.format("5 minutes"))  # as the clock had it before it stepped back
    chained(database)
    written(database, 1)
    chained(database)

    assert verified(database) == Verdict(2, 3, 0, None)
    first, second = (row["chained_at"] for row in database.rows("SELECT chained_at FROM record_blocks ORDER BY number"))
    assert first == second == database.value("SELECT occurred_at FROM audit_log WHERE id = 1")


def test_entry_of_a_time_that_no_clock_of_ours_can_have_had_is_found(record: Database) -> None:
    record.execute(DATED.format("1 day"))
    chained(record)

    assert verified(record).tampering == Tampering("back-dated before it was chained", "audit_log:10")


def test_time_that_a_superuser_gives_the_last_block_is_not_the_next_ones(record: Database) -> None:
    by_a_superuser(record, "UPDATE record_blocks SET chained_at = chained_at + interval '70 years' WHERE number = 3")
    written(record, 1)
    chained(record)
    by_a_superuser(record, "UPDATE record_blocks SET chained_at = chained_at - interval '70 years' WHERE number = 3")
    written(record, 1)
    chained(record)

    assert verified(record) == Verdict(5, 22, 0, None)


def test_cut_off_blocks_are_found_by_a_head_kept_outside(record: Database, tmp_path: Path) -> None:
    run(record, "head", str(tmp_path / "head.json"))

    by_a_superuser(
        record,
        "DELETE FROM audit_log WHERE id > 8",
        "DELETE FROM acts WHERE id > 8",
        "DELETE FROM record_blocks WHERE number = 3",
    )

    assert verified(record).tampering is None
    assert verified(record, heads.read_head(tmp_path / "head.json")).tampering == Tampering("cut off", "block:3")


def test_chain_that_was_made_again_under_the_same_key_differs_from_the_head(record: Database, tmp_path: Path) -> None:
    run(record, "head", str(tmp_path / "head.json"))

    by_a_superuser(record, "UPDATE audit_log SET service = 'nobody' WHERE id = 9", "DELETE FROM record_blocks")
    for _ in range(3):
        chained(record)
        written(record, 1)

    found = verified(record, heads.read_head(tmp_path / "head.json")).tampering
    assert found == Tampering("replaced since the head was exported", "block:3")


def test_chain_of_a_record_with_concurrent_writers_raises_no_alarm(database: Database) -> None:
    stop = threading.Event()

    def write(number: int) -> None:
        with database.connect() as connection:
            while not stop.is_set():
                connection.execute(WRITTEN, (APPLICATION,))
                if number % 2:
                    connection.execute(ACT)
                (connection.rollback if number == 3 else connection.commit)()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(20):
            chained(database)
            assert verified(database).tampering is None
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    chained(database)
    verdict = verified(database)
    entries = database.value("SELECT (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM acts)")
    assert (verdict.entries, verdict.waiting, verdict.tampering) == (entries, 0, None)


def test_entry_of_a_transaction_that_stays_open_is_never_passed_over(database: Database) -> None:
    with database.connect() as slow:
        slow.execute(WRITTEN, (APPLICATION,))
        written(database, 1)  # has the greater id, and commits first

        assert chained(database) == 0
        slow.commit()

    assert chained(database) == 1
    assert verified(database) == Verdict(1, 3, 0, None)


def aged(database: Database) -> None:
    """Let the entries that are in no block be an hour old."""
    by_a_superuser(
        database,
        """
        UPDATE audit_log SET occurred_at = occurred_at - interval '1 hour'
        WHERE id > coalesce((SELECT max(audit_log_upto) FROM record_blocks), 0)
        """,
        """
        UPDATE acts SET occurred_at = occurred_at - interval '1 hour'
        WHERE id > coalesce((SELECT max(acts_upto) FROM record_blocks), 0)
        """,
    )


def many_written(database: Database, entries: int) -> None:
    database.execute(
        """
        INSERT INTO audit_log (application_id, service, action)
        SELECT %s::uuid, 'credit-service', 'READ' FROM generate_series(1, %s)
        """,
        APPLICATION,
        entries,
    )


def test_many_entries_behind_a_transaction_that_stayed_open_are_chained_late_without_an_alarm(
    database: Database,
) -> None:
    with database.connect() as slow:
        slow.execute(WRITTEN, (APPLICATION,))
        many_written(database, 2 * BLOCK_ENTRIES)
        assert chained(database) == 0
        slow.commit()
    written(database, 1)
    aged(database)

    assert chained(database) == 3
    assert verified(database) == Verdict(3, 2 * BLOCK_ENTRIES + 3, 0, None)

    by_a_superuser(database, DATED.format("-1 day"))
    chained(database)
    assert verified(database).tampering == Tampering(
        "back-dated before it was chained", f"audit_log:{2 * BLOCK_ENTRIES + 3}"
    )


def test_chain_that_stood_still_between_its_look_and_its_block_raises_no_alarm(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(database, 1)
    locked, now = queries.lock, clock.now
    with monkeypatch.context() as patched:

        async def an_hour_later(connection: Connection) -> datetime:
            return await now(connection) + timedelta(hours=1)

        async def stood_still(connection: Connection) -> bool:
            await asyncio.to_thread(written, database, 1)
            patched.setattr(clock, "now", an_hour_later)
            return await locked(connection)

        patched.setattr(queries, "lock", stood_still)
        assert chained(database) == 1

    assert chained(database) == 2
    assert verified(database) == Verdict(2, 6, 0, None)


def test_followed_chain_takes_an_entry_within_five_seconds_and_writes_a_head(
    database: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        stop = asyncio.Event()
        following = asyncio.create_task(follow(database.url, key_bytes(SecretStr(RECORD_KEY)), stop, tmp_path))
        await asyncio.to_thread(written, database, 1)
        await asyncio.to_thread(eventually, lambda: list(tmp_path.glob("head-*.json")))
        stop.set()
        await following

    asyncio.run(scene())

    assert verified(database).tampering is None


def test_head_that_cannot_be_written_is_said_once_and_the_chain_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "EVERY_SECONDS", 0.05)
    folder = tmp_path / "not mounted"

    def connections() -> list[str]:
        rows = database.rows("SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'record %%'")
        return [row["application_name"] for row in rows]

    def filled(blocks: int) -> list[str]:
        many_written(database, 1)  # of one table: what is written into two may come into two blocks
        eventually(lambda: database.count("record_blocks") == blocks)
        return connections()

    async def scene() -> None:
        stop = asyncio.Event()
        following = asyncio.create_task(follow(database.url, key_bytes(SecretStr(RECORD_KEY)), stop, folder))
        found = [await asyncio.to_thread(filled, blocks) for blocks in (1, 2, 3)]
        assert len(found[0]) == 1
        assert found[0] == found[1] == found[2]
        folder.mkdir()
        await asyncio.to_thread(eventually, lambda: list(folder.glob("head-*.json")))
        stop.set()
        await following

    with capture_logs() as logs:
        asyncio.run(scene())

    assert logs == [
        {
            "event": "record_head_not_written",
            "log_level": "warning",
            "folder": str(folder),
            "error": "No such file or directory",
        }
    ]
    assert read_head(folder / "head-3.json").number == 3


def test_blocks_of_a_retired_key_are_verified_with_it_and_not_without(record: Database) -> None:
    record.value(
        "INSERT INTO key_checks (purpose, key_id, check_value) SELECT 'RECORD_KEY', %s, %s RETURNING 1",
        key_id(key_bytes(SecretStr(OTHER_KEY))),
        check_value(key_bytes(SecretStr(OTHER_KEY))),
    )

    assert commands.verify(settings_of(record, OTHER_KEY, RECORD_KEY), None).tampering is None
    with pytest.raises(Misconfigured, match="RECORD_KEYS_RETIRED"):
        commands.verify(settings_of(record, OTHER_KEY), None)


def test_key_that_is_not_the_databases_chains_nothing(record: Database) -> None:
    with pytest.raises(Misconfigured, match="RECORD_KEY"):
        commands.chain(settings_of(record, OTHER_KEY))


def test_record_is_append_only_where_statement_triggers_do_not_fire(record: Database) -> None:
    with record.connect() as connection:
        connection.execute("ALTER TABLE audit_log DISABLE TRIGGER audit_log_is_append_only")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE audit_log SET service = 'nobody' WHERE id = 1")
        connection.rollback()


# ── the command line ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("typed", ["ABCPE1234", "ABCPE12345", "ABCPE 1234F", "₹"])
def test_mistyped_pan_is_refused_in_words_that_do_not_repeat_it(database: Database, typed: str) -> None:
    result = run(database, "who", typed=f"{typed}\n")

    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == (
        "What was typed is not a PAN: five capital letters, four digits and a capital letter are expected."
    )
    assert typed not in result.output


def test_verify_says_ok_with_counts_and_refuses_an_altered_record(record: Database) -> None:
    assert run(record, "verify").stdout == "OK: 18 entries in 3 blocks are as they were chained.\n"

    by_a_superuser(record, "UPDATE audit_log SET service = 'nobody' WHERE id = 6")

    assert str(run(record, "verify").exception) == (
        "audit_log:6 was altered; 8 entries before it are as they were chained."
    )
    assert isinstance(run(record, "verify", "--json").exception, Refused)
    assert '"kind": "altered"' in run(record, "verify", "--json").stdout


@pytest.mark.parametrize("text", ["[" * 20_000, '{"number": 0, "mac": ""}'])
def test_file_that_holds_no_head_is_refused(record: Database, tmp_path: Path, text: str) -> None:
    file = tmp_path / "head.json"
    file.write_text(text)

    assert str(run(record, "verify", "--head", str(file)).exception) == (
        "--head names no file that `prequal audit head` wrote."
    )


def test_who_lists_accesses_by_application_and_by_pan_and_shows_no_pan(database: Database) -> None:
    pan = Pan("ABCPE1234F")
    database.value(
        """
        INSERT INTO applications (
            id, pan_number_encrypted, pan_number_hash, pan_number_masked, monthly_income_inr, loan_amount_inr, loan_type
        ) VALUES (%s, %s, %s, %s, 85000, 1500000, 'HOME') RETURNING 1
        """,
        APPLICATION,
        bytes(47),
        PanHasher(key_bytes(SecretStr(PAN_HASH_KEY))).hash(pan),
        pan.masked,
    )
    written(database, 1)

    by_id = run(database, "who", APPLICATION)
    by_pan = run(database, "who", typed=f"{pan.reveal()}\n")

    assert "credit-service: the PAN was decrypted for the bureau" in by_id.stdout
    assert by_id.stdout.endswith("1 access.\n")
    assert by_id.stdout in by_pan.stdout
    assert pan.reveal() not in by_pan.output

    assert run(database, "who", typed=f" {pan.reveal().lower()} \n").stdout == by_pan.stdout

    (access,) = json.loads(run(database, "who", "--json", typed=f"{pan.reveal()}\n").stdout)
    assert access["application_id"] == APPLICATION

    # The hash key has rotated since: applications of before are found by the key that they were hashed under.
    make_known(database.url, operator(), "PAN_HASH_KEY", key_bytes(SecretStr(PAN_HASH_KEY)))
    without = run(database, "who", typed=f"{pan.reveal()}\n", PAN_HASH_KEY=OTHER_KEY)
    both = {"PAN_HASH_KEY": OTHER_KEY, "PAN_HASH_KEYS_RETIRED": PAN_HASH_KEY}
    assert without.output.endswith(
        f"Applications hashed under key {key_id(key_bytes(SecretStr(PAN_HASH_KEY))).hex()} are not found: it is not in "
        f"PAN_HASH_KEYS_RETIRED.\n0 accesses.\n"
    )
    assert by_id.stdout in run(database, "who", typed=f"{pan.reveal()}\n", **both).stdout
