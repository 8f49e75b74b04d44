"""Of failures in a row, the first is logged."""

import pytest
from structlog.testing import capture_logs

from prequal.telemetry.failures import LoggedOnce


def test_first_failure_of_each_row_is_logged_with_its_reason() -> None:
    failures = LoggedOnce("not_read", TimeoutError, OSError, target="keys")

    with capture_logs() as logged:
        for problem in (TimeoutError("a"), OSError("b"), None, OSError("c")):
            with failures:
                if problem:
                    raise problem

    assert [(each["event"], each["target"], each["reason"]) for each in logged] == [
        ("not_read", "keys", "a"),
        ("not_read", "keys", "c"),
    ]
    assert failures.has_failed


def test_failure_of_another_kind_is_raised() -> None:
    with capture_logs() as logged, pytest.raises(KeyError), LoggedOnce("not_read", OSError):
        raise KeyError("a")

    assert logged == []
