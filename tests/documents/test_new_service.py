"""Where each of the services is registered, and that CONTRIBUTING names those places for the next one."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from prequal.cli import app, main, services
from prequal.core.settings.login import RolesSettings
from prequal.core.topology import COMMANDS, PORTS, Service
from prequal.local.services import SETTINGS
from prequal.messaging.acls import ACLS, DUTIES, KafkaUser
from prequal.schema.grants import GRANTS
from prequal.telemetry.shown import SHOWN

ROOT = Path(__file__).parents[2]
WATCHED = ("ReplicaDown", "RestartsOften")
"""The alerts that name the jobs of all services."""


def text(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def jobs(name: str) -> set[str]:
    """The jobs that a configuration of Prometheus scrapes."""
    return {job["job_name"] for job in yaml.safe_load(text(name))["scrape_configs"]}


def watched(alert: str) -> set[str]:
    """The jobs that an alert's expression names."""
    groups = yaml.safe_load(text("observability/rules/alerts.yml"))["groups"]
    (rule,) = (rule for group in groups for rule in group["rules"] if rule.get("alert") == alert)
    return set(re.findall(r'job=~"([^"]+)"', rule["expr"])[0].split("|"))


def of_names(names: set[str]) -> Callable[[str, Service], bool]:
    """Whether the command is among them."""
    return lambda command, _: command in names


def of_services(names: set[str]) -> Callable[[str, Service], bool]:
    """Whether the service's name is among them."""
    return lambda _, service: service.value in names


LAYERS = "|".join(tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]["layers"])
POSTGRES = "deploy/kubernetes/components/stores/postgres.yaml"
PLACES: dict[str, Callable[[str, Service], bool]] = {
    "`core/topology.py`": lambda command, service: COMMANDS[command] is service and service in PORTS,
    "`cli/services.py`": of_names(set(vars(services))),
    "`cli/app.py`": of_names(set(getattr(get_command(app.app), "commands"))),  # noqa: B009 - typer's type has none
    "`cli/main.py` `SERVING`": of_names(main.SERVING),
    "`service.py`": lambda command, _: (ROOT / f"src/prequal/{command}/service.py").is_file(),
    "`local/services.py` `SETTINGS`": of_names(set(SETTINGS)),
    "`schema/grants.py`": lambda command, _: any(f"prequal_{command}" in grants for grants in GRANTS.values()),
    "`core/settings/login.py`": lambda command, _: f"{command}_database_password" in RolesSettings.model_fields,
    "`messaging/acls.py` (`KafkaUser`, `DUTIES`, `ACLS`)": lambda command, _: (
        (user := KafkaUser(f"prequal-kafka-{command}")) in ACLS and f"`prequal {command}`" in DUTIES[user]
    ),
    "`telemetry/shown.py`": lambda _, service: service in SHOWN,
    "`docker-compose.yml`": of_names(set(yaml.safe_load(text("docker-compose.yml"))["services"])),
    "`deploy/kubernetes/base/`": lambda command, service: (
        f"name: {service}\n" in text(f"deploy/kubernetes/base/{command}.yaml")
        and f"{command}.yaml" in text("deploy/kubernetes/base/kustomization.yaml")
    ),
    "`components/stores/postgres.yaml`": lambda command, _: (
        f"name: prequal_{command}, " in text(POSTGRES) and f"name: prequal_{command}_login, " in text(POSTGRES)
    ),
    "`DOCKER_PASSWORDS`": lambda command, _: (
        f" {command.upper()}_DATABASE" in re.findall("^DOCKER_PASSWORDS = .+", text("Makefile"), re.MULTILINE)[0]
    ),
    "`observability/prometheus.yml`": of_services(jobs("observability/prometheus.yml")),
    "`deploy/docker/prometheus.yml`": of_services(jobs("deploy/docker/prometheus.yml")),
    "ReplicaDown and RestartsOften": lambda _, service: all(service.value in watched(alert) for alert in WATCHED),
    "`pyproject.toml`": lambda command, _: f"prequal.{command}" in re.split(r"[| ]+", LAYERS),
    "administration.md#ports": lambda command, service: (
        re.search(rf"\| \d{{4}} \| `HTTP_PORT` \| \[?{service}\b", text("docs/administration.md")) is not None
    ),
    "`ARCHITECTURE.md`": lambda command, _: f"`{command}/`" in text("ARCHITECTURE.md"),
}
"""Each place as CONTRIBUTING spells it, and whether a service is registered there."""


@pytest.mark.parametrize("place", PLACES)
def test_every_service_is_registered(place: str) -> None:
    missing = {command for command, service in COMMANDS.items() if not PLACES[place](command, service)}

    assert missing == set()


def test_contributing_names_every_place_where_a_new_service_is_registered() -> None:
    (said,) = re.findall(r"^\*\*a service\.\*\*.+?\n\n", text("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL)
    said = " ".join(said.split())

    assert [place for place in PLACES if place not in said] == []
