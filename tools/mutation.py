"""What `mutmut run` left: the share of the mutants that a test finds, and whether each that none finds is a known one.

    python -m tools.mutation

Reads what mutmut printed about each mutant and `tests/mutation/survivors.toml`; exit code 1 when too many survive, or
more of a function than are listed there. Fewer are said, so that the list can be cut.
"""

import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARE: Final = 0.85
LIST: Final = Path("tests/mutation/survivors.toml")
FOUND: Final = {"killed", "timeout", "segfault"}
"""How a mutant ends that a test finds; one that loops for ever is found by the clock."""


@dataclass(frozen=True, slots=True)
class Known:
    """The survivors of one function, and why no test is to find them."""

    function: str
    count: int
    why: str


def known(text: str) -> list[Known]:
    """The list of known survivors, from its TOML."""
    return [Known(**each) for each in tomllib.loads(text)["survivors"]]


def results(lines: Iterable[str]) -> dict[str, str]:
    """How each mutant ended, by its name, from what `mutmut results --all true` prints."""
    pairs = (line.strip().rpartition(": ") for line in lines if "__mutmut_" in line)
    return {name: ended for name, _, ended in pairs}


def function_of(mutant: str) -> str:
    """`prequal.domain.pan.Pan.__format__`, of `prequal.domain.pan.xǁPanǁ__format____mutmut_4`."""
    module, _, name = mutant.rpartition("__mutmut_")[0].rpartition(".")
    return f"{module}.{name.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def survivors(ends: Mapping[str, str]) -> dict[str, list[str]]:
    """The mutants that no test found, by their function."""
    found: dict[str, list[str]] = defaultdict(list)
    for mutant, ended in ends.items():
        if ended not in FOUND:
            found[function_of(mutant)].append(mutant)
    return dict(sorted(found.items()))


def judge(ends: Mapping[str, str], listed: Iterable[Known]) -> list[str]:
    """What is wrong: too many survivors, or more of a function than are listed."""
    alive, counts = survivors(ends), {each.function: each.count for each in listed}
    share = 1 - sum(map(len, alive.values())) / len(ends)
    problems = [] if share >= SHARE else [f"{share:.1%} of the mutants are found, and {SHARE:.0%} must be"]
    return problems + [
        f"{function}: {len(mutants)} survive, and {counts.get(function, 0)} are listed: {', '.join(mutants)}"
        for function, mutants in alive.items()
        if len(mutants) > counts.get(function, 0)
    ]


def outlived(ends: Mapping[str, str], listed: Iterable[Known]) -> list[str]:
    """What the list says of survivors that there are no more."""
    alive = survivors(ends)
    return [
        f"{each.function}: {len(alive.get(each.function, []))} survive, and {each.count} are listed: cut the list"
        for each in listed
        if len(alive.get(each.function, [])) < each.count
    ]


def report(ends: Mapping[str, str]) -> str:
    """A line a module: found of all."""
    all_, found = Counter(map(_module, ends)), Counter(_module(name) for name in ends if ends[name] in FOUND)
    lines = [
        f"{found[module]:5} of {count:5}  {found[module] / count:6.1%}  {module}" for module, count in all_.items()
    ]
    total = f"{found.total():5} of {all_.total():5}  {found.total() / all_.total():6.1%}  all"
    return "\n".join([*sorted(lines, key=lambda line: line.split()[-1]), total])


def _module(mutant: str) -> str:
    return mutant.rpartition(".")[0]


def main() -> None:
    """Print the report and what is wrong with it."""
    said = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"], check=True, capture_output=True, text=True
    )
    ends, listed = results(said.stdout.splitlines()), known(LIST.read_text("utf-8"))
    problems = judge(ends, listed)
    sys.stdout.write("\n".join([report(ends), *outlived(ends, listed), *problems, ""]))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
