"""Ports for a rig, out of the way of what the machine hands out by itself.

Invariant: a port of a service that is held down is not given to a connection of somebody else.
"""

import os
import random

from prequal.local.ports import is_free

BELOW_EPHEMERAL = range(20_000, 32_000)
TRIES = 200


def reserve(count: int) -> list[int]:
    """`count` neighbouring ports that nobody listens on, below those that outgoing connections get.

    Raises:
        OSError: so many tries found none.
    """
    chance = random.Random(os.urandom(8))
    for _ in range(TRIES):
        first = chance.randrange(BELOW_EPHEMERAL.start, BELOW_EPHEMERAL.stop - count)
        block = list(range(first, first + count))
        if all(map(is_free, block)):
            return block
    raise OSError(f"no {count} free ports in a row between {BELOW_EPHEMERAL.start} and {BELOW_EPHEMERAL.stop}")
