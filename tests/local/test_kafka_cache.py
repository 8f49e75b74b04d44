"""The cache of Kafka's start: used where it is, and never needed."""

import subprocess
from pathlib import Path

import pytest

from prequal.local import jars, kafka_cache, kafka_cache_maker
from prequal.local.kafka import JVM, _java_program


def test_without_a_cache_java_is_given_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "FOLDER", tmp_path)

    assert kafka_cache.options() == []


def test_cache_that_does_not_fit_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_path = jars.class_path()
    monkeypatch.setattr(jars, "FOLDER", tmp_path)
    kafka_cache.file().write_bytes(b"of another Java")

    command = [str(_java_program()), *JVM, *kafka_cache.options(), "-cp", class_path, "kafka.tools.StorageTool"]
    done = subprocess.run([*command, "random-uuid"], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, len(done.stdout.strip())) == (0, 22), done.stderr


def test_cache_is_made_of_the_start_where_no_message_comes_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_cache, "file", lambda: tmp_path / "start.aot")
    monkeypatch.setattr(kafka_cache_maker, "MESSAGE_SECONDS", 0.0)

    kafka_cache_maker.make()

    assert [file.name for file in tmp_path.iterdir()] == ["start.aot"]
