"""The words that the field does not use are kept out of code and pages: `python -m tools.retired_words [PATH…]`.

Invariant: a word counts whole, in any case and within names (`is_told`, `RetellLater`); the glossary alone may hold it.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

RETIRED = re.compile(
    r"retell(s|ings?)?|retold|untold|tellings?|tellers?|told|bury|buried|buries|burials?|condemn(s|ed)?|workbench|outlet|narrator"
    r"|keepers?|surroundings|homeless|mend(s|ed|ing)?|anew|whoever"
)
SEARCHED = (
    *("src", "tests", "harness", "faults", "bench", "observability", "deploy", "tools", "docs", "findings"),
    *(
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "Makefile",
        "Dockerfile",
        "docker-compose.yml",
    ),
    *("pyproject.toml", "requirements", ".env.example", "env"),
    *(".ci", ".dockerignore", ".gitignore", ".pre-commit-config.yaml"),
)
EXEMPT = ("docs/glossary.md", "tools/retired_words.py")

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def retired(text: str) -> set[str]:
    """The retired words in `text`, whole words and parts of names."""
    return {part for part in map(str.lower, _PARTS.findall(text)) if RETIRED.fullmatch(part)}


def findings(files: Iterable[Path]) -> list[str]:
    """`file:line: words` for each line that holds a retired word."""
    found = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (UnicodeDecodeError, IsADirectoryError):
            continue
        found += [
            f"{file}:{n}: {', '.join(sorted(words))}" for n, line in enumerate(lines, 1) if (words := retired(line))
        ]
    return found


def main(paths: list[str]) -> None:
    """Print what is found below `paths`, by default in everything that is searched; exit code 1 when there is any."""
    listing = subprocess.run(
        ["git", "ls-files", "--", *(paths or SEARCHED)], capture_output=True, text=True, check=True
    )
    found = findings(Path(name) for name in listing.stdout.splitlines() if name not in EXEMPT)
    if found:
        sys.exit("\n".join([*found, f"{len(found)} lines hold words that the field does not use."]))


if __name__ == "__main__":
    main(sys.argv[1:])
