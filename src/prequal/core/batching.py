"""How long to wait under load for more, so that it shares a batch, a statement and a commit.

Invariant: what comes alone waits for nothing.
"""

SECONDS_EACH, SECONDS_MAX = 0.0004, 0.016
"""A pause as long as the work on a batch takes anyway: larger batches cost a third less CPU an event, and what waits
for one would have waited for the batch before it."""


def gathering_seconds(taken: int, seconds_each: float = SECONDS_EACH) -> float:
    """The pause before the next look, after `taken` were there at the last one."""
    return min(seconds_each * taken, SECONDS_MAX) if taken > 1 else 0.0
