"""Python's garbage collector, left out where a process keeps millions of objects that it would find nothing in."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave the collector out.

    It goes through all that was sent or read again and again, which kept the client of 1,680,000 posts from sending for
    1.3 s at a time: what came due meanwhile came at once, and was refused.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
