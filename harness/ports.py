"""Ports on 127.0.0.1 that are free.

Invariant: a port of a service that is held down is not given to another one's connection (`reserve`).
"""

import os
import random
import socket
from typing import Final

from prequal.local.ports import is_free

BELOW_EPHEMERAL: Final = range(20_000, 32_000)
TRIES: Final = 200


def free_ports(count: int) -> list[int]:
    """`count` different ones, free when asked."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def reserve(count: int) -> list[int]:
    """`count` neighbouring free ports, below those that outgoing connections get.

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
