"""Whether a soak's series levels off, and that its picture shows each."""

import math
import os
from pathlib import Path

import pytest

from bench.levels import FIGURES, Figure, Level, Sample
from bench.soak import judge, log_bytes, of_processes, of_tables
from bench.soak_plot import picture
from harness.database import Database
from prequal.postgres.connections import connected

MEMORY, DESCRIPTORS, DEAD_ROWS, TABLES, INDEXES, EMPTIED, *_ = FIGURES
HALF_AN_HOUR = range(0, 1_810, 10)


def _is_level(figure: Figure, values: list[float]) -> bool:
    return Level.of([*zip(map(float, HALF_AN_HOUR), values, strict=True)]).is_reached(figure)


def test_series_that_rises_and_then_stays_levels_off() -> None:
    assert _is_level(MEMORY, [100 * (1 - math.exp(-at / 120)) for at in HALF_AN_HOUR])


@pytest.mark.parametrize("mib_an_hour", [60.0, 600.0])
def test_series_that_goes_on_rising_does_not_level_off(mib_an_hour: float) -> None:
    assert not _is_level(MEMORY, [80 + mib_an_hour * at / 3_600 for at in HALF_AN_HOUR])


def test_rise_within_the_slack_is_none() -> None:
    assert _is_level(DESCRIPTORS, [20.0 if at < 1_500 else 21.0 for at in HALF_AN_HOUR])
    assert not _is_level(DESCRIPTORS, [20 + at / 60 for at in HALF_AN_HOUR])


def test_dead_rows_that_a_vacuum_takes_away_again_level_off() -> None:
    sawtooth = [(at % 601) / 601 for at in HALF_AN_HOUR]

    assert _is_level(DEAD_ROWS, sawtooth)
    assert not _is_level(MEMORY, [100 * share for share in sawtooth])
    assert not _is_level(DEAD_ROWS, [at / 700 for at in HALF_AN_HOUR])


def _sample(at: int, **changes: object) -> Sample:
    tables = {"applications": 3_000_000.0 + 1_500 * 200 * at, "people": 8_192.0}
    empty: dict[str, dict[str, float]] = {figure.of: {} for figure in FIGURES}
    known = {"at": at, "decided": 200 * at, "tables": tables, "rows": {"applications": 200.0 * at}}
    return {**empty, **known, **changes}


def test_table_is_judged_by_what_a_decision_adds_to_it_and_a_small_one_left_out() -> None:
    samples = [_sample(at) for at in HALF_AN_HOUR]

    series = TABLES.series(samples)

    assert [*series] == ["applications"]
    assert series["applications"][-1] == (1_800, 1_500.0)
    assert judge(samples) == []


def test_table_that_is_emptied_again_is_judged_by_its_size() -> None:
    samples = [_sample(at, tables={"outbox_events": 1_000 * 200.0 * at}) for at in HALF_AN_HOUR]

    assert TABLES.series(samples) == {}
    assert EMPTIED.series(samples)["outbox_events"][-1] == (1_800, 360_000_000 / 2**20)
    assert judge(samples) == ["emptied tables, MiB of outbox_events"]


def test_dead_rows_are_a_share_of_the_live_ones_or_of_ten_thousand() -> None:
    dead = {"applications": 18_000.0, "outbox_events": 5_000.0}

    series = DEAD_ROWS.series([_sample(1_800, **{"dead rows": dead})])

    assert series["applications"] == [(1_800, 0.05)]
    assert series["outbox_events"] == [(1_800, 0.5)]


def test_what_rises_is_named() -> None:
    assert judge([_sample(at, memory={"api": 80 + at / 10, "credit": 70.0}) for at in HALF_AN_HOUR]) == [
        "memory, MiB of api"
    ]


def test_picture_has_a_line_and_a_name_for_each_series() -> None:
    drawn = picture([_sample(at, memory={"api": 80.0, "a<b": 70.0}) for at in HALF_AN_HOUR])

    assert drawn.count("<polyline") == 3
    assert "a&lt;b" in drawn
    assert "30 min" in drawn


async def test_sizes_rows_and_descriptors_are_those_of_the_system(database: Database, tmp_path: Path) -> None:
    (tmp_path / "topic-0").mkdir()
    (tmp_path / "topic-0/00.log").write_bytes(bytes(1_000))
    async with connected(database.url, "bench") as connection:
        found = await of_tables(connection, least_bytes=0)
    mine = of_processes({"me": {"pid": os.getpid()}})

    assert found["tables"]["audit_log"] > 0
    assert found["indexes"]["applications"] == database.value("SELECT pg_indexes_size('applications')")
    assert "outbox_archive" in found["rows"]
    assert mine["memory"]["me"] > 10
    assert mine["descriptors"]["me"] >= 3
    assert log_bytes(tmp_path) == 1_000
