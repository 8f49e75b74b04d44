"""What was told and lost on the way is told again, for as long as its application is undecided."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import SUBMITTED, Broker
from tests.support.database import Database
from tests.support.load import Load, applications, assert_all_is_well
from tests.support.processes import House, a_house
from tests.support.waiting import eventually


@pytest.fixture
def impatient_house(database: Database, broker: Broker, tmp_path: Path) -> Iterator[House]:
    with a_house(database.url, broker.bootstrap_servers, tmp_path, RETELL_AFTER_SECONDS="5") as house:
        yield house


def test_applications_are_decided_though_the_broker_lost_everything_it_had_been_told(
    database: Database, broker: Broker, impatient_house: House
) -> None:
    impatient_house.start("api", "publisher")
    load = Load(impatient_house.api.url)
    load.post(applications(20))
    accepted = load.wait()
    load.close()
    eventually(lambda: database.count("outbox_archive") == 20)
    impatient_house.publisher.end()
    broker.renew()
    assert broker.told(SUBMITTED) == 0

    impatient_house.start("publisher", "credit", "decision")

    assert_all_is_well(database, broker, accepted)
    assert database.value("SELECT count(*) FROM outbox_archive WHERE topic = %s", SUBMITTED) == 20
