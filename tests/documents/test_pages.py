"""The pages name what is there: tests, files and links."""

import re
import tomllib
from pathlib import Path

import pytest

from observability.boards import BOARDS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/prequal"
FOLDERS = (PACKAGE, ROOT, ROOT / "deploy/kubernetes")
"""Where a page's paths begin."""
MOST_WORDS = {"ARCHITECTURE.md": 1_000, "docs/reliability.md": 1_100}
"""Overviews: what explains belongs into docs/technical-design.md, what each build left into docs/fault-runs.md."""
MOST_LINES = 100
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", MOST_WORDS)
def test_page_that_is_an_overview_stays_short(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")

    assert sum(any(map(str.isalnum, word)) for word in text.split()) <= MOST_WORDS[page]
    assert len(text.splitlines()) <= MOST_LINES


def test_every_test_that_the_architecture_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    written = {
        name
        for file in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }

    assert named
    assert named - written == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?)`", page.read_text(encoding="utf-8"))

    assert [path for path in named if not any((folder / path).exists() for folder in FOLDERS)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_is_there(page: Path) -> None:
    rules = re.findall(r"^([a-z0-9 -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    named = set(re.findall(r"`make ([a-z0-9-]+)", page.read_text(encoding="utf-8")))

    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_panel_that_a_page_names_is_on_its_board(page: Path) -> None:
    panels = {(board.uid.removeprefix("prequal-"), panel.title) for board in BOARDS for panel in board.panels()}
    text = " ".join(page.read_text(encoding="utf-8").split())
    lists = re.findall(r'board \*(\w+)\*[,:] ((?:(?:, | and | beside )?"[^"]+")+)', text)
    named = {(board.lower(), panel) for board, quoted in lists for panel in re.findall('"([^"]+)"', quoted)}

    assert named - panels == set()


def test_every_folder_of_tests_is_run_by_make_test_or_by_a_target_of_its_own() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    folders = {f"tests/{file.relative_to(ROOT / 'tests').parts[0]}" for file in ROOT.glob("tests/**/test_*.py")}

    apart = folders - set(options["testpaths"])
    assert apart == {
        "tests/browser",
        "tests/clients",
        "tests/e2e",
        "tests/containers",
        "tests/image",
        "tests/observability",
        "tests/recovery",
        "tests/tls",
    }
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"\$\(PYTEST\)( -n [0-9])? {folder}\n", makefile) for folder in apart)


def test_what_make_test_runs_is_run_by_the_targets_of_its_parts_too() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    runs = re.findall(r"\$\(PYTEST\) (.+)", (ROOT / "Makefile").read_text(encoding="utf-8"))

    assert set(options["testpaths"]) <= {folder for run in runs for folder in run.split()}
