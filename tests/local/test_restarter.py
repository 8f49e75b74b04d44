"""A child that lives and is never ready ends the start; nobody waits for it for ever."""

import threading
from pathlib import Path

import pytest

from prequal.core.errors import Transient
from prequal.local import restarter
from prequal.local.child_process import Child
from prequal.local.console import StackConsole
from prequal.local.restarter import FIRST_TRIES, Restarter


class NeverReady(Child):
    """A process that lives and says nothing."""

    launches = 0

    def launch(self) -> None:
        self.launches += 1
        if self.launches > FIRST_TRIES:
            raise AssertionError("it was started again")
        self.spawn(["sleep", "600"])

    def wait_until_ready(self) -> None:
        raise Transient("it did not start")


def test_child_that_lives_and_is_never_ready_is_given_up_after_three_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarter, "PAUSES_SECONDS", (0.0, 0.0))
    child = NeverReady("sleeper", 0, tmp_path / "sleeper.log")
    restarted = Restarter(child, threading.Event(), StackConsole())

    with pytest.raises(Transient, match="sleeper: "):
        restarted.run()

    assert child.launches == FIRST_TRIES
    assert not child.running
    assert isinstance(restarted.first_ready.exception(), Transient)
