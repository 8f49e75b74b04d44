"""Whole lists, read in pages: each is a statement of its own, which goes on behind the last row of the one before.

Invariant: no statement reads more than `PAGE` rows, however long the list is.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

PAGE: Final = 100


async def every(page: Callable[[str, int], Awaitable[list[T]]], key: Callable[[T], str]) -> list[T]:
    """All rows of a list; `page` gives so many behind a key, and the first ones for an empty key."""
    found: list[T] = []
    while True:
        rows = await page(key(found[-1]) if found else "", PAGE)
        found += rows
        if len(rows) < PAGE:
            return found
