"""Lists that go on by the key of their last row."""

from typing import TypeVar

T = TypeVar("T")


def cut(found: list[T], most: int) -> tuple[list[T], T | None]:
    """A page of what was found when one row more was asked for, and its last row if there are rows behind it."""
    return found[:most], found[most - 1] if len(found) > most else None
