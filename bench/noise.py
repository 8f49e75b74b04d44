"""Whether two sides that were measured in pairs differ by more than chance: Wilcoxon's signed-rank test, exactly.

Invariant: nothing is assumed of how a figure varies from pair to pair but that, where the sides are alike, a ratio and
its inverse come as often.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from math import log
from typing import Final

DIFFERS: Final = 0.05
"""The two-sided chance under which sides are said to differ: one in twenty figures that do not is said to, too."""
FEWEST: Final = 6
"""With fewer pairs not even such as all lie on one side are rarer than that: of five, 2 in 32."""


def verdict(ratios: Sequence[float]) -> str:
    """What the pairs' ratios say of the sides."""
    if len(ratios) < FEWEST:
        return f"too few pairs to say whether they differ: {FEWEST} are needed"
    chance = chance_of(ratios)
    return f"{'differs' if chance <= DIFFERS else 'no difference seen'} (p {chance:.2g})"


def chance_of(ratios: Iterable[float]) -> float:
    """How probable ratios at least as far from 1, to whichever side, are where the sides are alike."""
    logs = [log(ratio) for ratio in ratios if ratio != 1]
    ranks = _doubled_ranks([abs(each) for each in logs])
    above = sum(rank for rank, each in zip(ranks, logs, strict=True) if each > 0)
    ways: Counter[int] = Counter({0: 1})
    for rank in ranks:  # each may lie above or below, in as many cases
        ways = ways + Counter({total + rank: count for total, count in ways.items()})
    least = min(above, sum(ranks) - above)
    rarer = sum(count for total, count in ways.items() if total <= least)
    return min(1.0, 2 * rarer / (1 << len(ranks)))


def _doubled_ranks(sizes: Sequence[float]) -> list[int]:
    """Twice the rank of each size, which is whole for those that share theirs, too."""
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    ranks, begins = [0] * len(sizes), 0
    for _, group in groupby(order, key=lambda index: round(sizes[index], 9)):
        equal = list(group)
        for index in equal:
            ranks[index] = 2 * begins + len(equal) + 1
        begins += len(equal)
    return ranks
