"""Waits for a condition with a deadline, in place of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
"""For what nobody promised to be quick; machines that are busy with other things are slow."""


def eventually(truth: Callable[[], T], within: float = PATIENCE_SECONDS) -> T:
    """The first true answer, or a failure that shows the last one when none comes that was asked for in time."""
    deadline = time.monotonic() + within
    while True:
        asked = time.monotonic()
        if answer := truth():
            return answer
        assert asked < deadline, f"not true within {within:g} s; the last answer was {answer!r}"
        time.sleep(LOOK_AGAIN_SECONDS)


@overload
async def soon(truth: Callable[[], Awaitable[T]], within: float = ...) -> T: ...


@overload
async def soon(truth: Callable[[], T], within: float = ...) -> T: ...


async def soon(truth: Callable[[], Any], within: float = PATIENCE_SECONDS) -> Any:
    """`eventually` for tests whose own event loop has to go on meanwhile."""
    deadline = time.monotonic() + within
    while True:
        asked = time.monotonic()
        answer = truth()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert asked < deadline, f"not true within {within:g} s; the last answer was {answer!r}"
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began
