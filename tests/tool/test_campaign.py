"""`faults.run`: what a campaign plays again, what it lets pass, and that one broken system does not end it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from faults import results, run, stages
from faults.run import TRIES, Campaign
from faults.scenario import NotRun, Run, Scenario, Spoilt, Stage
from faults.systems import FaultSystem


class OfPaper:
    """A checker that finds nothing."""

    def check(self, _: object) -> list[object]:
        return []


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the systems that were opened; none starts anything."""
    folders: list[Path] = []

    def built(_: ExitStack, folder: Path, played: Scenario) -> Stage:
        folders.append(folder)
        system: Any = SimpleNamespace(folder=folder, ports={}, judged=None)
        played.opens(folder)
        return Stage(system, SimpleNamespace(write=lambda *_: None), OfPaper())  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "_built", built)
    monkeypatch.setattr(run, "keep_evidence", lambda stage, words: stages._name(stage.system.folder, words))
    return folders


def a_scenario(act: Callable[[Run], None], name: str = "fault", **changes: Any) -> Scenario:
    def at_rest(one: Run) -> None:
        one.at_rest = True
        act(one)

    return Scenario(7, name, at_rest, **{"opens": _nothing, **changes})


def _nothing(_: Path) -> FaultSystem:
    return None  # type: ignore[return-value]


def _nothing_else(_: Path) -> FaultSystem:
    return None  # type: ignore[return-value]


def happens(_: Run) -> None:
    """The fault happens, and all is well."""


def fails_to_happen(_: Run) -> None:
    raise Spoilt("nobody met it")


def lacks_something(_: Run) -> None:
    raise NotRun("there is no `mount` here")


def played(folder: Path, *scenarios: Scenario, **changes: Any) -> tuple[bool, list[tuple[str, int, str]]]:
    """Whether it passes, and name, seed and word of each run."""
    campaign = Campaign(scenarios, folder=folder, **changes)
    fine = campaign.play()
    return fine, [(each.name, each.seed, each.word) for each in campaign.results]


def test_clean_runs_pass_with_each_seed_once(tmp_path: Path) -> None:
    assert played(tmp_path, a_scenario(happens), runs=2, seed=5) == (
        True,
        [("fault", 5, "clean"), ("fault", 6, "clean")],
    )


def test_run_without_its_fault_is_repeated_with_unused_seeds(tmp_path: Path) -> None:
    def happens_but_with_seed_one(one: Run) -> None:
        if one.seed == 1:
            raise Spoilt("nobody met it")

    assert played(tmp_path, a_scenario(happens_but_with_seed_one), runs=2) == (
        True,
        [("fault", 1, "spoilt"), ("fault", 3, "clean"), ("fault", 2, "clean")],
    )


def test_fault_that_never_happens_does_not_pass(tmp_path: Path) -> None:
    fine, runs = played(tmp_path, a_scenario(fails_to_happen))

    assert not fine
    assert [word for *_, word in runs] == ["spoilt"] * TRIES


@pytest.mark.parametrize("allowed", [False, True])
def test_what_the_machine_lacks_passes_only_when_that_is_allowed(allowed: bool, tmp_path: Path) -> None:
    assert played(tmp_path, a_scenario(lacks_something), allow_not_run=allowed) == (allowed, [("fault", 1, "not run")])


def test_system_that_does_not_open_is_that_scenarios_failure_alone(tmp_path: Path, opened: list[Path]) -> None:
    def breaks(_: Path) -> FaultSystem:
        raise OSError("no free ports")

    fine, runs = played(tmp_path, a_scenario(happens, "broken", opens=breaks), a_scenario(happens))

    assert not fine
    assert runs == [("broken", 1, "VIOLATED"), ("fault", 1, "clean")]
    assert "no free ports" in (opened[0] / "violated").read_text()


@pytest.mark.parametrize("act", [lacks_something, lambda one: one.demand(False, "wrong")])
def test_system_is_not_used_again_after_a_run_that_was_not_clean(
    act: Callable[[Run], None], tmp_path: Path, opened: list[Path]
) -> None:
    played(tmp_path, a_scenario(happens, "first"), a_scenario(act, "second"), a_scenario(happens, "third"))

    assert [folder.name.split("-")[2] for folder in opened] == ["first", "third"]


def test_system_is_shared_by_those_that_want_the_same_kind(tmp_path: Path, opened: list[Path]) -> None:
    kinds = [_nothing, _nothing, _nothing_else, _nothing]

    played(tmp_path, *(a_scenario(happens, f"fault-{at}", opens=kind) for at, kind in enumerate(kinds)))

    assert [folder.name.split("-", 2)[2].rpartition("-")[0] for folder in opened] == ["fault-0", "fault-2", "fault-3"]


def test_folder_stays_when_something_was_violated_and_goes_when_not(tmp_path: Path, opened: list[Path]) -> None:
    wrong = a_scenario(lambda one: one.demand(False, "wrong"), "wrong")

    played(tmp_path, a_scenario(happens), wrong)

    assert [folder.exists() for folder in opened] == [True]
    assert "row 7: wrong" in (opened[0] / "violated").read_text()


def test_service_that_does_not_answer_is_not_yet_as_it_should_be(tmp_path: Path) -> None:
    answers = iter([httpx.ReadTimeout("busy"), True])

    def truth() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    scenario = a_scenario(lambda one: one.demand_soon(truth, 5, "never so"))

    assert played(tmp_path, scenario) == (True, [("fault", 1, "clean")])


def test_scenario_that_is_not_there_is_nonsense(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONLY", "99")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["run"])

    with pytest.raises(SystemExit) as end:
        run.main()

    assert end.value.code == 2
    assert "No scenario 99" in capsys.readouterr().out


@pytest.mark.parametrize(("word", "code"), [("28", 2), ("--help", 0)])
def test_word_plays_nothing(word: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLY", "no row, if it is looked at")
    monkeypatch.setattr("sys.argv", ["run", word])

    with pytest.raises(SystemExit) as end:
        run.main()

    assert end.value.code == code


def test_resumed_campaign_leaves_out_what_was_clean_at_this_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "revision", lambda: "abc")
    played(tmp_path, a_scenario(happens), a_scenario(fails_to_happen, "other"))

    resumed = played(tmp_path, a_scenario(happens), a_scenario(happens, "other"), resume=True)
    monkeypatch.setattr(run, "revision", lambda: "def")
    elsewhere = played(tmp_path, a_scenario(happens), resume=True)

    assert resumed == (True, [("other", 1, "clean")])
    assert elsewhere == (True, [("fault", 1, "clean")])


def test_campaign_of_uncommitted_code_cannot_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "revision", lambda: "abc+")

    with pytest.raises(SystemExit, match="not committed"):
        played(tmp_path, a_scenario(happens), resume=True)


def test_recorded_runs_are_summed_by_fault_and_load_and_counted_by_revision(tmp_path: Path) -> None:
    clean = results.Result("abc", 7, "fault", 1, "100 at 50/s", 4.0, 9.0, 80, 1.26)
    red = replace(clean, seed=2, revision="def", recovery_seconds=0.5, violations=("I1 is missing: x",))
    file = tmp_path / "results.jsonl"
    results.append(clean, replace(clean, name="other"), replace(clean, volume="500 at 20/s"), file=file)

    results.append(red, replace(clean, spoilt="nobody met it"), file=file)

    first, second, other = results.read(file)
    assert (other.name, other.runs) == ("other", {"abc": 1})
    assert (first.runs, first.violated) == ({"abc": 1, "def": 1}, ("seed 2 at def",))
    assert first.recovery == (0.5, 1.3)
    assert (second.volume, second.runs) == ("500 at 20/s", {"abc": 1})
    assert len(file.read_text().splitlines()) == 2  # one a row and load
    assert "| 2 | **1** (seed 2 at def) | 0.9 / 1.3 s | – | def |" in results.table([first])
