"""Clients of other makers, with their default settings, against a real API: a JDK HttpClient, and curl."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.applications import an_application
from prequal.local import jars
from prequal.local.kafka import _java_program
from tests.support.api import Api

HERE = Path(__file__).parent
JAVA = str(_java_program())
COMPILER = jars.FOLDER.with_name("ecj")


@pytest.fixture(scope="session")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled client."""
    [compiler] = jars.locked(HERE / "ecj.lock")
    if not (COMPILER / compiler.file_name).exists():
        jars.fetch([compiler], COMPILER)
    classes = tmp_path_factory.mktemp("classes")
    command = [JAVA, "-jar", str(COMPILER / compiler.file_name), "-17", "-d", str(classes), str(HERE / "Posts.java")]
    subprocess.run(command, check=True, timeout=60)
    return classes


def url_of(api: Api) -> str:
    return str(api.client.base_url.join("/applications"))


def said(*command: str) -> list[str]:
    """The words that a command prints."""
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout.split()


def test_jdk_client_with_default_settings_has_its_applications_accepted(api: Api, posts: Path, tmp_path: Path) -> None:
    bodies = tmp_path / "bodies"
    bodies.write_text("".join(json.dumps(an_application()) + "\n" for _ in range(6)))

    statuses = said(JAVA, "-cp", str(posts), "Posts", url_of(api), str(bodies))

    assert statuses == ["202"] * 6


@pytest.mark.parametrize("more", [(), ("-H", "Transfer-Encoding: chunked")], ids=["with a length", "chunked"])
def test_curl_that_offers_http2_has_its_applications_accepted(api: Api, more: tuple[str, ...]) -> None:
    curl = shutil.which("curl") or pytest.fail("curl is needed: apt-get install curl")
    one = [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_version}\n",
        "-H",
        "Content-Type: application/json",
        *more,
    ]
    first, second = (["--http2", *one, "--data-binary", json.dumps(an_application()), url_of(api)] for _ in range(2))

    answers = said(curl, *first, "--next", *second)

    assert answers == ["202", "1.1", "202", "1.1"]
