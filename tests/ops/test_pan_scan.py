"""The search for PANs in files: what is found, where it is said to be, and what is passed over."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prequal.cli.app import app
from prequal.core.errors import Misconfigured
from prequal.domain.pan import Pan
from prequal.ops import pan_scan
from prequal.ops.pan_scan import SHAPE, Finding, PanSearch, Scan
from prequal.security import pan_forms

PAN = "PQRPS6789T"
OTHER = "BNZPM2501F"
BINARY = b"\0\1\2\3"
runner = CliRunner()


def scanned(path: Path, search: PanSearch) -> tuple[list[Finding], Scan]:
    found: list[Finding] = []
    return found, pan_scan.scan([path], search, found.append)


def place_of(finding: Finding) -> tuple[str, int, str]:
    return Path(finding.file).name, finding.offset, finding.form


def test_shape_of_a_pan_is_found_in_text_with_its_offset_and_mask(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("₹ 5 for ".encode() + OTHER.encode() + b" and " + PAN.lower().encode() + b"\n")

    found, _ = scanned(tmp_path, PanSearch())

    assert found == [
        Finding(str(tmp_path / "log"), 10, SHAPE, "XXXXX2501F"),
        Finding(str(tmp_path / "log"), 25, SHAPE, "XXXXX6789t"),
    ]


def test_ids_are_no_shape_of_a_pan(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("trace abcde1234f00000000000000000000ab 0193abcd-abcd-7bcd-8bcd-abcde1234fab\n")

    found, done = scanned(tmp_path, PanSearch())

    assert found == []
    assert done.text_files == 1


@pytest.mark.parametrize(("in_binary", "count"), [(False, 0), (True, 1)])
def test_shape_counts_in_binary_files_only_when_asked_for(in_binary: bool, count: int, tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(BINARY + OTHER.encode())

    found, done = scanned(tmp_path, PanSearch(shapes_in_binary=in_binary))

    assert [place_of(finding) for finding in found] == [("segment", 4, SHAPE)] * count
    assert (done.files, done.text_files) == (1, 0)


def test_compressed_file_is_not_taken_for_text(tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(bytes(range(1, 256)) * 4)

    _, done = scanned(tmp_path, PanSearch())

    assert done.text_files == 0


def test_given_pan_is_found_in_binary_files_in_every_form(tmp_path: Path) -> None:
    expected = []
    for content, form in pan_forms.forms(PAN).items():
        (tmp_path / form).write_bytes(BINARY + content + BINARY)
        expected.append((form, 4, form))

    found, _ = scanned(tmp_path, PanSearch([Pan(PAN), Pan(OTHER)]))

    assert sorted(map(place_of, found)) == sorted(expected)
    assert {finding.pan_masked for finding in found} == {"XXXXX6789T"}


def test_given_pan_in_text_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{PAN}\n")

    found, _ = scanned(tmp_path, PanSearch([Pan(PAN)]))

    assert list(map(place_of, found)) == [("log", 0, "as it is")]


@pytest.mark.parametrize("size", range(1, 60))
def test_each_match_is_found_once_wherever_a_chunk_ends(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pan_scan, "CHUNK_BYTES", size)
    lines = [b"-" * length + PAN.encode() for length in range(40)]
    (tmp_path / "log").write_bytes(b"".join(lines))

    found, done = scanned(tmp_path, PanSearch([Pan(PAN)]))

    ends = [len(b"".join(lines[: number + 1])) for number in range(40)]
    assert [finding.offset for finding in found] == [end - len(PAN) for end in ends]
    assert done.bytes_read == ends[-1]


def test_id_across_the_end_of_a_chunk_stays_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pan_scan, "CHUNK_BYTES", 50)
    (tmp_path / "log").write_text("." * 45 + "abcde1234f" * 6 + "." * 300)

    found, _ = scanned(tmp_path, PanSearch())

    assert found == []


def test_folder_behind_a_link_is_searched_once(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "wal").write_bytes(BINARY + PAN.encode())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pg_wal").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "above").symlink_to(tmp_path / "data")

    found, _ = scanned(tmp_path / "data", PanSearch([Pan(PAN)]))

    assert list(map(place_of, found)) == [("wal", 4, "as it is")]


def test_pipes_and_broken_links_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")

    found, done = scanned(tmp_path, PanSearch())

    assert (found, done) == ([], Scan())


def test_file_that_cannot_be_read_is_named_without_a_pan_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / f"{OTHER}.log").symlink_to(f"{OTHER}.log")  # a circle: root may read everything else

    shown = runner.invoke(app, ["scan", str(tmp_path)])

    assert shown.exit_code == 2
    assert f"{tmp_path / 'XXXXX2501F.log'} cannot be read." in shown.output
    assert OTHER not in shown.output


def test_search_that_misses_the_planted_pan_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PanSearch, "in_window", lambda *_, **__: iter(()))

    with pytest.raises(Misconfigured, match="do not trust it"):
        pan_scan.check_control()


def test_planted_pan_is_found_in_all_its_forms_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    found = pan_scan.check_control()

    assert found > 30
    assert list(tmp_path.iterdir()) == []


def test_command_shows_place_form_and_mask_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(BINARY + PAN.encode("utf-16-le"))

    shown = runner.invoke(app, ["scan", "--pans", str(tmp_path)], input=f"\n {PAN.lower()} \n{OTHER}\n")

    assert shown.exit_code == 1
    assert f"{tmp_path / 'segment'}  byte 4  utf-16  XXXXX6789T\n1 found in 1 files, 0 of them text" in shown.output
    assert "2 PANs given; the planted one was found" in shown.output
    assert PAN not in shown.output.upper()


def test_command_finds_nothing_in_clean_files_and_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("an application of XXXXX6789T\n")

    shown = runner.invoke(app, ["scan", "--json", "--pans", str(tmp_path)], input=PAN)

    assert shown.exit_code == 0
    content = json.loads(shown.output)
    assert content.pop("planted_forms_found") > 30
    assert content == {"files": 1, "text_files": 1, "bytes_read": 29, "findings": [], "unreadable": []}


@pytest.mark.parametrize(
    ("words", "entered"),
    [(["--pans", "."], "ABCDE12345\n"), (["--pans", "."], "\n"), ([PAN], ""), ([], "")],
    ids=["no PAN", "nothing entered", "PAN on the command line", "no path"],
)
def test_wrong_usage_is_refused_and_repeats_no_pan(words: list[str], entered: str) -> None:
    shown = runner.invoke(app, ["scan", *words], input=entered)

    assert shown.exit_code != 0
    assert PAN not in f"{shown.output} {shown.exception}"
    assert "ABCDE12345" not in f"{shown.output} {shown.exception}"
