"""What a load will send and when, drawn from a seed before anything is sent.

Invariant: the same seed makes the same plan, byte for byte.
"""

import random
import uuid
from dataclasses import dataclass, replace
from typing import Any, Final

from harness.applications import drawn_applications


@dataclass(frozen=True)
class Volume:
    """How many posts, and how many of them a second."""

    count: int
    rate: float

    @property
    def seconds(self) -> float:
        """How long it takes to send them."""
        return self.count / self.rate

    def lasting(self, seconds: float) -> "Volume":
        """The same rate, for so many seconds at least."""
        return replace(self, count=max(self.count, round(self.rate * seconds)))


NORMAL: Final = Volume(500, 20)
SHORT: Final = Volume(100, 50)


@dataclass(frozen=True)
class Post:
    """One post: `at` seconds after the load began. One without a key is not sent again when its answer is lost."""

    at: float
    body: dict[str, Any]
    key: str | None
    kind: str = "fresh"
    """One of `SHARES`."""


SHARES: Final = {"fresh": 78, "keyless": 6, "pan again": 5, "replay": 6, "invalid": 5}
"""Of a hundred posts, how many are of which kind."""

WRONG: Final[tuple[dict[str, Any], ...]] = (
    {"pan_number": "abcde1234f"},
    {"pan_number": "12345ABCDE"},
    {"monthly_income_inr": "-1.00"},
    {"loan_amount_inr": "0"},
    {"loan_amount_inr": "100.001"},
    {"loan_type": "BOAT"},
    {"aadhaar": "unwanted"},
)


def plan(seed: str, volume: Volume) -> list[Post]:
    """The posts of a load, in the order of their times."""
    chance = random.Random(seed)
    source = drawn_applications(seed)
    fresh: list[Post] = []
    posts = []
    for number in range(volume.count):
        (kind,) = chance.choices(list(SHARES), list(SHARES.values())) if fresh else ["fresh"]
        posts.append(_post(kind, number / volume.rate, dict(next(source)), fresh, chance))
        if kind == "fresh":
            fresh.append(posts[-1])
    return posts


def _post(kind: str, at: float, body: dict[str, Any], fresh: list[Post], chance: random.Random) -> Post:
    match kind:
        case "keyless":
            return Post(at, body, None, kind)
        case "pan again":
            return Post(at, body | {"pan_number": chance.choice(fresh).body["pan_number"]}, _key(chance), kind)
        case "replay":
            return replace(chance.choice(fresh), at=at, kind=kind)
        case "invalid":
            return Post(at, body | chance.choice(WRONG), _key(chance), kind)
    return Post(at, body, _key(chance), kind)


def _key(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
