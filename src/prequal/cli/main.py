"""The console script `prequal`: parses what was typed, runs it, and ends with its exit code.

Invariant: a `PrequalError` is shown as one sentence on stderr, never as a traceback.
"""

import errno
import io
import os
import signal
import sys
import warnings
from typing import Final

SERVING: Final = {"up", "api", "credit", "decision", "publisher", "console", "bureau"}
"""Commands that run until they are stopped: a stop while they still load is not a failure."""


FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a write to a file or device that takes no more."""


def main() -> None:
    """Run the command line; ends the process with an `ExitCode`."""
    if SERVING.intersection(sys.argv[1:2]):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(0))  # an exception could get lost in an import

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # ₹ on a terminal that has none

    from prequal.cli.app import app
    from prequal.cli.exit_codes import exit_code_of
    from prequal.core.errors import PrequalError
    from prequal.core.topology import ExitCode

    try:
        app(prog_name="prequal")
    except PrequalError as problem:
        # A request that was on its way is never answered now; Python's warning of it would have the last word.
        warnings.simplefilter("ignore")
        _say(str(problem))
        sys.exit(exit_code_of(problem))
    except OSError as problem:
        if problem.errno not in FULL:
            raise
        from prequal.local.console import discard_output

        discard_output(sys.stdout)
        _say(f"The output cannot be written: {os.strerror(problem.errno)}.")
        sys.exit(ExitCode.MISCONFIGURED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _say(words: str) -> None:
    """Say it on stderr, if that takes it: the exit code says it too."""
    try:
        sys.stderr.write(f"prequal: {words}\n")
        sys.stderr.flush()
    except OSError:
        from prequal.local.console import discard_output

        discard_output(sys.stderr)
