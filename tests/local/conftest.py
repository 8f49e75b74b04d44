"""A `prequal up` for whoever asks for one."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.machine import Up


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Up]:
    """A house that has not been started."""
    up = Up(tmp_path)
    yield up
    if up.running:
        up.end(signal.SIGKILL)
