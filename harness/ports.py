"""Ports on 127.0.0.1 that are free, for tests and fault runs that go on side by side.

Invariant: a free port is still free when a server binds it, and stays free while the server is down: no two test
processes of a machine draw from one block, and none lies where the kernel gives ports to outgoing connections.
"""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from typing import Final

from prequal.local.ports import is_free

BLOCK: Final = 200
FIRST_PORTS: Final = range(10_000, 20_000, BLOCK)
"""The first port of each block of tests."""
BELOW_EPHEMERAL: Final = range(20_000, 32_000)
"""For fault runs, which need neighbouring ones."""
TRIES: Final = 200

_chance = random.SystemRandom()
"""Not the seeded one: every test process is given the same seed."""
_ports: Iterator[int] | None = None


def free_ports(count: int) -> list[int]:
    """`count` different ones that nothing listens on now."""
    global _ports
    if _ports is None:
        first = _claim_block()
        _ports = itertools.cycle(range(first, first + BLOCK))
    return list(itertools.islice(filter(is_free, _ports), count))


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


def _claim_block() -> int:
    """The first port of a block that no other test process has; one shared by chance when all are taken."""
    blocks = _chance.sample(FIRST_PORTS, len(FIRST_PORTS))
    return next(filter(_is_claimed, blocks), blocks[0])


def _is_claimed(first_port: int) -> bool:
    """Whether this process has claimed the block: by a name that the kernel forgets when the process ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0prequal-test-ports-{first_port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # held until the process ends
    return True
