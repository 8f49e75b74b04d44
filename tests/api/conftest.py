"""One API process for all tests that leave it as it was, and one inside the test for those that do not."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from harness.database import Cluster
from harness.ports import free_port
from harness.system import a_system
from prequal.api_clients import administration
from prequal.api_clients.administration import Validity
from prequal.domain.api_client import ClientScope
from prequal.local.kafka import Kafka
from prequal.record.acts import operator
from tests.support.api import Api
from tests.support.api_clients import LONG_AGO, Guarded, a_client


@pytest.fixture(scope="session")
def api(cluster: Cluster, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """prequal-api as a process, with a database that its tests share: each posts PANs of its own."""
    folder = tmp_path_factory.mktemp("api")
    with (
        cluster.database() as database,
        a_system(database.url, kafka.bootstrap_servers, folder, PUBLISH_OWN_EVENTS="false") as system,
        httpx.Client(base_url=system.api.url, timeout=15, trust_env=False) as client,
    ):
        system.start("api")
        yield Api(client, database)


@pytest.fixture(scope="session")
def guarded(cluster: Cluster, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """prequal-api as a process that asks for tokens, with clients of every kind."""
    folder, admin = tmp_path_factory.mktemp("guarded"), free_port()
    settings = {"API_AUTHENTICATION": "keys", "ADMIN_PORT": str(admin), "PUBLISH_OWN_EVENTS": "false"}
    with (
        cluster.database() as database,
        a_system(database.url, kafka.bootstrap_servers, folder, **settings) as system,
    ):
        api = Guarded(
            system,
            system.new("api", admin),
            database,
            app=a_client(database, "app"),
            other=a_client(database, "other"),
            reader=a_client(database, "reader", (ClientScope.READ,)),
            writer=a_client(database, "writer", (ClientScope.WRITE,)),
            sandbox=a_client(database, "sandbox", sandbox=True),
            expired=a_client(database, "expired"),
            early=a_client(database, "early", validity=Validity(not_before=timedelta(hours=1))),
            slow=a_client(database, "slow", rate=1),
            revoked=a_client(database, "revoked"),
        )
        database.execute(
            "UPDATE api_client_secrets SET expires_at = %s WHERE client = %s", LONG_AGO, api.expired.client.id
        )
        administration.revoke(database.url, operator(), "revoked", None)
        system.start("api")
        yield api
