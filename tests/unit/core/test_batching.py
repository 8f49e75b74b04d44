"""When work waits for more, so that it shares a batch."""

import pytest

from prequal.core.batching import FREE, SECONDS_MAX, gathering_seconds


@pytest.mark.parametrize("taken", [0, 1, FREE])
def test_few_wait_for_nothing(taken: int) -> None:
    assert gathering_seconds(taken) == 0.0


def test_more_wait_longer_up_to_a_bound() -> None:
    pauses = [gathering_seconds(taken) for taken in range(FREE, 500)]

    assert pauses == sorted(pauses)
    assert 0.0 < gathering_seconds(FREE + 1) < SECONDS_MAX == pauses[-1]


def batch_at(rate: float, taken: int, seconds_of_work: float = 0.003) -> float:
    """How many a batch has in the end at so many a second, from a batch of `taken` on."""
    for _ in range(100):
        taken = int(rate * (seconds_of_work + gathering_seconds(taken)))
    return taken


def test_large_batches_pass_where_the_load_is_light() -> None:
    assert batch_at(1_000, taken=500) < FREE


def test_large_batches_stay_where_the_load_is_that_of_half_the_partitions_of_a_full_machine() -> None:
    assert batch_at(2_200, taken=40) > 60
