"""What a group has still before it in a partition."""

import pytest

from prequal.messaging.consumer_lag import unread


@pytest.mark.parametrize(
    ("committed", "low", "high", "messages"),
    [
        pytest.param(0, 0, 0, 0, id="nothing there"),
        pytest.param(3, 0, 10, 7, id="some read"),
        pytest.param(10, 0, 10, 0, id="all read"),
        pytest.param(-1001, 0, 10, 10, id="never committed"),
        pytest.param(3, 5, 10, 5, id="the oldest were deleted"),
        pytest.param(800, 0, 242, 242, id="of an earlier life of the topic"),
        pytest.param(800, 0, 0, 0, id="of an earlier life, and nothing in the new one"),
    ],
)
def test_unread_is_what_the_group_has_before_it(committed: int, low: int, high: int, messages: int) -> None:
    assert unread(committed, low, high) == messages
