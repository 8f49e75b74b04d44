"""The exit code of a failure; the codes themselves stand in `core.topology`.

Invariant: a code means the same for every command.
"""

from prequal.core.errors import Misconfigured, PrequalError, Transient, UsageError
from prequal.core.topology import ExitCode


def exit_code_of(problem: PrequalError) -> ExitCode:
    """The exit code that a failure ends with."""
    if isinstance(problem, (Misconfigured, UsageError)):
        return ExitCode.MISCONFIGURED
    return ExitCode.UNREACHABLE if isinstance(problem, Transient) else ExitCode.REFUSED
