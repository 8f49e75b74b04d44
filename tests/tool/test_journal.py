"""The client's journal: what is written is read back, also after its writer was killed in the middle of a line."""

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import journal
from harness.journal import (
    Answered,
    Connections,
    Entry,
    Fault,
    Journal,
    Looked,
    Lost,
    Measured,
    Planted,
    Probed,
    Sending,
    Transaction,
)

ENTRIES: list[Entry] = [
    Sending(1, 10.0, {"pan_number": "PQRPS6789T", "loan_type": "HOME"}, key="k"),
    Answered(1, 10.5, 202, "{}", "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44"),
    Lost(2, 11.0, "ReadTimeout"),
    Looked("01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44", 11.0, 11.1, 200, "PENDING"),
    Probed("api", "/ready", 12.0, 12.1, 200, {"status": "degraded"}, '{"status": "degraded"}', {"server": "x"}),
    Fault("begin", "broker frozen", 13.0, away=("kafka",), seen_by=("api",)),
    Measured("credit", 14.0, 4711, 12, 40, decrypts=3.0),
    Connections(15.0, {"prequal-api write #": 1}),
    Transaction(15.0, "prequal-api write", 0.5),
    Planted("loan_applications_submitted", 0, 7),
]


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as book:
        book.write(*ENTRIES)

    assert journal.read(tmp_path / "journal") == ENTRIES


def test_line_that_was_not_ended_is_no_entry(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as book:
        book.write(*ENTRIES)
    content = (tmp_path / "journal").read_bytes()

    (tmp_path / "journal").write_bytes(content[:-3])

    assert journal.read(tmp_path / "journal") == ENTRIES[:-1]


def test_journal_is_continued_and_its_owners_alone(tmp_path: Path) -> None:
    for entry in ENTRIES:
        with Journal(tmp_path / "journal") as book:
            book.write(entry)

    assert journal.read(tmp_path / "journal") == ENTRIES
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600


def test_what_is_noted_is_read_back_too(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as book:
        book.note(ENTRIES[0])
        book.write(ENTRIES[1])

    assert journal.read(tmp_path / "journal") == ENTRIES[:2]


def test_write_returns_when_the_disk_holds_it_and_those_who_wait_share_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, held = tmp_path / "journal", []

    def slow_disk(_: int) -> None:
        lines = path.read_bytes().count(b"\n")
        time.sleep(0.05)
        held.append(lines)

    monkeypatch.setattr("os.fdatasync", slow_disk)
    with Journal(path) as book, ThreadPoolExecutor(16) as scribes:
        list(scribes.map(lambda entry: book.write(entry), [ENTRIES[1]] * 16))

    assert held[-1] == 16
    assert len(held) <= 4


def test_note_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fdatasync", lambda _: pytest.fail("waited"))

    with Journal(tmp_path / "journal") as book:
        book.note(*ENTRIES)


def test_tail_goes_on_where_it_was(tmp_path: Path) -> None:
    tail = journal.Tail(tmp_path / "journal")
    with Journal(tmp_path / "journal") as book:
        book.write(*ENTRIES[:3])
        first = tail.read()
        book.write(*ENTRIES[3:])

    assert first == ENTRIES[:3]
    assert tail.read() == ENTRIES[3:]
    assert tail.read() == []
