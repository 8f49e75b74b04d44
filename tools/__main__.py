"""`python -m tools` writes the generated files; with `--check` it only compares.

Invariant: `--check` changes nothing, and ends with exit code 1 when a file is not what the code says.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from tools.documents import documents, drifted, write


def main(words: list[str], files: Mapping[Path, str]) -> None:
    """Write `files` into, or check them in, the working folder."""
    root = Path.cwd()
    if words == ["--check"]:
        if paths := drifted(root, files):
            sys.exit("Not what the code says: " + ", ".join(map(str, paths)) + ". Run `make documents`.")
    elif words == []:
        print("\n".join(f"Written: {path}" for path in write(root, files)) or "All are up to date.")  # noqa: T201
    else:
        sys.exit("Only --check is understood; without it, what differs is written.")


if __name__ == "__main__":
    main(sys.argv[1:], documents())
