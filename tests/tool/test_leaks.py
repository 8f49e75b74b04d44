"""The search for PANs in the clear: every form is found, also across the border of two parts, and nothing else is."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from faults.checker import leaks
from faults.checker.leaks import Finding, Patterns, Search

PAN = "PQRPS6789T"
PATTERNS = Patterns({PAN: leaks.masked(PAN)})
DIGEST = hashlib.sha256(PAN.encode()).digest()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PAN.encode(), id="as it is"),
        pytest.param(PAN.lower().encode(), id="lower case"),
        pytest.param(PAN.encode("utf-16-le"), id="UTF-16, little end first"),
        pytest.param(PAN.encode("utf-16-be"), id="UTF-16, big end first"),
        pytest.param(base64.b64encode(b"abc" + PAN.encode() + b"z"), id="base64 at offset 0"),
        pytest.param(base64.b64encode(b"abcd" + PAN.encode() + b"zz"), id="base64 at offset 1"),
        pytest.param(base64.b64encode(b"abcde" + PAN.encode() + b"zzz"), id="base64 at offset 2"),
        pytest.param(base64.b64encode(PAN.encode()), id="base64 alone"),
        pytest.param(PAN.encode().hex().encode(), id="hexadecimal"),
        pytest.param(PAN.encode().hex().upper().encode(), id="hexadecimal, capitals"),
        pytest.param(DIGEST, id="SHA-256"),
        pytest.param(DIGEST.hex().encode(), id="SHA-256, hexadecimal"),
        pytest.param(base64.b64encode(DIGEST), id="SHA-256, base64"),
        pytest.param(base64.urlsafe_b64encode(DIGEST), id="SHA-256, base64 for addresses"),
        pytest.param(hashlib.sha1(PAN.encode()).hexdigest().encode(), id="SHA-1"),
        pytest.param(hashlib.md5(PAN.encode()).digest(), id="MD5"),
        pytest.param(hashlib.sha512(PAN.encode()).hexdigest().encode(), id="SHA-512"),
        pytest.param(base64.b64encode(hashlib.sha512(PAN.encode()).digest()), id="SHA-512, base64"),
        pytest.param(hashlib.sha3_256(PAN.encode()).hexdigest().encode(), id="SHA3-256"),
        pytest.param(base64.b64encode(hashlib.sha3_256(PAN.encode()).digest()), id="SHA3-256, base64"),
        pytest.param(hashlib.blake2b(PAN.encode()).hexdigest().encode(), id="BLAKE2b"),
        pytest.param(hashlib.blake2b(PAN.encode(), digest_size=16).hexdigest().encode(), id="BLAKE2b, 16 bytes"),
        pytest.param(base64.b64encode(hashlib.blake2b(PAN.encode(), digest_size=32).digest()), id="BLAKE2b, base64"),
        pytest.param(DIGEST.hex().encode()[:32], id="SHA-256, cut short"),
    ],
)
def test_pan_is_found_in_every_form(content: bytes) -> None:
    hits = PATTERNS.within(b"before\0" + content + b"\xffafter")

    assert {masked for masked, _ in hits} == {"XXXXX6789T"}


def test_other_pans_and_keyed_hashes_are_no_finding() -> None:
    innocent = b"PQRPS6789U" + b"XXXXX6789T" + base64.b64encode(os.urandom(5000)) + os.urandom(5000)

    assert PATTERNS.within(innocent) == []


def test_pan_across_the_border_of_two_parts_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "CHUNK_BYTES", 100)
    (tmp_path / "wal").write_bytes(b"." * 95 + PAN.encode() + b"." * 300)

    findings = Search(tmp_path).files(PATTERNS)

    assert findings == [Finding(str(tmp_path / "wal"), "XXXXX6789T", "as it is")]


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"." * 1000)
    (tmp_path / "grown").write_bytes(b"." * 1000)
    search = Search(tmp_path)
    search.remember()
    (tmp_path / "grown").write_bytes(b"." * 1000 + PAN.encode())

    first, second = (search.files(PATTERNS) for _ in range(2))

    assert [finding.place for finding in first] == [str(tmp_path / "grown")]
    assert second == []
    assert search.bytes_read == 1010


def test_file_that_is_left_out_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text(PAN)

    assert Search(tmp_path, leave_out=[tmp_path / "journal"]).files(PATTERNS) == []


def test_no_pans_are_found_nowhere() -> None:
    assert Patterns({}).within(b"anything") == []


@pytest.mark.parametrize(("content", "code"), [("nothing", 0), (f"a log line with {PAN}", 1)])
def test_command_says_whether_a_pan_was_found(
    content: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pans").write_text(f"{PAN}\n")
    (tmp_path / "log").write_text(content)
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setattr("sys.argv", ["leaks", str(tmp_path / "pans"), tmp_path.name])

    with pytest.raises(SystemExit) as end:
        leaks.main()

    assert end.value.code == code
    said = capsys.readouterr().out
    assert f"1 PANs looked for in 0 MiB: {code} findings; the planted one: found" in said
    assert PAN not in said
