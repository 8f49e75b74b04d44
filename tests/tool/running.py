"""Runs of which only what a row demands is tried: their system is what a test says."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from faults.scenario import Run, Scenario, Stage


def a_run(**processes: Any) -> Run:
    """A run on a system of these processes."""
    system: Any = SimpleNamespace(ports={}, processes=processes)
    stage = Stage(system, SimpleNamespace(write=lambda *_: None), None)  # type: ignore[arg-type]
    return Run(Scenario(7, "fault", lambda _: None), stage, 1)


def a_process(metrics: str = "", ready: Callable[[], int] = lambda: 200) -> Any:
    return SimpleNamespace(get=lambda _: SimpleNamespace(text=metrics), ready=lambda: (ready(), {}))


def unmet(act: Callable[[Run], object]) -> list[str]:
    """What is not met of what is demanded."""
    run = a_run()
    act(run)
    return run.unmet
