"""A `prequal up` of a test's own."""

import shutil
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


@pytest.fixture(scope="session")
def _folder_of_a_first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    up = Up(tmp_path_factory.mktemp("first"))
    up.start().until_ready()
    up.end()
    return up.folder


@pytest.fixture
def started_before(_folder_of_a_first_start: Path, stack: Up) -> Up:
    """A `prequal up` that is not running, and whose folder holds the stores of a start before."""
    shutil.copytree(_folder_of_a_first_start / ".prequal", stack.folder / ".prequal")
    return stack


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of this machine's own `prequal up` do not apply to these tests."""
    for name in UpSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
