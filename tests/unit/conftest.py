"""What all unit tests share: quick properties, and no settings but a test's own."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

BUSY_MACHINE = [HealthCheck.too_slow]
"""How long examples take to draw says how busy the machine is, and nothing about the code."""

settings.register_profile("unit", max_examples=40, deadline=None, database=None, suppress_health_check=BUSY_MACHINE)
settings.register_profile(
    "mutation", settings.get_profile("unit"), derandomize=True, phases=[Phase.explicit, Phase.generate]
)
"""The same examples in each run, so that the same mutants survive. None is made smaller: to be found is enough."""
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty working folder and no setting of ours in the environment: neither `.env` nor shell reaches a test."""
    for name in (
        "DATABASE_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "ENCRYPTION_KEY",
        "PAN_HASH_KEY",
        "REPORT_KEY",
        "RECORD_KEY",
        "PEOPLE_KEY",
        "LOG_LEVEL",
    ):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path_factory.getbasetemp() / "bare"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    return Path(os.curdir).absolute()
