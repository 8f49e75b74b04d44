"""The shipped Dockerfile built, and the shipped compose file run, by podman: one application is decided in containers.

Not part of `make test`: it takes minutes and root (`make test-containers`). No image registry is asked: PostgreSQL and
Kafka are stand-ins of the same versions' programs, Prometheus and Alertmanager of those of Debian's packages. Grafana
and the simulated bureau are not started.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from harness.applications import a_pan
from harness.ports import free_ports
from harness.waiting import eventually
from prequal.core.topology import COMMANDS
from prequal.local.keys import generate
from tests.shipping.test_compose import SECRETS

from .engine import ROOT, WATCHING, Engine, debian, ours, say_optimised

LONG_RUNNING = (*COMMANDS, "scheduler")
DOWN_SECONDS = 60.0
PORT_SETTINGS = ("API_PORT", "ADMIN_PORT", "CONSOLE_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")
PORTS = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
RULES = ROOT / "observability/rules"


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
    secrets = dict.fromkeys(SECRETS, "0123456789abcdef0123456789abcdef") | generate()
    settings = secrets | {name: str(port) for name, port in PORTS.items()}
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
    """The compose file but for Grafana and the bureau, started in its order and healthy."""
    engine.up((*LONG_RUNNING, *WATCHING))
    for name in COMMANDS:
        eventually(lambda name=name: engine.is_healthy(name), 120)  # type: ignore[misc]
    eventually(lambda: httpx.get(f"{address('API_PORT')}/ready", timeout=5).status_code == 200, 120)
    return engine


def address(port: str) -> str:
    """Where a service is published, by the setting of its port."""
    return f"http://127.0.0.1:{PORTS[port]}"


def asked(path: str) -> Any:
    """What Prometheus answers, or None while it does not."""
    try:
        answer = httpx.get(f"{address('PROMETHEUS_PORT')}/api/v1/{path}", timeout=5)
    except httpx.TransportError:
        return None
    return answer.json()["data"] if answer.status_code == 200 else None


def require_watched(system: Engine) -> None:
    """Prometheus scrapes every process, has the shipped rules and knows the Alertmanager; neither can do more."""
    jobs = yaml.safe_load((ROOT / "deploy/docker/prometheus.yml").read_text())["scrape_configs"]
    written = [group for file in RULES.glob("*.yml") for group in yaml.safe_load(file.read_text())["groups"]]

    def scraped() -> list[str]:
        targets = (asked("targets") or {"activeTargets": []})["activeTargets"]
        return sorted(each["labels"]["job"] for each in targets if each["health"] == "up")

    eventually(lambda: scraped() == sorted(job["job_name"] for job in jobs), 120)
    assert {each["name"] for each in asked("rules")["groups"]} == {each["name"] for each in written}
    eventually(lambda: len(asked("alertmanagers")["activeAlertmanagers"]) == 1, 60)
    ready = httpx.get(f"{address('ALERTMANAGER_PORT')}/-/ready", timeout=5)
    assert ready.status_code == 200, system.logs("alertmanager")
    for name in WATCHING:
        assert system.inspect(name)["HostConfig"]["ReadonlyRootfs"], name
        assert not system.inspect(name)["EffectiveCaps"], name


def test_application_is_decided_in_containers_that_are_watched_and_leave_nothing(system: Engine) -> None:
    api = f"{address('API_PORT')}/applications"
    body = {
        "pan_number": a_pan(),
        "monthly_income_inr": 100_000,
        "loan_amount_inr": 1_000_000,
        "loan_type": "HOME",
    }

    assert httpx.post(api, json=body, timeout=30).status_code == 401
    added = system.compose("--profile", "tools", "run", "--rm", "--no-deps", "clients", "add", "Lender's app")
    token = re.search(r"pq_\S+", added.stdout)
    assert token, added.stderr
    with httpx.Client(headers={"Authorization": f"Bearer {token[0]}"}, timeout=30) as client:
        eventually(lambda: client.post(api, json={}).status_code == 422, 30)  # a new client is known within seconds

        accepted = client.post(api, json=body)

        assert accepted.status_code == 202
        path = f"{api}/{accepted.json()['application_id']}/status"
        eventually(lambda: client.get(path).json()["status"] == "PRE_APPROVED", 60)

    for name in LONG_RUNNING:
        found = system.inspect(name)
        assert found["HostConfig"]["ReadonlyRootfs"], name
        assert not found["EffectiveCaps"], name
        assert found["Config"]["User"] == "10001:10001"
        assert system.podman("exec", f"prequaltest_{name}_1", "touch", "/opt/prequal/x", fails=True).returncode != 0

    require_watched(system)

    shown = system.compose("--profile", "tools", "run", "--rm", "--no-deps", "tools", "status")
    assert "PRE_APPROVED" in shown.stdout + shown.stderr

    began = time.monotonic()
    ended = system.compose("--profile", "tools", "down", "-v")
    seconds = time.monotonic() - began

    assert ended.returncode == 0, ended.stderr
    assert seconds < DOWN_SECONDS
    assert system.left() == []
    assert set(LONG_RUNNING) <= set(ours())
