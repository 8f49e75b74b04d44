"""What `prequal up` offers about Prometheus: a configuration for its own ports, and the command that reads it."""

import shlex
from pathlib import Path

import pytest

from prequal.core.settings import load
from prequal.local.data_folder import DataFolder
from prequal.local.prometheus import offer
from prequal.local.settings import UpSettings

SETTINGS = load(UpSettings, api_port=8001, credit_port=8000, decision_port=18002, publisher_port=18003)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "a folder")
    folder.path.mkdir()
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_command_names_a_configuration_of_the_ports_as_they_are(folder: DataFolder) -> None:
    words = shlex.split(offer(SETTINGS, folder) or "")

    file = Path(words[1].removeprefix("--config.file="))
    assert words[0] == "prometheus"
    assert [line.split('"')[1] for line in file.read_text().splitlines() if "targets:" in line] == [
        "127.0.0.1:8001",
        "127.0.0.1:8000",
        "127.0.0.1:18002",
        "127.0.0.1:18003",
        "127.0.0.1:8004",
    ]


@pytest.mark.usefixtures("installed")
def test_api_that_asks_for_tokens_is_scraped_at_its_admin_port(folder: DataFolder) -> None:
    offer(load(UpSettings, api_authentication="keys", admin_port=18005), folder)

    assert '"127.0.0.1:18005"' in (folder.prometheus / "prometheus.yml").read_text()
    assert '"127.0.0.1:8000"' not in (folder.prometheus / "prometheus.yml").read_text()


@pytest.mark.usefixtures("installed")
def test_rules_are_named_by_where_they_lie(folder: DataFolder) -> None:
    offer(SETTINGS, folder)

    text = (folder.prometheus / "prometheus.yml").read_text()
    (rules,) = (line.split('"')[1] for line in text.splitlines() if "rules/" in line)
    assert sorted(file.name for file in Path(rules).parent.glob("*.yml")) == ["alerts.yml", "service_levels.yml"]


def test_nothing_is_offered_where_there_is_no_prometheus(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert offer(SETTINGS, folder) is None
    assert not folder.prometheus.exists()
