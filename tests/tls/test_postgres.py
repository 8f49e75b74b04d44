"""Every connection of ours to a PostgreSQL that takes none without TLS, and what is said where it is not trusted."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from harness.applications import an_application
from harness.broker import Broker
from harness.database import PASSWORD, Cluster, Database, prepare
from harness.stores import started
from harness.system import a_system, run_once
from harness.waiting import eventually
from prequal.core.errors import Misconfigured
from prequal.core.settings import DatabaseSettings, load
from prequal.local.logins import as_login
from prequal.postgres.connections import connect
from prequal.schema.grants import Role
from tests.support.certificates import Authority
from tests.tls.debian_postgres import DebianPostgres


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianPostgres]:
    with started(DebianPostgres(tmp_path_factory.mktemp("debian") / "data", authority.issue("localhost"))) as server:
        yield server


def url_of(server: DebianPostgres, authority: Authority, host: str = "localhost") -> str:
    address = server.database_url.replace("127.0.0.1", host)
    return load(
        DatabaseSettings, _env_file=None, database_url=address, database_ca_file=str(authority.file)
    ).database_url


def test_application_is_decided_over_connections_that_are_all_verified(
    server: DebianPostgres, authority: Authority, broker: Broker, tmp_path: Path
) -> None:
    url = url_of(server, authority)
    prepare(url)
    database = Database(url)
    with a_system(url, broker.bootstrap_servers, tmp_path) as system:
        system.start()
        answer = httpx.post(f"{system.api.url}/applications", json=an_application(), timeout=15, trust_env=False)
        decided = eventually(lambda: database.value("SELECT max(status) FROM applications WHERE status <> 'PENDING'"))
        clear = database.value(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE NOT ssl AND backend_type = 'client backend'"
        )
    database.close()

    assert answer.status_code == 202
    assert (decided, clear) == ("PRE_APPROVED", 0)


async def test_server_of_another_authority_is_refused(server: DebianPostgres, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="refused by the authority of sslrootcert: "):
        await connect(url_of(server, Authority(tmp_path, "other")), "test")


async def test_server_of_another_name_is_refused(server: DebianPostgres, authority: Authority) -> None:
    with pytest.raises(Misconfigured, match="not for the host's name in DATABASE_URL"):
        await connect(url_of(server, authority, "127.0.0.1"), "test")


async def test_server_without_tls_is_refused(cluster: Cluster, authority: Authority) -> None:
    url = load(DatabaseSettings, _env_file=None, database_url=cluster.url, database_ca_file=str(authority.file))

    with pytest.raises(Misconfigured, match="does not speak TLS"):
        await connect(url.database_url, "test")


@pytest.mark.parametrize("command", ["publisher", "migrate"])
def test_process_and_job_that_do_not_trust_the_server_end_with_a_sentence(
    server: DebianPostgres, tmp_path: Path, command: str
) -> None:
    settings = {
        "DATABASE_URL": as_login(server.database_url.replace("127.0.0.1", "localhost"), Role.PUBLISHER, PASSWORD),
        "DATABASE_CA_FILE": str(Authority(tmp_path, "other").file),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }

    done = run_once(command, settings, tmp_path)

    assert done.returncode == 2
    assert "The certificate of PostgreSQL is refused by the authority of sslrootcert" in done.stdout + done.stderr


def test_address_of_ours_is_verified_by_other_clients_too(server: DebianPostgres, tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(url_of(server, Authority(tmp_path, "other")))
