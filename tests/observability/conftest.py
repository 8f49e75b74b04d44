"""One system and one Prometheus for each module that asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.own_system import OwnSystem
from tests.observability.watching import Prometheus


@dataclass(frozen=True)
class Watched:
    """A system, and the Prometheus that watches it."""

    rig: OwnSystem
    prometheus: Prometheus


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The four services on stores of their own, watched since before their first application."""
    folder = tmp_path_factory.mktemp("watched")
    with OwnSystem(folder, own={"publisher": {"WATCHED_FOLDER": str(folder)}}) as rig:
        prometheus = Prometheus(folder, rig.ports)
        try:
            prometheus.start()
            yield Watched(rig, prometheus)
        finally:
            prometheus.stop_for_good()
            rig.database.close()
