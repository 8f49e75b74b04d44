"""The published PANs, where the sandbox is on and where it is off."""

from collections.abc import Iterator

import httpx
import pytest

from harness import oracle
from harness.applications import an_application
from harness.database import Cluster
from harness.system import a_system
from prequal.local.kafka import Kafka
from tests.support.api import Api, assert_error

CLAIMED = "SANDB0409E"


@pytest.fixture(scope="module")
def sandbox(cluster: Cluster, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("sandbox")
    with (
        cluster.database() as database,
        a_system(database.url, kafka.bootstrap_servers, folder, SANDBOX="true") as system,
        httpx.Client(base_url=system.api.url, timeout=15, trust_env=False) as client,
    ):
        system.start("api")
        yield Api(client, database)


@pytest.mark.parametrize("pan", set(oracle.PUBLISHED) - {CLAIMED})
def test_sandbox_takes_its_pans_as_often_as_they_are_sent(sandbox: Api, pan: str) -> None:
    ids = {sandbox.accepted(an_application(pan_number=pan)) for _ in range(3)}

    assert len(ids) == 3


def test_sandbox_has_one_pan_that_shows_the_duplicate(sandbox: Api) -> None:
    sandbox.accepted(an_application(pan_number=CLAIMED))

    response = sandbox.post(an_application(pan_number=CLAIMED))

    assert_error(response, 409, "DUPLICATE_APPLICATION")


def test_key_of_a_sandbox_pan_gives_the_first_answer_again(sandbox: Api) -> None:
    body = an_application(pan_number="ABCDE1234F")
    first = sandbox.accepted(body, "sandbox-key")

    assert sandbox.accepted(body, "sandbox-key") == first


def test_24_hour_rule_of_other_pans_holds_in_the_sandbox(sandbox: Api) -> None:
    body = an_application()
    sandbox.accepted(body)

    assert_error(sandbox.post(body), 409, "DUPLICATE_APPLICATION")


def test_without_the_sandbox_its_pans_are_claimed_like_any(api: Api) -> None:
    body = an_application(pan_number="ABCDE1234F")
    api.accepted(body)

    assert_error(api.post(body), 409, "DUPLICATE_APPLICATION")
