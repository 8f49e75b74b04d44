"""One API process for all tests that leave it as it was, and one inside the test for those that do not."""

from collections.abc import Iterator

import httpx
import pytest

from harness.database import Cluster
from harness.system import a_system
from prequal.local.kafka import Kafka
from tests.support.api import Api


@pytest.fixture(scope="session")
def api(cluster: Cluster, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """prequal-api as a process, with a database that its tests share: each posts PANs of its own."""
    folder = tmp_path_factory.mktemp("api")
    with (
        cluster.database() as database,
        a_system(database.url, kafka.bootstrap_servers, folder) as system,
        httpx.Client(base_url=system.api.url, timeout=15, trust_env=False) as client,
    ):
        system.start("api")
        yield Api(client, database)
