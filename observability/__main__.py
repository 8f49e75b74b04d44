"""`python -m observability` writes the boards and the rules of the service levels; `--check` only compares.

Invariant: `--check` changes nothing, and ends with exit code 1 when a file is not what the code says.
"""

import sys

from observability import files
from tools.__main__ import main

if __name__ == "__main__":
    main(sys.argv[1:], files())
