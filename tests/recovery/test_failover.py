"""PostgreSQL fails over to a standby, and the old server comes back behind the same address: it takes no writes."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.broker import Broker
from harness.database import Database, prepare
from harness.journal import SERVICES
from harness.load import Load, applications, assert_all_is_well
from harness.ports import free_ports
from harness.replicas import Pair, Replica
from harness.stores import started
from harness.system import System, a_system
from harness.waiting import eventually, soon
from prequal.core.settings import PublisherSettings, load
from prequal.local.postgres import Postgres
from prequal.publisher import system_metrics
from prequal.publisher.system_metrics import DATABASE_GAUGES, SystemMetrics
from prequal.service.readiness import READ_ONLY
from prequal.telemetry import metrics
from prequal.telemetry.collected_gauge import CollectedGauge
from tests.support.submissions import stored


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    one, other = free_ports(2)
    with (
        started(Postgres(tmp_path / "first", one, log=tmp_path / "pg" / "first.log")) as first,
        started(Replica(tmp_path / "second", other, first, log=tmp_path / "pg" / "second.log")) as second,
    ):
        prepare(first.database_url)
        pair = Pair(first, second)
        yield pair
        pair.proxy.close()


def all_become(system: System, status: int, **body: object) -> None:
    for name in SERVICES:
        getattr(system, name).becomes(status, 30, **body)


def test_old_primary_behind_the_address_costs_time_and_no_event(pair: Pair, broker: Broker, tmp_path: Path) -> None:
    with a_system(pair.url, broker.bootstrap_servers, tmp_path) as system:
        load = Load(system.start().api.url)
        load.post(applications(8))
        load.wait()

        pair.fail_over()
        all_become(system, 503, reason=READ_ONLY)
        load.post(applications(40))
        pair.follow()
        all_become(system, 200)
        load.post(applications(40))

        accepted = load.wait()
        found = {system.api.get(f"/applications/{each}/status").status_code for each in accepted}
        database = Database(pair.second.database_url)
        assert_all_is_well(database, broker, accepted, within=60)
        load.close()
        database.close()
    assert found == {200}


def test_services_with_both_hosts_in_their_address_move_by_themselves(
    pair: Pair, broker: Broker, tmp_path: Path
) -> None:
    with a_system(pair.urls, broker.bootstrap_servers, tmp_path) as system:
        load = Load(system.start().api.url)
        load.post(applications(40))
        eventually(lambda: len(load.accepted) > 8)

        pair.fail_over()

        load.post(applications(20))
        database = Database(pair.second.database_url)
        assert_all_is_well(database, broker, load.wait(), within=60)
        load.close()
        database.close()


class ShownMetrics:
    """What a publisher showed of the database since it was asked to note it, and how often it had nothing to show."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: list[tuple[CollectedGauge, Any]] = []
        self.hidden = 0
        show, hide = CollectedGauge.set, system_metrics._clear

        def set_(gauge: CollectedGauge, values: Mapping[Any, float] | float) -> None:
            if gauge in DATABASE_GAUGES:
                self.values.append((gauge, values))
            show(gauge, values)

        def clear(gauges: tuple[CollectedGauge, ...]) -> None:
            self.hidden += gauges is DATABASE_GAUGES
            hide(gauges)

        monkeypatch.setattr(CollectedGauge, "set", set_)
        monkeypatch.setattr(system_metrics, "_clear", clear)
        monkeypatch.setattr(system_metrics, "READ_EVERY_SECONDS", (0.05, 0.1))


@asynccontextmanager
async def showing(settings: PublisherSettings) -> AsyncIterator[None]:
    """A publisher's metrics of the system."""
    stop = asyncio.Event()
    running = asyncio.create_task(SystemMetrics(settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        for gauge in metrics.COLLECTED:
            gauge.clear()


async def test_no_metric_of_the_system_is_ever_the_old_primarys(
    pair: Pair, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ShownMetrics(monkeypatch)
    first, second = Database(pair.first.database_url), Database(pair.second.database_url)
    stored(first, 3)
    settings = load(PublisherSettings, database_url=pair.url, kafka_bootstrap_servers=broker.bootstrap_servers)
    async with showing(settings):
        await soon(lambda: metrics.UNDECIDED._values == {(): 3})
        first.close()

        await asyncio.to_thread(pair.fail_over)
        stored(second, 5)
        shown.values.clear()
        shown.hidden = 0
        await soon(lambda: shown.hidden >= 10)
        beside_the_old = [*shown.values], [gauge._values for gauge in DATABASE_GAUGES]
        pair.follow()
        await soon(lambda: metrics.UNDECIDED._values == {(): 8})

        assert beside_the_old == ([], [{}] * len(DATABASE_GAUGES))
        assert {value for gauge, value in shown.values if gauge is metrics.UNDECIDED} == {8}
        assert {gauge for gauge, _ in shown.values} == set(DATABASE_GAUGES)
    second.close()
