"""The lock of Kafka's jars, and what is done when a jar is not what it says."""

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prequal.core.errors import Misconfigured
from prequal.local import jars, maven
from prequal.local.jars import Jar


def test_lock_names_the_broker_and_its_binding_with_a_hash_each() -> None:
    locked = jars.locked()

    assert {str(jar).split()[0] for jar in locked} >= set(jars.ROOTS)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in locked)


def test_lock_has_one_version_of_each_jar() -> None:
    names = [(jar.group, jar.artifact) for jar in jars.locked()]

    assert len(names) == len(set(names))


def test_line_of_the_lock_is_the_jar_again() -> None:
    jar = Jar("org.example", "ledger", "1.2.3", "0" * 64)

    assert jars._parsed(str(jar)) == jar
    assert jar.file_name == "ledger-1.2.3.jar"


def test_what_is_there_is_not_missing(tmp_path: Path) -> None:
    first, *others = jars.locked()
    (tmp_path / first.file_name).touch()

    assert jars.missing(tmp_path) == others


class FakeArtifact:
    """An artifact whose download gives these bytes."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self._file = folder / "download"
        self._content = content

    def project(self, *_: str) -> "FakeArtifact":
        return self

    at_version = project
    artifact = project

    def resolve(self) -> Path:
        self._file.write_bytes(self._content)
        return self._file


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeArtifact:
    artifact = FakeArtifact(tmp_path, b"a jar")

    @contextmanager
    def offline(_: Path) -> Iterator[FakeArtifact]:
        yield artifact

    monkeypatch.setattr(maven, "_maven", offline)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return artifact


@pytest.mark.usefixtures("registry")
def test_jar_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    jar = Jar("org.example", "ledger", "1.2.3", "0" * 64)

    with pytest.raises(Misconfigured, match=r"ledger-1\.2\.3\.jar .* KAFKA_BOOTSTRAP_SERVERS"):
        maven.fetch([jar], tmp_path)

    assert not (tmp_path / jar.file_name).exists()


@pytest.mark.usefixtures("registry")
def test_jar_with_the_right_hash_is_kept(tmp_path: Path) -> None:
    jar = Jar("org.example", "ledger", "1.2.3", hashlib.sha256(b"a jar").hexdigest())

    maven.fetch([jar], tmp_path)

    assert (tmp_path / jar.file_name).read_bytes() == b"a jar"
