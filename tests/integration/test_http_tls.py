"""The API and the console over TLS, to callers that check whom they speak to."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from harness.applications import an_application
from harness.database import Cluster
from harness.ports import free_port
from harness.system import Service, a_system
from harness.waiting import eventually
from prequal.client import ApiClient
from prequal.core.errors import Refused, Transient
from tests.support.certificates import Authority, Certificate


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def shown(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The files that the processes are given."""
    folder, issued = tmp_path_factory.mktemp("shown"), authority.issue("localhost", "localhost", "127.0.0.1")
    shutil.copy(issued.certificate, folder / "tls.crt")
    shutil.copy(issued.key, folder / "tls.key")
    return Certificate(folder / "tls.crt", folder / "tls.key")


@pytest.fixture(scope="module")
def served(
    cluster: Cluster, authority: Authority, shown: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Service]]:
    """The API and the console, by name."""
    files = {"HTTP_CERTIFICATE_FILE": str(shown.certificate), "HTTP_KEY_FILE": str(shown.key)}
    folder = tmp_path_factory.mktemp("served")
    with cluster.database() as database, a_system(database.url, "127.0.0.1:1", folder, **files) as system:
        console = system.further("console", "console", CONSOLE_ADMIN_PORT=str(free_port()))
        console.launch()
        system.launch("api")
        both = {"api": system.api, "console": console}
        for service in both.values():
            answers(service, "/health", authority)
        yield both


def get(service: Service, path: str, authority: Authority) -> httpx.Response:
    return httpx.get(
        f"https://127.0.0.1:{service.port}{path}",
        verify=ssl.create_default_context(cafile=authority.file),
        timeout=10,
        trust_env=False,
    )


def answered(url: str) -> list[httpx.Response]:
    try:
        return [httpx.get(url, trust_env=False)]
    except httpx.TransportError:
        return []


def answers(service: Service, path: str, authority: Authority) -> httpx.Response:
    def answer() -> list[httpx.Response]:
        try:
            return [get(service, path, authority)]
        except httpx.TransportError:
            return []

    (found,) = eventually(answer)
    return found


def serial_of(service: Service) -> str:
    return ssl.get_server_certificate(("127.0.0.1", service.port))


def test_caller_that_checks_the_certificate_is_answered(served: dict[str, Service], authority: Authority) -> None:
    eventually(lambda: answers(served["api"], "/ready", authority).json()["status"] == "degraded")
    with httpx.Client(verify=ssl.create_default_context(cafile=authority.file), trust_env=False) as client:
        answer = client.post(f"https://127.0.0.1:{served['api'].port}/applications", json=an_application())

    assert answer.status_code == 202


@pytest.mark.parametrize("name", ["api", "console"])
def test_caller_of_another_authority_or_without_tls_gets_nothing(
    served: dict[str, Service], authority: Authority, name: str, tmp_path: Path
) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(served[name], "/health", Authority(tmp_path, "other"))
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{served[name].port}/health", trust_env=False)


def test_version_before_1_2_is_refused(served: dict[str, Service], authority: Authority) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with socket.create_connection(("127.0.0.1", served["api"].port)) as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection)


def test_console_binds_its_cookies_and_the_browser_to_tls(served: dict[str, Service], authority: Authority) -> None:
    answer = answers(served["console"], "/sign-in", authority)

    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["set-cookie"].startswith("__Host-console_visitor=")
    assert "Secure" in answer.headers["set-cookie"]


def test_consoles_port_tells_strangers_no_counts_and_its_admin_port_all(
    served: dict[str, Service], authority: Authority
) -> None:
    console = served["console"]
    admin = f"http://127.0.0.1:{console.environment['CONSOLE_ADMIN_PORT']}"
    (whole,) = eventually(lambda: answered(f"{admin}/ready"))

    assert whole.json().keys() > {"status"}
    assert answers(console, "/ready", authority).json().keys() == {"status"}
    assert get(console, "/metrics", authority).status_code == 404
    assert [answered(f"{admin}{path}")[0].status_code for path in ("/metrics", "/sign-in")] == [200, 404]


def test_renewed_certificate_is_shown_without_a_restart_and_a_wrong_one_is_not(
    served: dict[str, Service], shown: Certificate, authority: Authority
) -> None:
    api = served["api"]
    before = serial_of(api)
    shown.key.write_text("no key")
    eventually(lambda: api.logged("certificate_refused"))
    after_a_wrong_one = serial_of(api)
    issued = authority.issue("renewed", "localhost", "127.0.0.1")
    shown.certificate.write_bytes(issued.certificate.read_bytes())
    shown.key.write_bytes(issued.key.read_bytes())
    eventually(lambda: serial_of(api) != before)

    assert after_a_wrong_one == before
    assert answers(api, "/health", authority).status_code == 200


def test_command_line_trusts_the_authority_of_ssl_cert_file(
    served: dict[str, Service], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://127.0.0.1:{served['api'].port}"

    with ApiClient(url) as stranger, pytest.raises(Transient):
        stranger.status(str(uuid4()))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ApiClient(url) as client, pytest.raises(Refused):
        client.status(str(uuid4()))
