"""`python -m prequal.documents` writes the generated files; with `--check` it only compares.

Neighbours: `make documents` and the checks before a commit run this from the root of the checkout.
Invariant: `--check` changes nothing, and ends with exit code 1 when a file is not what the code says.
"""

import sys
from pathlib import Path

from prequal.documents import drifted, write


def main(words: list[str]) -> None:
    """Write into, or check, the working folder."""
    root = Path.cwd()
    if words == ["--check"]:
        if paths := drifted(root):
            sys.exit("Not what the code says: " + ", ".join(map(str, paths)) + ". Run `make documents`.")
    elif words == []:
        print("\n".join(f"Written: {path}" for path in write(root)) or "All documents are up to date.")  # noqa: T201
    else:
        sys.exit("Usage: python -m prequal.documents [--check]")


if __name__ == "__main__":
    main(sys.argv[1:])
