"""A `prequal up` of a test's own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from prequal.local.settings import UpSettings
from tests.local.machine import Up


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Up]:
    """A `prequal up` that has not been started."""
    up = Up(tmp_path)
    yield up
    if up.running:
        up.end(signal.SIGKILL)


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of this machine's own `prequal up` do not apply to these tests."""
    for name in UpSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
