"""Stores of a test's own, which end with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from prequal.local.child_process import Child

C = TypeVar("C", bound=Child)


@contextmanager
def started(store: C) -> Iterator[C]:
    """Run a store for as long as the block lasts; it ends also when it did not start."""
    try:
        store.start()
        yield store
    finally:
        store.stop_for_good()
