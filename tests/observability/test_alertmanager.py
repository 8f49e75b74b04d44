"""An alert reaches somebody: our rules in a real Prometheus, the shipped route in a real Alertmanager, a webhook."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_port
from harness.waiting import eventually
from prequal.local.child_process import Child, stop_all
from prequal.local.prometheus import arguments

from .watching import quicker

ROOT = Path(__file__).parents[2]
ROUTE = ROOT / "observability/alertmanager.yml"
SCRAPED = ROOT / "deploy/docker/prometheus.yml"
DELIVERED_SECONDS = 90.0


class Program(Child):
    """One of the two, with its command line."""

    def __init__(self, folder: Path, port: int, *argv: str) -> None:
        super().__init__(argv[0], port, folder / f"{argv[0]}.log")
        self._argv = argv

    def launch(self) -> None:
        self.spawn(self._argv)


class Webhook(ThreadingHTTPServer):
    """Takes notifications, by the path that they came to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.alerts: list[tuple[str, dict[str, Any]]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def came(self, path: str, name: str) -> dict[str, Any]:
        """An alert of this name that came to this path; empty until one has."""
        found = (alert for where, alert in self.alerts if where == path and alert["labels"]["alertname"] == name)
        return next(found, {})


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.alerts += [(self.path, alert) for alert in body["alerts"]]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Webhook]:
    """Who is notified of the system that the shipped configurations watch, and of which nothing runs."""
    webhook = Webhook()
    alertmanager = _alertmanager(tmp_path, webhook.server_port)
    prometheus = _prometheus(tmp_path, alertmanager.port)
    alertmanager.start()
    prometheus.start()
    yield webhook
    stop_all([prometheus, alertmanager], 5.0)
    webhook.shutdown()
    webhook.server_close()


def test_amtool_takes_the_route() -> None:
    done = subprocess.run(["amtool", "check-config", ROUTE], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_alert_reaches_the_receiver_of_its_severity_with_its_runbook_entry(webhook: Webhook) -> None:
    critical = eventually(lambda: webhook.came("/on-call", "ServiceDown"), DELIVERED_SECONDS)
    warning = eventually(lambda: webhook.came("/day", "BacklogUnknown"), DELIVERED_SECONDS)

    assert critical["status"] == warning["status"] == "firing"
    assert critical["annotations"]["summary"].startswith("No process of ")
    assert critical["annotations"]["runbook_url"] == "https://wiki.example/runbook#servicedown"
    assert warning["annotations"]["runbook_url"] == "https://wiki.example/runbook#backlogunknown"
    severities = {(path, alert["labels"]["severity"]) for path, alert in webhook.alerts}
    assert severities == {("/on-call", "critical"), ("/day", "warning")}


def _alertmanager(folder: Path, webhook_port: int) -> Program:
    text = ROUTE.read_text(encoding="utf-8").replace(":9099/", f":{webhook_port}/")
    file = folder / "alertmanager.yml"
    file.write_text(re.sub(r"group_wait: \d+s", "group_wait: 1s", text), encoding="utf-8")
    port = free_port()
    storage, listen = f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}"
    program = "prometheus-alertmanager"
    return Program(folder, port, program, f"--config.file={file}", storage, listen, "--cluster.listen-address=")


# What fires before Prometheus has found its Alertmanager, five seconds after its start, is sent a minute later: so the
# rules wait for ten seconds.
def _prometheus(folder: Path, alertmanager_port: int) -> Program:
    rules = folder / "rules"
    rules.mkdir()
    for file in (ROOT / "observability/rules").glob("*.yml"):
        (rules / file.name).write_text(quicker(file.read_text("utf-8")), encoding="utf-8")
    nobody = free_port()
    text = SCRAPED.read_text(encoding="utf-8").replace("alertmanager:9093", f"127.0.0.1:{alertmanager_port}")
    text = re.sub(r"\w+:8000", f"127.0.0.1:{nobody}", text)
    text = re.sub(r"(scrape_timeout|interval): \ds", r"\1: 1s", text)
    labelled = text.replace("global:\n", "global:\n  external_labels: {runbook: https://wiki.example/runbook}\n")
    config = folder / "prometheus.yml"
    config.write_text(labelled, encoding="utf-8")
    port = free_port()
    return Program(folder, port, "prometheus", *arguments(config, folder / "prometheus", port))
