"""Tried as on call would: something breaks, the right alert fires, and its runbook entry repairs it.

Each alert has its own windows and bounds, and a `for` of ten seconds at most: long enough to see that the real fault
keeps its expression true without a gap. What its own `for` adds is tried by promtool (cases.yml).
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.applications import an_application, an_idempotency_key
from harness.broker import SUBMITTED, SUBMITTED_DLQ, RawMessage
from harness.journal import SERVICES
from harness.own_system import OwnSystem
from harness.waiting import eventually

from .conftest import Watched
from .watching import WAIT_SECONDS, Prometheus

RUNBOOK = (Path(__file__).parents[2] / "docs/runbook.md").read_text(encoding="utf-8")
NOTICED_SECONDS, BACK_SECONDS = 5.0, 10.0
"""Within which `/ready` tells of a fault, and of its end."""
SEEN_SECONDS = 15.0
"""Within which the metrics show what the stores say: they are asked every four to six seconds."""
FIRES_SECONDS = SEEN_SECONDS + WAIT_SECONDS + 10.0
"""Within which an alert of what is there already fires, on a busy machine too."""
ANSWER_SECONDS = 15.0
"""The API promises an answer within 4.5 s, which other tests hold; here the machine may be busy."""
DRAINED_SECONDS = 60.0
READY, DEGRADED, NOT_READY = "200 ready", "200 degraded", "503 not_ready"
HEALTHY = dict.fromkeys(SERVICES, READY)
STOPS_AT = 50


@pytest.fixture
def rig(watched: Watched) -> Iterator[OwnSystem]:
    """A healthy system, before and after."""
    eventually(lambda: _readiness(watched.rig) == HEALTHY, BACK_SECONDS)
    yield watched.rig
    watched.rig.thaw("postgres")
    for name in ("kafka", *SERVICES):
        if not watched.rig.runs(name):
            watched.rig.start(name)


@pytest.fixture
def prometheus(watched: Watched) -> Prometheus:
    return watched.prometheus


def test_broker_that_stopped_alarms_and_needs_nothing_but_to_be_started(rig: OwnSystem, prometheus: Prometheus) -> None:
    rig.kill("kafka")

    _assert_noticed(rig, dict.fromkeys(SERVICES, NOT_READY) | {"api": DEGRADED})
    assert [_post(rig) for _ in range(5)] == [202] * 5
    eventually(lambda: prometheus.fires("DependencyDown", dependency="kafka"), FIRES_SECONDS)
    eventually(lambda: prometheus.number("max(outbox_depth)") == rig.database.count("outbox_events") == 5, SEEN_SECONDS)
    eventually(lambda: prometheus.number("max(applications_overdue)") == 5, SEEN_SECONDS)
    eventually(lambda: prometheus.fires("DecisionBudgetBurnsFast"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("BacklogUnknown"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("BreakerOpen", breaker="kafka_producer"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("OutboxOld", topic=SUBMITTED), 30 + FIRES_SECONDS)
    assert not prometheus.fires("DependencyDown", dependency="database")

    rig.start("kafka")

    eventually(lambda: _readiness(rig) == HEALTHY, BACK_SECONDS)
    eventually(lambda: _undecided(rig) == 0, DRAINED_SECONDS)
    for alert in ("DependencyDown", "OutboxOld", "BreakerOpen", "BacklogUnknown"):
        eventually(lambda alert=alert: not prometheus.fires(alert), SEEN_SECONDS)  # type: ignore[misc]


def test_frozen_database_alarms_and_needs_nothing_but_to_go_on(rig: OwnSystem, prometheus: Prometheus) -> None:
    key, body = an_idempotency_key(), an_application()
    rig.freeze("postgres")

    _assert_noticed(rig, dict.fromkeys(SERVICES, NOT_READY))
    assert _post(rig, key, body) == 503
    assert [_post(rig) for _ in range(4)] == [503] * 4
    eventually(lambda: prometheus.fires("DependencyDown", dependency="database"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("BreakerOpen", service="prequal-api", breaker="database"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("HighErrorRate"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("AcceptanceBudgetBurnsFast"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("BacklogUnknown"), FIRES_SECONDS)
    assert not prometheus.fires("DependencyDown", dependency="kafka")

    rig.thaw("postgres")

    eventually(lambda: _readiness(rig) == HEALTHY, BACK_SECONDS)
    assert eventually(lambda: _post(rig, key, body) == 202, BACK_SECONDS)
    eventually(lambda: _undecided(rig) == 0, DRAINED_SECONDS)
    for alert in ("DependencyDown", "BreakerOpen", "BacklogUnknown"):
        eventually(lambda alert=alert: not prometheus.fires(alert), SEEN_SECONDS)  # type: ignore[misc]


def test_poisoned_topic_alarms_and_the_commands_of_its_entry_repair_it(rig: OwnSystem, prometheus: Prometheus) -> None:
    before = rig.broker.published(SUBMITTED_DLQ)
    rig.broker.publish(SUBMITTED, [RawMessage(b"{", str(number).encode()) for number in range(STOPS_AT + 10)])

    eventually(lambda: prometheus.fires("ConsumerStopped", service="credit-service"), FIRES_SECONDS)
    eventually(lambda: prometheus.fires("DeadLettersRising", reason="malformed_json"), FIRES_SECONDS)
    _assert_noticed(rig, HEALTHY | {"credit": NOT_READY})
    assert "dead letters" in rig.ready("credit")[1]["reason"]
    assert _post(rig) == 202
    assert (_undecided(rig), rig.broker.published(SUBMITTED_DLQ) - before) == (1, STOPS_AT)

    look, *repair = _commands("ConsumerStopped")
    assert str(STOPS_AT) in _typed(rig, look)
    rig.restart("credit")
    eventually(lambda: _undecided(rig) == 0, DRAINED_SECONDS)
    for command in repair:
        _typed(rig, command)

    assert json.loads(_typed(rig, "prequal dlq list --json")) == []
    eventually(lambda: _readiness(rig) == HEALTHY, BACK_SECONDS)
    eventually(lambda: not prometheus.fires("ConsumerStopped"), FIRES_SECONDS)
    assert rig.broker.published(SUBMITTED_DLQ) - before == STOPS_AT + 10


def _readiness(rig: OwnSystem) -> dict[str, str]:
    """What all four say at `/ready`, asked at the same time: status code and word."""

    def said(name: str) -> str:
        code, body = rig.ready(name)
        return f"{code} {body['status']}"

    with ThreadPoolExecutor(len(SERVICES)) as threads:
        return dict(zip(SERVICES, threads.map(said, SERVICES), strict=True))


def _assert_noticed(rig: OwnSystem, expected: dict[str, str]) -> None:
    """All four say this when they are asked so long after the fault; how long their answers take is not held against
    them.
    """
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        if (found := _readiness(rig)) == expected:
            return
        assert asked - began < NOTICED_SECONDS, found


def _post(rig: OwnSystem, key: str = "", body: dict[str, Any] | None = None) -> int | None:
    """The status that an application is answered with; None when the answer does not come."""
    headers = {"Idempotency-Key": key or an_idempotency_key()}
    with httpx.Client(base_url=rig.url, timeout=ANSWER_SECONDS, trust_env=False) as client:
        try:
            return client.post("/applications", json=body or an_application(), headers=headers).status_code
        except httpx.TransportError:
            return None


def _undecided(rig: OwnSystem) -> int:
    return int(rig.database.value("SELECT count(*) FROM applications WHERE status = 'PENDING'"))


def _commands(alert: str) -> list[str]:
    """What an entry of the runbook has the person on call type, in its order."""
    entry = RUNBOOK.partition(f"### {alert}\n")[2].partition("\n### ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", entry, re.DOTALL) for line in block.splitlines()]


def _typed(rig: OwnSystem, line: str) -> str:
    """What a command prints that is typed where the stores' addresses are set."""
    stores = {"DATABASE_URL": rig.database_url, "KAFKA_BOOTSTRAP_SERVERS": rig.bootstrap_servers}
    done = subprocess.run(
        [sys.executable, "-P", "-m", *shlex.split(line)],
        cwd=rig.folder,
        env={"PATH": os.environ["PATH"], **stores},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout
