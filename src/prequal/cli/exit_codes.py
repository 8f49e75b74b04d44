"""What the exit codes of `prequal` mean.

Invariant: a code means the same for every command.
"""

from typing import Final

from prequal.core.errors import Misconfigured, PrequalError, Transient, UsageError

DONE: Final = 0
REFUSED: Final = 1
MISCONFIGURED: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130


def of(problem: PrequalError) -> int:
    """The exit code that a failure ends with."""
    if isinstance(problem, (Misconfigured, UsageError)):
        return MISCONFIGURED
    return UNREACHABLE if isinstance(problem, Transient) else REFUSED
