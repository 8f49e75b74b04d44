"""The shipped Dockerfile built, and the shipped compose file run, by podman: one application is decided in containers.

Not part of `make test`: it takes minutes and root (`make test-containers`). No image registry is asked: PostgreSQL and
Kafka are stand-ins of the same versions' programs; in those of Prometheus, Alertmanager and Grafana nothing runs.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.applications import a_pan
from harness.ports import free_port
from harness.waiting import eventually
from prequal.core.topology import COMMANDS
from prequal.local.keys import generate
from tests.shipping.test_compose import SECRETS

from .engine import ROOT, Engine, debian, ours, say_optimised

LONG_RUNNING = (*COMMANDS, "scheduler")
DOWN_SECONDS = 60.0
PORT = free_port()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root file system of the base image; PREQUAL_TEST_BASE names one that was made before."""
    root = tmp_path_factory.mktemp("base") / "root"
    if made := os.environ.get("PREQUAL_TEST_BASE"):
        subprocess.run(["cp", "-a", made, root], check=True)
    else:
        debian(root)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, machine: Path) -> Iterator[Engine]:
    """The engine, with the shipped image, the stand-ins and nothing running."""
    settings = dict.fromkeys(SECRETS, "0123456789abcdef0123456789abcdef") | generate() | {"API_PORT": str(PORT)}
    engine = Engine(tmp_path_factory.mktemp("podman"), settings)
    try:
        engine.import_base(machine)
        refused = engine.build("prequal:latest", ROOT, fails=True)
        assert refused.returncode != 0, "a Python without --enable-optimizations was taken"
        assert "without --enable-optimizations" in refused.stdout + refused.stderr
        say_optimised(machine)
        engine.import_base(machine)
        engine.build("prequal:latest", ROOT)
        engine.build_stand_ins()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def system(engine: Engine) -> Engine:
    """The whole compose file, started in its order and healthy."""
    engine.up(LONG_RUNNING)
    for name in COMMANDS:
        eventually(lambda name=name: engine.is_healthy(name), 120)  # type: ignore[misc]
    eventually(lambda: httpx.get(f"http://127.0.0.1:{PORT}/ready", timeout=5).status_code == 200, 120)
    return engine


def test_application_is_decided_in_containers_that_leave_nothing(system: Engine) -> None:
    api = f"http://127.0.0.1:{PORT}/applications"
    asked = {
        "pan_number": a_pan(),
        "monthly_income_inr": 100_000,
        "loan_amount_inr": 1_000_000,
        "loan_type": "HOME",
    }

    assert httpx.post(api, json=asked, timeout=30).status_code == 401
    added = system.compose("--profile", "tools", "run", "--rm", "--no-deps", "clients", "add", "Lender's app")
    token = re.search(r"pq_\S+", added.stdout)
    assert token, added.stderr
    with httpx.Client(headers={"Authorization": f"Bearer {token[0]}"}, timeout=30) as client:
        eventually(lambda: client.post(api, json={}).status_code == 422, 30)  # a new client is known within seconds

        accepted = client.post(api, json=asked)

        assert accepted.status_code == 202
        path = f"{api}/{accepted.json()['application_id']}/status"
        eventually(lambda: client.get(path).json()["status"] == "PRE_APPROVED", 60)

    for name in LONG_RUNNING:
        found = system.inspect(name)
        assert found["HostConfig"]["ReadonlyRootfs"], name
        assert not found["EffectiveCaps"], name
        assert found["Config"]["User"] == "10001:10001"
        assert system.podman("exec", f"prequaltest_{name}_1", "touch", "/opt/prequal/x", fails=True).returncode != 0

    shown = system.compose("--profile", "tools", "run", "--rm", "--no-deps", "tools", "status")
    assert "PRE_APPROVED" in shown.stdout + shown.stderr

    began = time.monotonic()
    ended = system.compose("--profile", "tools", "down", "-v")
    seconds = time.monotonic() - began

    assert ended.returncode == 0, ended.stderr
    assert seconds < DOWN_SECONDS
    assert system.left() == []
    assert set(LONG_RUNNING) <= set(ours())
