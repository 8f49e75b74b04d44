"""The seeded bugs: none of the commonly known ones is missing, and each still has code to break."""

import pytest

from faults import bugs
from faults.bugs import BUGS
from faults.bugs_run import ACTS, scenario_of
from faults.checker.verdict import INVARIANTS

COMMON = {
    "no_inbox",
    "offset_before_commit",
    "marked_before_the_ack",
    "plain_sha256",
    "pan_logged",
    "id_cursor",
    "readiness_never_recovers",
}


def test_no_commonly_known_bug_is_missing() -> None:
    assert set(BUGS) >= COMMON


def test_every_invariant_is_broken_by_some_bug() -> None:
    assert {name for bug in BUGS.values() for name in bug.red} == set(INVARIANTS)


@pytest.mark.parametrize("name", BUGS)
def test_bug_has_a_sentence_and_a_scenario(name: str) -> None:
    bug = BUGS[name]

    assert bug.words.endswith(".")
    assert bug.scenario in ACTS
    assert bug.red
    assert scenario_of(bug).name == name


@pytest.mark.parametrize("name", BUGS)
def test_bug_finds_the_code_that_it_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rebound = []

    def rebind(owner: object, attribute: str, new: object) -> None:
        monkeypatch.setattr(owner, attribute, new)
        rebound.append(attribute)

    monkeypatch.setattr(bugs, "_rebind", rebind)

    bugs.apply(name)

    assert rebound


def test_unknown_bug_is_a_sentence() -> None:
    with pytest.raises(SystemExit, match="There is no bug typo"):
        bugs.apply("typo")
