"""Old blocks leave the database, exported and sealed, and the record still proves itself."""

import json
import resource
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from typer.testing import Result

from harness.database import Database
from prequal.core.errors import PrequalError, UsageError
from prequal.record import commands, heads, sealing
from prequal.record.acts import operator
from prequal.record.verification import Tampering, Verdict
from tests.builders import a_key_text
from tests.support.record import by_a_superuser, chained, run, settings_of, verified, written

TOMORROW = "2999-01-01"
NEVER = datetime(2999, 1, 1, tzinfo=UTC)
NO_FILE = "is no file of `prequal audit export`, or not as it was written"


@pytest.fixture
def record(database: Database) -> Database:
    """A record of four blocks, with four entries of each table in the first two, and one in the others."""
    for entries in (4, 4, 1, 1):
        written(database, entries)
        chained(database)
    return database


def exported(database: Database, file: Path, *, upto: int) -> Path:
    """A file with the blocks up to this one."""
    after = database.value("SELECT chained_at FROM record_blocks WHERE number = %s", upto + 1)
    commands.export(settings_of(database), file, after)
    return file


def ok(result: Result) -> Result:
    assert result.exit_code == 0, result.exception
    return result


def dropped(database: Database, file: Path) -> Any:
    return json.loads(ok(run(database, "drop", str(file), "--json")).stdout)


def refusal(database: Database, *words: str) -> str:
    error = run(database, *words).exception
    assert isinstance(error, PrequalError), error
    return str(error)


def verified_with(database: Database, *files: Path, head: Path | None = None) -> Verdict:
    known = heads.read_head(head) if head else None
    return commands.verify(settings_of(database), known, files=files)


def test_blocks_that_were_exported_and_dropped_leave_a_record_that_is_ok(record: Database, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"

    ok(run(record, "export", str(file), "--before", TOMORROW))
    done = dropped(record, file)

    assert done == {"block": 3, "deleted": 18}
    assert record.value("SELECT count(*) FROM record_blocks") == 1
    assert [record.count(table) for table in ("audit_log", "acts")] == [1, 2]  # the act of the drop among them
    assert verified(record) == Verdict(1, 2, 1, None, 3)
    assert verified_with(record, file) == Verdict(4, 20, 1, None, 3)
    assert "Blocks up to 3 have left, under a seal." in run(record, "verify").stdout
    act = record.row("SELECT subject, details FROM acts WHERE action = 'record_dropped'")
    assert act == {"subject": "3", "details": {"entries": 18, "file": "old.jsonl"}}
    assert file.stat().st_mode & 0o777 == 0o600


def test_chain_goes_on_and_later_blocks_leave_too(record: Database, tmp_path: Path) -> None:
    first = exported(record, tmp_path / "first.jsonl", upto=2)
    dropped(record, first)
    written(record)
    chained(record)
    second = tmp_path / "second.jsonl"
    ok(run(record, "export", str(second), "--before", TOMORROW))
    assert dropped(record, second)["block"] == 4
    written(record, 1)
    chained(record)

    assert verified(record).tampering is None
    verdict = verified_with(record, first, second)
    assert (verdict.blocks, verdict.tampering, verdict.sealed) == (6, None, 4)
    assert verified_with(record, second).tampering is None
    assert "does not go on" in refusal(record, "verify", "--export", str(second), "--export", str(first))
    assert "The files end at block 2" in refusal(record, "verify", "--export", str(first))
    assert "does not go on" in refusal(record, "drop", str(first))


def test_head_of_a_block_that_has_left_is_compared_with_its_file(record: Database, tmp_path: Path) -> None:
    written(record, 1)
    head = tmp_path / "head.json"
    run(record, "head", str(head))
    chained(record)
    file = tmp_path / "old.jsonl"
    written(record, 1)
    chained(record)
    ok(run(record, "export", str(file), "--before", TOMORROW))
    dropped(record, file)
    replaced = tmp_path / "replaced.json"
    replaced.write_text(json.dumps(json.loads(head.read_text()) | {"mac": "00" * 32}))

    assert verified_with(record, file, head=head).tampering is None
    assert verified_with(record, file, head=replaced).tampering == Tampering(
        "replaced since the head was exported", "block:4"
    )
    assert "Block 4 of the head has left the database" in refusal(record, "verify", "--head", str(head))


def test_entry_that_is_inserted_below_what_was_dropped_is_found(record: Database, tmp_path: Path) -> None:
    dropped(record, exported(record, tmp_path / "old.jsonl", upto=2))

    by_a_superuser(
        record,
        """
        INSERT INTO audit_log (id, application_id, service, action) OVERRIDING SYSTEM VALUE
        VALUES (3, '01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44', 'credit-service', 'READ')
        """,
    )

    assert verified(record).tampering == Tampering("left, or inserted, below what was dropped", "audit_log:3")


SEALS: dict[str, tuple[LiteralString, Tampering]] = {
    "altered": ("UPDATE record_seals SET audit_log_upto = 9", Tampering("altered", "seal:2")),
    "made by who has no key": (
        """
        UPDATE record_seals SET block = 3, chained_at = b.chained_at, audit_log_upto = b.audit_log_upto,
            acts_upto = b.acts_upto, block_mac = b.mac FROM record_blocks AS b WHERE b.number = 3
        """,
        Tampering("altered", "seal:3"),
    ),
    "removed": ("DELETE FROM record_seals", Tampering("removed", "block:1")),
}


@pytest.mark.parametrize("how", SEALS)
def test_seal_that_is_not_the_key_holders_is_found(record: Database, tmp_path: Path, how: str) -> None:
    statement, tampering = SEALS[how]
    dropped(record, exported(record, tmp_path / "old.jsonl", upto=2))

    with record.connect() as connection:
        connection.execute(statement)
        connection.commit()

    assert verified(record).tampering == tampering


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("credit-service", "nobody", "audit_log:1 was altered"),
        ('"chained_at": "20', '"chained_at": "19', "block:1 was altered"),
        ('{"number": 1,', '{"number": 7,', "block:1 was removed"),
        ('"digests"', '"other"', "is no file of `prequal audit export`"),
        ("null", "", "is no file of `prequal audit export`"),
    ],
)
def test_file_that_was_altered_drops_nothing_and_proves_nothing(
    record: Database, tmp_path: Path, before: str, after: str, words: str
) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=2)
    good = file.read_text()
    altered = tmp_path / "altered.jsonl"
    altered.write_text(good.replace(before, after, 1))

    assert words in refusal(record, "drop", str(altered))
    assert record.count("audit_log") == 10
    dropped(record, file)
    assert words in refusal(record, "verify", "--export", str(altered))


def with_fields(entry: dict[str, Any], **more: str) -> dict[str, Any]:
    return entry | {"fields": entry["fields"] | more}


def dated_otherwise(entry: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromisoformat(entry["occurred_at"])
    earlier = (at - timedelta(minutes=9)).isoformat()
    return with_fields(entry | {"occurred_at": earlier}, occurred_at=at.isoformat(timespec="microseconds"))


IN_FILES: dict[str, Callable[[dict[str, Any]], Sequence[dict[str, Any]]]] = {
    "another time, the true one among the fields": lambda entry: [dated_otherwise(entry)],
    "the id among the fields": lambda entry: [with_fields(entry, id=entry["id"])],
    "a column that the table has not": lambda entry: [with_fields(entry, place="Pune")],
    "a column missing": lambda entry: [entry | {"fields": {"actor": "asha"}}],
    "a word beside the fields": lambda entry: [entry | {"approved_by": "asha"}],
    "another entry of the same id before it": lambda entry: [with_fields(entry, actor="nobody"), entry],
    "a time without a zone": lambda entry: [entry | {"occurred_at": entry["occurred_at"].removesuffix("+00:00")}],
}


@pytest.mark.parametrize("how", IN_FILES)
def test_file_that_says_more_or_less_than_was_chained_is_refused(record: Database, tmp_path: Path, how: str) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=2)
    first, second, third = file.read_text().splitlines()
    block = json.loads(third)
    accesses, (act, *acts) = block["entries"]
    altered = tmp_path / "altered.jsonl"
    altered.write_text(
        "\n".join([first, second, json.dumps(block | {"entries": [accesses, [*IN_FILES[how](act), *acts]]})])
    )

    assert "not as it was written" in refusal(record, "drop", str(altered))
    dropped(record, file)
    assert "not as it was written" in refusal(record, "verify", "--export", str(altered))


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("null\n", '{"number": 1e999, "chained_at": "", "upto": ["1", "2"], "mac": ""}\n', NO_FILE),
        ("null\n", "[" * 20_000 + "\n", NO_FILE),
        ('"chained_at": "', '"chained_at": "0001-01-01T00:00:00+14:00", "x": "', NO_FILE),
        ('"occurred_at": "', '"occurred_at": "0001-01-01T00:00:00+14:00", "x": "', NO_FILE),
        ('{"reason":', '{"a": ' + json.dumps(nested(900)) + ', "reason":', NO_FILE),
        ('{"reason":', '{"n": ' + "9" * 5000 + ', "reason":', NO_FILE),
        ('"actor": "asha"', '"actor": "\\ud800"', "acts:1 was altered"),
    ],
)
def test_file_that_cannot_be_read_is_refused_in_words(
    record: Database, tmp_path: Path, before: str, after: str, words: str
) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=2)
    altered = tmp_path / "altered.jsonl"
    altered.write_text(file.read_text().replace(before, after, 1))

    assert words in refusal(record, "drop", str(altered))
    dropped(record, file)
    assert words in refusal(record, "verify", "--export", str(altered))


def test_file_that_says_something_twice_is_refused(record: Database, tmp_path: Path) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=2)
    altered = tmp_path / "altered.jsonl"
    altered.write_text(file.read_text().replace('"actor": "asha"', '"actor": "nobody", "actor": "asha"', 1))

    assert "not as it was written" in refusal(record, "drop", str(altered))


def test_what_is_not_as_it_was_chained_is_not_exported(record: Database, tmp_path: Path) -> None:
    by_a_superuser(record, "UPDATE audit_log SET service = 'nobody' WHERE id = 3")

    said = refusal(record, "export", str(tmp_path / "old.jsonl"), "--before", TOMORROW)

    assert said == "audit_log:3 was altered: nothing is exported."
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_written_is_named_and_the_database_is_not_blamed(record: Database, tmp_path: Path) -> None:
    file = tmp_path / "none" / "old.jsonl"

    with pytest.raises(UsageError) as problem:
        commands.export(settings_of(record), file, NEVER)

    assert str(problem.value) == f"{file} cannot be written: No such file or directory."
    assert refusal(record, "export", str(file), "--before", TOMORROW) == str(problem.value)
    assert refusal(record, "head", str(file)) == str(problem.value)


def test_disk_that_takes_no_more_leaves_no_file_and_the_database_is_not_blamed(
    record: Database, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UsageError) as problem:
            commands.export(settings_of(record), tmp_path / "old.jsonl", NEVER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert str(problem.value) == f"{tmp_path / 'old.jsonl'} cannot be written: File too large."
    assert list(tmp_path.iterdir()) == []


def test_block_that_was_replaced_since_it_was_exported_is_not_dropped(record: Database, tmp_path: Path) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=2)
    by_a_superuser(record, "DELETE FROM record_blocks")
    written(record, 1)
    chained(record)
    written(record, 1)
    chained(record)
    written(record, 1)
    chained(record)

    assert "stored otherwise" in refusal(record, "drop", str(file))


def test_newest_block_and_what_is_young_stay(record: Database, tmp_path: Path) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=3)
    by_a_superuser(record, "DELETE FROM record_blocks WHERE number = 4")

    young = refusal(record, "export", str(tmp_path / "older.jsonl"), "--before", "2020-01-01")
    newest = refusal(record, "drop", str(file))
    nothing = refusal(record, "verify", "--export", str(file))

    assert "No block is so old" in young
    assert "Block 3 is the newest" in newest
    assert "No block has left" in nothing


def test_drop_that_was_stopped_is_said_and_goes_on(record: Database, tmp_path: Path) -> None:
    file = exported(record, tmp_path / "old.jsonl", upto=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "DELETE_ROWS", 3)

        def stop(_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            commands.drop(settings_of(record), operator(), file, stop)

    assert verified(record).tampering == Tampering("left, or inserted, below what was dropped", "audit_log:4")
    assert dropped(record, file) == {"block": 2, "deleted": 13}
    assert verified(record).tampering is None
    assert record.value("SELECT count(*) FROM acts WHERE action = 'record_dropped'") == 1


def test_what_is_not_sealed_cannot_be_deleted_even_by_the_owner(record: Database, tmp_path: Path) -> None:
    dropped(record, exported(record, tmp_path / "old.jsonl", upto=2))

    for statement in (
        "DELETE FROM audit_log WHERE id = 9",
        "DELETE FROM acts WHERE id = 9",
        "UPDATE audit_log SET service = 'nobody'",
        "TRUNCATE acts",
    ):
        with record.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_seal_under_a_retired_key_needs_it(record: Database, tmp_path: Path) -> None:
    dropped(record, exported(record, tmp_path / "old.jsonl", upto=2))

    with pytest.raises(PrequalError, match="RECORD_KEY"):
        commands.verify(settings_of(record, a_key_text(22)), None)
