"""Heads of the chain in files: what is none is no assurance."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prequal.record import heads
from prequal.record.blocks import Link
from prequal.record.heads import Head, HeadsFolder, head_of, read_head, write_head
from prequal.telemetry import metrics

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


def a_link(number: int, hours: int = 0) -> Link:
    return Link(number, datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=hours), (1, 2), bytes.fromhex(MAC))


def unwritten_age() -> float:
    (family,) = metrics.RECORD_HEAD_UNWRITTEN_AGE.collect()
    return family.samples[0].value


async def test_head_that_cannot_be_written_grows_older_until_one_is_written(tmp_path: Path) -> None:
    now = 100.0
    kept = HeadsFolder(tmp_path / "not mounted", clock=lambda: now)
    assert unwritten_age() == 0

    for _ in range(2):
        await kept.keep(a_link(1))
        now += 60
    assert unwritten_age() == 120

    (tmp_path / "not mounted").mkdir()
    await kept.keep(a_link(2))
    now += 60
    assert unwritten_age() == 0

    await kept.keep(a_link(3))  # none is due before an hour is over
    now += 60
    assert unwritten_age() == 0


async def test_head_with_a_write_that_does_not_end_grows_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, ages = 100.0, []

    def stuck(*_: object) -> None:
        nonlocal now
        now += 60
        ages.append(unwritten_age())

    monkeypatch.setattr(heads, "write_head", stuck)

    await HeadsFolder(tmp_path, clock=lambda: now).keep(a_link(1))

    assert (ages, unwritten_age()) == ([60], 0)


async def test_without_a_folder_no_head_waits(tmp_path: Path) -> None:
    await HeadsFolder(None).keep(a_link(1))

    assert unwritten_age() == 0
