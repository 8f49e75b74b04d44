"""Waiting for more under load, so that it shares a batch, a statement and a commit.

Invariant: what comes alone, or with a few others, waits for nothing.
"""

FREE = 8
"""So many come at once at 1,000 a second, where a pause would cost more time than it saves CPU."""
SECONDS_EACH, SECONDS_MAX = 0.0008, 0.032
"""For each beyond these: from 1,250 a second on, more come in the pause than it was for, so that it grows to its
maximum, also for a process that has half of its service's partitions."""


def gathering_seconds(taken: int) -> float:
    """The pause before the next look, after `taken` were there at the last one."""
    return min(SECONDS_EACH * max(0, taken - FREE), SECONDS_MAX)
