"""The lock of Kafka's jars, and the download of the jars that it names."""

import hashlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prequal.core.errors import Misconfigured
from prequal.local import jars
from prequal.local.jars import Jar
from tools.kafka_lock import ROOTS


def test_lock_names_the_broker_and_its_binding_with_a_hash_each() -> None:
    locked = jars.locked()

    assert {str(jar).split()[0] for jar in locked} >= set(ROOTS)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in locked)


def test_lock_has_one_version_of_each_jar() -> None:
    names = [(jar.group, jar.artifact) for jar in jars.locked()]

    assert len(names) == len(set(names))


def test_line_of_the_lock_is_the_jar_again() -> None:
    jar = Jar("org.example", "ledger", "1.2.3", "0" * 64)

    assert jars._parsed(str(jar)) == jar
    assert jar.file_name == "ledger-1.2.3.jar"


def test_jar_in_the_folder_is_not_missing(tmp_path: Path) -> None:
    first, *others = jars.locked()
    (tmp_path / first.file_name).touch()

    assert jars.missing(tmp_path) == others


@pytest.fixture
def repository() -> Iterator[str]:
    """The URL of a Maven repository that holds one jar, after it has failed once."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            exists = self.path == "/maven/org/example/ledger/1.2.3/ledger-1.2.3.jar" and len(requests) > 1
            self.send_response(200 if exists else 503)
            self.end_headers()
            self.wfile.write(b"a jar" if exists else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/maven"
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_jar_with_another_hash_is_refused_and_not_kept(repository: str, tmp_path: Path) -> None:
    jar = Jar("org.example", "ledger", "1.2.3", "0" * 64)

    with pytest.raises(Misconfigured, match=r"ledger-1\.2\.3\.jar .* KAFKA_BOOTSTRAP_SERVERS"):
        jars.fetch([jar], tmp_path, repository)

    assert list(tmp_path.iterdir()) == []


def test_jar_that_the_repository_does_not_have_is_one_sentence(repository: str, tmp_path: Path) -> None:
    jar = Jar("org.example", "journal", "1.2.3", "0" * 64)

    with pytest.raises(Misconfigured, match=r"journal-1\.2\.3\.jar .* \(HTTPStatusError\): check the network"):
        jars.fetch([jar], tmp_path, repository)


def test_jar_with_the_right_hash_is_kept_though_the_first_try_failed(repository: str, tmp_path: Path) -> None:
    jar = Jar("org.example", "ledger", "1.2.3", hashlib.sha256(b"a jar").hexdigest())

    jars.fetch([jar], tmp_path, repository)

    assert [file.name for file in tmp_path.iterdir()] == [jar.file_name]
    assert (tmp_path / jar.file_name).read_bytes() == b"a jar"


def test_repository_is_known_without_being_named_here() -> None:
    assert jars._default_repository().startswith("https://")
