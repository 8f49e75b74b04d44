"""Heads of the chain in files: what is none is no assurance."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prequal.record.blocks import Link
from prequal.record.heads import Head, head_of, read_head, write_head

MAC = "ab" * 32


def test_head_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_head(Link(812, datetime(2026, 1, 2, tzinfo=UTC), (1, 2), bytes.fromhex(MAC)), tmp_path / "head.json")

    assert read_head(tmp_path / "head.json") == Head(812, bytes.fromhex(MAC))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no head",
        "[" * 20_000,
        "[]",
        "7",
        "null",
        '"head"',
        f'{{"mac": "{MAC}"}}',
        '{"number": 7}',
        *(f'{{"number": {number}, "mac": "{MAC}"}}' for number in ("1e999", "1.0", "true", "null", '"7"', "0", "-1")),
        f'{{"number": {"9" * 5000}, "mac": "{MAC}"}}',
        *(json.dumps({"number": 7, "mac": mac}) for mac in ("", "00", MAC[2:], MAC + "00", "z" * 64)),
        '{"number": 7, "mac": 7}',
        '{"number": 7, "mac": null}',
    ],
)
def test_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no head$"):
        head_of(text)
