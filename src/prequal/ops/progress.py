"""Progress of a long command, said while a connection to the database is open.

Invariant: output that cannot be written is not taken for a failure of that connection, which OSError says as well.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

Words = ParamSpec("Words")


class _NotWritten(Exception):
    def __init__(self, problem: OSError) -> None:
        super().__init__(str(problem))
        self.problem = problem


@contextmanager
def kept_apart(progress: Callable[Words, None]) -> Iterator[Callable[Words, None]]:
    """`progress`, to be called in the block, which ends with the very OSError that it raised."""

    def say(*words: Words.args, **named: Words.kwargs) -> None:
        try:
            progress(*words, **named)
        except OSError as problem:
            raise _NotWritten(problem) from None

    try:
        yield say
    except _NotWritten as failed:
        raise failed.problem from None
