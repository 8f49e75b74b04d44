"""PostgreSQL fails over to a standby, and the old server comes back behind the same address: it takes no writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.broker import Broker
from harness.database import Database, prepare
from harness.journal import SERVICES
from harness.load import Load, applications, assert_all_is_well
from harness.ports import free_ports
from harness.replicas import Pair, Replica
from harness.stores import started
from harness.system import System, a_system
from harness.waiting import eventually
from prequal.local.postgres import Postgres
from prequal.service.readiness import READ_ONLY


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
