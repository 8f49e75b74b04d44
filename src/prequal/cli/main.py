"""The console script `prequal`: parses what was typed, runs it, and turns how it went into an exit code.

Invariant: a `PrequalError` reaches the person as one sentence on stderr, never as a traceback.
"""

import io
import os
import signal
import sys
from typing import Final

SERVING: Final = {"up", "api", "credit", "decision", "publisher"}
"""Commands that run until they are told to stop: being told so while still loading is no failure."""


def main() -> None:
    """Run the command line; ends the process with an exit code of `exit_codes`."""
    if SERVING.intersection(sys.argv[1:2]):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(0))  # an exception could get lost in somebody's import

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # ₹ on a terminal that has none

    from prequal.cli import exit_codes
    from prequal.cli.app import app
    from prequal.core.errors import PrequalError

    try:
        app(prog_name="prequal")
    except PrequalError as problem:
        sys.stderr.write(f"prequal: {problem}\n")
        sys.exit(exit_codes.of(problem))
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)
