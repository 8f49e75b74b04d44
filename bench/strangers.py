"""Whether the time of a 404 gives another client's application away: it and a missing id should take the same.

    python -m bench.strangers --most 0.05

A client asks for applications of another one and for ids that nobody has, one request after the other on one
connection; compared are the medians, several times, in a random order.

Invariant: both kinds are answered 404 in the same words.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import uvloop
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from bench.load import Seen, burst
from harness.client import Connection
from harness.database import prepare
from harness.ports import free_port
from harness.stores import a_postgres
from harness.system import PAN_HASH_KEY, Service, a_system
from prequal.api_clients import administration
from prequal.core.keys import key_bytes
from prequal.domain.api_client import ClientScope
from prequal.record.acts import operator
from prequal.security.pan_encryption import PanHasher

WARM_UP: Final = 200
CONNECTIONS: Final = 16
PATHS: Final = ("status", "decision")
NOWHERE: Final = "127.0.0.1:1"
"""Kafka's address: what is posted need not be decided."""


@contextmanager
def an_api() -> Iterator[tuple[Service, list[str]]]:
    """An API that asks for tokens, on a PostgreSQL of its own, and the tokens of two clients."""
    with tempfile.TemporaryDirectory(prefix="bench-strangers-") as name:
        folder = Path(name)
        with a_postgres() as server:
            prepare(server.database_url)
            settings = {"API_AUTHENTICATION": "keys", "ADMIN_PORT": str(free_port())}
            with a_system(server.database_url, NOWHERE, folder, **settings) as system:
                hasher = PanHasher(key_bytes(SecretStr(PAN_HASH_KEY)))
                tokens = [
                    administration.add(
                        server.database_url, hasher, operator(), each, tuple(ClientScope), sandbox=False
                    ).token
                    for each in ("owner", "stranger")
                ]
                system.start("api")
                yield system.api, tokens


async def measure(port: int, owner: str, stranger: str, count: int, rounds: int) -> list[float]:
    """For each path the median of the rounds' ratios of medians, of another's to nobody's; prints them."""
    seen = Seen()
    await burst(port, count, CONNECTIONS, None, seen, owner)
    asking = await Connection.open(port, stranger)
    found = []
    for path in PATHS:
        await _times(asking, path, [uuid7() for _ in range(WARM_UP)])
        ratios = [await _ratio(asking, path, list(seen.accepted)) for _ in range(rounds)]
        found.append(statistics.median(ratios))
        print(f"…/{path}: ratio {found[-1]:.3f} (rounds from {min(ratios):.3f} to {max(ratios):.3f})", flush=True)
    asking.close()
    return found


async def _ratio(asking: Connection, path: str, others: list[UUID]) -> float:
    kinds = {"another's": others, "nobody's": [uuid7() for _ in others]}
    turns = [(kind, each) for kind, ids in kinds.items() for each in ids]
    random.shuffle(turns)
    taken = await _times(asking, path, [each for _, each in turns])
    medians = {
        kind: statistics.median(seconds for (each, _), seconds in zip(turns, taken, strict=True) if each == kind)
        for kind in kinds
    }
    words = ", ".join(f"{kind} {seconds * 1e6:.0f} µs" for kind, seconds in medians.items())
    print(f"…/{path}: median of {len(others)} each: {words}", flush=True)
    return medians["another's"] / medians["nobody's"]


async def _times(connection: Connection, path: str, ids: list[UUID]) -> list[float]:
    seconds = []
    for each in ids:
        answer = await connection.get(f"/applications/{each}/{path}")
        said = json.loads(answer.body)
        if (answer.status, said["error_code"]) != (404, "APPLICATION_NOT_FOUND"):
            raise RuntimeError(f"{path} of {each} was answered {answer.status}")
        seconds.append(answer.seconds)
    return seconds


def main() -> None:
    """Measure, and print; exit code 1 when a ratio is further from 1 than `--most`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000, help="requests of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=float, help="the largest difference that is good, such as 0.05")
    arguments = parser.parse_args()
    with an_api() as (api, (owner, stranger)):
        ratios = uvloop.run(measure(api.port, owner, stranger, arguments.count, arguments.rounds))
    sys.exit(arguments.most is not None and any(abs(ratio - 1) > arguments.most for ratio in ratios))


if __name__ == "__main__":
    main()
