"""`cli.connection_settings`: settings that are set win over those of a running `prequal up`."""

import os
from pathlib import Path

import pytest

from prequal.cli.connection_settings import api_url, record_stores, stores
from prequal.core.errors import Misconfigured
from prequal.core.settings import DatabaseSettings
from prequal.local.run_file import Process, RunFile

RUNNING = RunFile("postgresql://u:p@127.0.0.1:1/running", "127.0.0.1:2", {})


@pytest.fixture(autouse=True)
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".prequal"
    folder.mkdir(mode=0o700)
    RUNNING.write(folder / "run.json")


def test_without_settings_the_stores_are_those_of_a_running_up() -> None:
    assert stores(DatabaseSettings).database_url == RUNNING.database_url


def test_store_that_is_set_says_that_both_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:3")

    with pytest.raises(Misconfigured, match="DATABASE_URL"):
        stores(DatabaseSettings)


def test_record_needs_no_broker_and_is_found_whichever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:3")

    assert record_stores().database_url == RUNNING.database_url


def test_api_is_the_running_one_whatever_api_port_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "8123")
    api = Process(pid=os.getpid(), port=8124)
    RunFile(RUNNING.database_url, RUNNING.kafka_bootstrap_servers, {"api": api}).write(
        tmp_path / ".prequal" / "run.json"
    )

    assert api_url() == "http://127.0.0.1:8124"


def test_api_is_that_of_api_port_where_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".prequal" / "run.json").unlink()
    monkeypatch.setenv("API_PORT", "8123")

    assert api_url() == "http://127.0.0.1:8123"
