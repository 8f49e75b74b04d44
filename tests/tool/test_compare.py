"""Comparisons: when two sides differ beyond noise, and how a record goes on."""

import json
import os
import subprocess
from itertools import product
from math import log
from operator import mul
from pathlib import Path

import pytest

from bench.compare import Compared, Load, Running, Variant, compare, is_good, report
from bench.noise import chance_of, verdict
from bench.pairs import Measured, Pair, Record
from bench.plots import picture

SIDES = ("e0502c87", "0fd65d00")


@pytest.mark.parametrize(
    ("ratios", "chance"),
    [
        ([0.5] * 7, 2 / 2**7),
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], 2 / 2**6),
        ([0.5, 2.0], 1.0),
        # The smallest alone on its side: sums of ranks 0 and 1 of 64, to both sides.
        ([1.01, 0.9, 0.8, 0.7, 0.6, 0.5], 4 / 2**6),
        ([1.0, 1.0], 1.0),
    ],
)
def test_chance_is_that_of_wilcoxons_signed_rank_test(ratios: list[float], chance: float) -> None:
    assert chance_of(ratios) == pytest.approx(chance)
    assert chance_of([1 / ratio for ratio in ratios]) == pytest.approx(chance)


def test_chance_agrees_with_a_count_of_all_signs() -> None:
    ratios = [0.7, 0.9, 2.0, 0.8, 0.4, 1.5, 0.5]
    sizes = [abs(log(ratio)) for ratio in ratios]
    ranks = [sorted(sizes).index(size) + 1 for size in sizes]
    seen = sum(rank for rank, ratio in zip(ranks, ratios, strict=True) if ratio > 1)
    centre = sum(ranks) / 2
    sums = [sum(map(mul, ranks, signs)) for signs in product((0, 1), repeat=7)]

    expected = sum(abs(each - centre) >= abs(seen - centre) for each in sums) / len(sums)

    assert chance_of(ratios) == pytest.approx(expected)


def test_verdict_says_differs_no_difference_or_too_few() -> None:
    assert verdict([0.5, 0.55, 0.52, 0.5, 0.56, 0.51, 0.54]) == "differs (p 0.016)"
    assert verdict([0.9, 1.1, 1.05, 0.97, 1.02, 0.99, 1.01]).startswith("no difference seen (p ")
    assert verdict([0.5] * 5) == "too few pairs to say whether they differ: 6 are needed"


def test_figure_of_pairs_says_whether_the_sides_differ() -> None:
    pairs: list[Pair] = [({"all": 100.0 + n}, {"all": 50.0}) for n in range(7)]

    assert Compared.of(pairs, "all").words == "ratio 0.485 (pairs from 0.472 to 0.500), differs (p 0.016)"


def test_record_gives_the_pairs_of_the_same_sides_and_load_alone(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    ours = Record(file, "200/s", SIDES)
    ours.add(({"all": 2.0}, {"all": 1.0}))
    Record(file, "5/s", SIDES).add(({"all": 3.0}, {"all": 1.0}))
    Record(file, "200/s", (SIDES[0], "another")).add(({"all": 4.0}, {"all": 1.0}))
    with file.open("a") as cut_off:
        cut_off.write('{"load": "200/s", "si')
    ours.add(({"all": 5.0}, {"all": 2.0}))

    assert Record(file, "200/s", SIDES).pairs() == [({"all": 2.0}, {"all": 1.0}), ({"all": 5.0}, {"all": 2.0})]
    assert Record(tmp_path / "none.jsonl", "200/s", SIDES).pairs() == []
    assert Record(None, "200/s", SIDES).pairs() == []


class Fixed(Running):
    """A side that is not started, and says how often it was measured."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self.loads: list[Load] = []

    async def measure(self, load: Load) -> Measured:
        """What it always says."""
        self.loads.append(load)
        return self._measured


async def test_comparison_goes_on_from_its_record_and_has_all_its_pairs(tmp_path: Path) -> None:
    record = Record(tmp_path / "pairs.jsonl", "bursts of 10", SIDES)
    for _ in range(3):
        record.add(({"all": 2.0}, {"all": 1.0}))
    base, other = Fixed({"all": 4.0}), Fixed({"all": 3.0})

    pairs = await compare(base, other, Load(10), 5, record)

    assert len(base.loads) == len(other.loads) == 1 + 2  # to warm up, and the two that were missing
    assert [pair[0]["all"] for pair in pairs] == [2.0, 2.0, 2.0, 4.0, 4.0]
    assert record.pairs() == pairs


def test_side_is_named_by_revision_changes_settings_and_python(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "core.hooksPath=/dev/null")
        subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True, capture_output=True)

    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("prequal", "python"):
        (tmp_path / ".venv/bin" / name).touch()
    for name in ("src", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("one")
    git("init")
    git("add", "src", "docs")
    git("commit", "-m", "One")
    clean = Variant.parse([str(tmp_path)]).name
    (tmp_path / "docs/file").write_text("two")
    git("commit", "-am", "Two")
    (tmp_path / "docs/file").write_text("three")
    same = Variant.parse([str(tmp_path)]).name
    (tmp_path / "src/file").write_text("two")
    changed = Variant.parse([str(tmp_path)]).name

    assert same == clean
    assert changed != clean
    assert changed.split()[0].startswith(f"{clean.split()[0]}+")
    assert Variant.parse([str(tmp_path), "LOG_LEVEL=WARNING"]).name == f"{changed} LOG_LEVEL=WARNING"
    assert clean.endswith(f" {tmp_path}/.venv/bin/python")


@pytest.mark.parametrize(("python", "everything", "is_ok"), [(1.2, 1.0, True), (1.0, 1.2, False)])
def test_most_is_the_most_of_all_cpu(python: float, everything: float, is_ok: bool) -> None:
    assert is_good({"python": python, "all": everything}, 1.05) is is_ok
    assert is_good({"python": python, "all": everything}, None)


def test_picture_shows_the_newest_sides_of_a_load_and_leaves_out_figures_without_a_name(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    Record(file, "200/s", ("a", "b")).add(({"all": 1.0}, {"all": 3.0}))
    Record(file, "200/s", ("a", "c")).add(({"all": 1.0, "idle": 1.0}, {"all": 0.5, "idle": 0.0}))

    drawn = picture(file.read_text())

    assert drawn.count('class="dot"') == 1
    assert ">0.50<" in drawn


def test_clients_cpu_and_what_was_idle_are_in_the_report_without_a_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    pairs: list[Pair] = [({"all": 700.0, "client": 60.0, "idle": 0.0}, {"all": 350.0, "client": 58.0, "idle": 40.0})]

    ratios = report(pairs)

    assert ratios == {"all": 0.5}
    printed = capsys.readouterr().out
    assert "client        60.0 →     58.0 CPU µs a decision beside them" in printed
    assert "idle           0.0 →     40.0 CPU µs a decision beside them" in printed


def test_load_is_named_by_its_kind_and_size() -> None:
    loads = (Load(120_000), Load(6_000, 200.0), Load(0, None, 30.0))

    assert [load.words for load in loads] == ["bursts of 120,000", "200/s for 30 s", "idle for 30 s"]


def test_picture_shows_the_aim_of_a_load_whatever_its_size(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    for load in (Load(6_000, 200.0), Load(1_000, 100.0)):
        Record(file, load.words, SIDES).add(({"final p50": 2.0}, {"final p50": 1.0}))

    assert picture(file.read_text()).count('class="aim"') == 1


async def test_time_without_a_load_is_measured_by_the_second(tmp_path: Path) -> None:
    side = Fixed({})
    side._folder = tmp_path
    (tmp_path / "data").mkdir()
    processes = {name: {"pid": os.getpid()} for name in ("api", "credit", "decision", "publisher", "postgres", "kafka")}
    (tmp_path / "data/run.json").write_text(json.dumps({"processes": processes}))

    measured = await Running.measure(side, Load(0, None, 0.05))

    assert [*measured] == ["python", "postgres", "kafka", "all", "client", "idle"]
