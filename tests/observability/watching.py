"""A real Prometheus that watches a system of the tests' own, and what is asked of it."""

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGHUP
from typing import Any

import httpx
import yaml

from harness.ports import free_port
from harness.waiting import eventually
from prequal.core.errors import Transient
from prequal.local.child_process import STOP_SECONDS, Child
from prequal.local.prometheus import PATTERN, arguments, configuration

START_SECONDS = 60.0
SCRAPE_SECONDS = 2
"""How often each process is asked, and how long it has to answer: a machine that is busy must not look like a fault."""
WAIT_SECONDS = 10
"""The longest `for` here: what comes and goes in a real fault is never true for so long. What each really is, promtool
tries (cases.yml)."""
SERVICES = ("api", "credit", "decision", "publisher")

Labels = frozenset[tuple[str, str]]


def rules() -> dict[str, Any]:
    """Every alert's rule, by its name."""
    groups = [yaml.safe_load(file.read_text("utf-8"))["groups"] for file in sorted(PATTERN.parent.glob("rules/*.yml"))]
    return {rule["alert"]: rule for each in groups for group in each for rule in group["rules"] if "alert" in rule}


class Prometheus(Child):
    """Our rules and our scrape configuration on the ports of a rig without a console, quicker than in production.

    Looked at every two seconds instead of every five, and firing after ten instead of after minutes.
    """

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        super().__init__("prometheus", free_port(), folder / "prometheus.log")
        self._file = folder / "prometheus.yml"
        self._data = folder / "prometheus"
        self._rules = rules()
        self._rules_folder = folder / "rules"
        self._ports = ports
        self._no_console = free_port()
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10, trust_env=False)

    def launch(self) -> None:
        self._rules_folder.mkdir(exist_ok=True)
        for file in PATTERN.parent.glob("rules/*.yml"):
            (self._rules_folder / file.name).write_text(quicker(file.read_text("utf-8")), encoding="utf-8")
        self._configure({})
        self.spawn(["prometheus", *arguments(self._file, self._data, self.port)])

    def wait_until_ready(self) -> None:
        """Until each of the four was seen once, with all that it has counted so far."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.running:
            try:
                if self.number("sum(up)") == len(SERVICES) and self.number("max(db_transactions_total)"):
                    return
            except httpx.HTTPError:  # it does not listen yet, or reads what it kept
                pass
            time.sleep(0.1)
        raise Transient(f"Prometheus did not start: {self.last_sentence()}")

    def stop_for_good(self, timeout_seconds: float = STOP_SECONDS) -> None:
        super().stop_for_good(timeout_seconds)
        self._client.close()

    def also_watch(self, name: str, port: int) -> None:
        """Scrape one process more of a service."""
        self._configure({name: port})
        self.send(SIGHUP)
        eventually(lambda: self.number("sum(up)") == len(SERVICES) + 1)

    def ask(self, query: str, at: float | None = None) -> dict[Labels, float]:
        """The series of an instant query, now or at another time; those that are no number are left out."""
        found = self._get("query", query=query, **({} if at is None else {"time": f"{at:.3f}"}))
        values = {frozenset(series["metric"].items()): float(series["value"][1]) for series in found}
        return {labels: value for labels, value in values.items() if not math.isnan(value)}

    def number(self, query: str) -> float | None:
        """The value of a query of one series; None when it has none."""
        return next(iter(self.ask(query).values()), None)

    def drawn(self, query: str, since: float) -> list[float]:
        """Every number of a query drawn over time since then, each second."""
        found = self._get("query_range", query=query, start=str(since), end=str(time.time()), step="1")
        values = [float(value) for series in found for _, value in series["values"]]
        return [value for value in values if not math.isnan(value)]

    def speaks(self, alert: str) -> bool:
        """Whether an alert's expression is true now, whatever its `for`."""
        return bool(self.ask(self._rules[alert]["expr"]))

    def fires(self, alert: str, **labels: str) -> bool:
        """Whether an alert fires now, of a series with these labels: its expression stayed true for its `for`."""
        wanted = labels | {"alertname": alert}
        return any(
            each["state"] == "firing" and wanted.items() <= each["labels"].items()
            for each in self._data_of("alerts")["alerts"]
        )

    def fired(self, since: float) -> set[str]:
        """The alerts that have fired at any moment since then."""
        found = self._get(
            "query_range", query='ALERTS{alertstate="firing"}', start=str(since), end=str(time.time()), step="1"
        )
        return {series["metric"]["alertname"] for series in found}

    def unhealthy_rules(self) -> list[str]:
        """Rules that Prometheus could not evaluate."""
        groups = self._data_of("rules")["groups"]
        return [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"]

    def _get(self, path: str, **parameters: str) -> list[Any]:
        found: list[Any] = self._data_of(path, **parameters)["result"]
        return found

    def _data_of(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self._client.get(f"/api/v1/{path}", params=parameters).raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data

    def _configure(self, further: Mapping[str, int]) -> None:
        ports = {f"{name}_port": self._ports[name] for name in SERVICES} | {"console_port": self._no_console}
        text = configuration(ports)
        text = re.sub(r"(interval|timeout): \ds", rf"\1: {SCRAPE_SECONDS}s", text)
        text = text.replace(f"{PATTERN.parent}/rules", str(self._rules_folder))
        for name, port in further.items():
            one = f'"127.0.0.1:{self._ports[name]}"'
            text = text.replace(one, f'{one}, "127.0.0.1:{port}"')
        self._file.write_text(text, encoding="utf-8")


def quicker(text: str) -> str:
    """Rules of which none waits for longer than `WAIT_SECONDS`."""
    return re.sub(r"\bfor: (\d+[sm])$", f"for: {WAIT_SECONDS}s", text, flags=re.MULTILINE)
