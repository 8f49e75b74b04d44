"""Quick properties, and `prequal` as a person runs it."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from hypothesis import settings
from typer.testing import CliRunner

from harness.broker import GROUPS, SECONDS, Broker
from harness.database import PASSWORD, Database
from harness.waiting import eventually
from prequal.cli.app import app
from prequal.core.settings import StoresSettings
from prequal.local.logins import as_login
from prequal.schema.grants import Role

settings.register_profile("ops", max_examples=60, deadline=None, database=None)
settings.load_profile("ops")

Prequal = Callable[..., Any]


@pytest.fixture(scope="session")
def _coordinated(_broker: Broker) -> Broker:
    """The broker once it can say what a group has read: the admin client may crash when it asks before."""
    for group in GROUPS:
        eventually(partial(_answers, _broker, group), within=30)
    return _broker


def _answers(broker: Broker, group: str) -> bool:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "log_level": 0})
    try:
        consumer.committed([TopicPartition("any", 0)], timeout=SECONDS)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


@pytest.fixture
def broker(_coordinated: Broker, broker: Broker) -> Broker:
    """The broker, with empty topics that nobody has read."""
    return broker


@pytest.fixture
def stores(database: Database, broker: Broker) -> StoresSettings:
    """The test's own stores."""
    return StoresSettings(
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own
        database_url=database.url,
        kafka_bootstrap_servers=broker.bootstrap_servers,
    )


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working folder and no setting of ours in the environment."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "KAFKA_", "PREQUAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def prequal_without_stores(bare: None) -> Prequal:
    """Runs `prequal …` where nothing is set and nothing runs."""
    return _runner({})


@pytest.fixture
def prequal(bare: None, stores: StoresSettings, offsets_are_waited_for: None) -> Prequal:
    """Runs `prequal …` on the test's stores."""
    return _runner(
        {"DATABASE_URL": of_operator(stores.database_url), "KAFKA_BOOTSTRAP_SERVERS": stores.kafka_bootstrap_servers}
    )


@pytest.fixture
def prequal_on_database(bare: None, database: Database) -> Prequal:
    """Runs `prequal …` where there is a database and no broker."""
    return _runner({"DATABASE_URL": of_operator(database.url)})


def of_operator(database_url: str) -> str:
    """The address of the person on call."""
    return as_login(database_url, Role.OPERATOR, PASSWORD)


def _runner(environment: dict[str, str]) -> Prequal:
    def run(*words: str) -> Any:
        done = CliRunner().invoke(app, list(words), env=environment)
        return json.loads(done.stdout) if "--json" in words and done.exit_code == 0 else done

    return run
