"""Every distribution that our code imports is named in pyproject.toml, where what imports it is installed from."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWN = {"prequal", *(folder.name for folder in ROOT.iterdir() if folder.is_dir())}
INNER_PARTS_ARE_USED = ("uvicorn",)
"""Distributions of which we use what they do not document: another minor release may have changed it."""


def named(requirements: Iterable[object]) -> set[str]:
    """The distributions of a list of requirements, spelt as in an index."""
    words = [each for each in requirements if isinstance(each, str)]
    return {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", each)[0]).lower() for each in words}


def imported(files: Iterable[Path]) -> Iterator[str]:
    """The first part of each name that these files import."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]


def undeclared(files: Iterable[Path], declared: set[str]) -> set[str]:
    """What is imported of a distribution that is not named."""
    distributions = packages_distributions()
    names = set(imported(files)) - OWN - set(sys.stdlib_module_names)
    return {name for name in names if not named(distributions.get(name, ())) & declared}


RUNTIME = named(PROJECT["project"]["dependencies"])
EXTRAS = {each for extra in PROJECT["project"]["optional-dependencies"].values() for each in named(extra)}
DEVELOPED_WITH = {each for group in PROJECT["dependency-groups"].values() for each in named(group)}


def test_what_the_product_imports_is_declared_with_it() -> None:
    assert undeclared((ROOT / "src").rglob("*.py"), RUNTIME | EXTRAS) == set()


@pytest.mark.parametrize("folder", ["tests", "bench", "faults", "harness", "observability", "tools"])
def test_what_it_is_developed_with_imports_is_declared(folder: str) -> None:
    assert undeclared((ROOT / folder).rglob("*.py"), RUNTIME | EXTRAS | DEVELOPED_WITH) == set()


@pytest.mark.parametrize("distribution", INNER_PARTS_ARE_USED)
def test_distribution_whose_inner_parts_are_used_is_bounded(distribution: str) -> None:
    (requirement,) = (each for each in PROJECT["project"]["dependencies"] if re.match(rf"{distribution}\W", each))

    assert "<" in requirement
