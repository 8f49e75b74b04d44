"""The environment of the containers, compared with the settings of the code: no engine is needed."""

import json
import re
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from pydantic_settings import BaseSettings

from prequal.core import settings
from prequal.core.settings.console import ConsoleSettings
from prequal.core.settings.login import RolesSettings
from prequal.core.settings.people import PeopleSettings
from prequal.core.settings.simulator import SimulatorSettings
from prequal.core.topology import BUREAU_PORT, COMMANDS
from prequal.local.jars import KAFKA_VERSION
from prequal.local.keys import generate
from prequal.local.postgres import VERSION

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("prequal:")}
SETTINGS_OF: dict[str, type[BaseSettings]] = {
    "api": settings.ApiSettings,
    "credit": settings.CreditSettings,
    "bureau": SimulatorSettings,
    "decision": settings.DecisionSettings,
    "publisher": settings.PublisherSettings,
    "console": ConsoleSettings,
    "users": PeopleSettings,
    "topics": settings.TopicsSettings,
    "roles": RolesSettings,
    "tools": settings.StoresSettings,
    "clients": settings.HashingSettings,
    "migrate": settings.DatabaseSettings,
    "maintain": settings.DatabaseSettings,
    "scheduler": settings.DatabaseSettings,
}
LOGINS = ("api", "credit", "decision", "publisher", "console", "operator")
PASSWORDS = {f"{login.upper()}_DATABASE_PASSWORD": f"the-password-of-{login}" for login in LOGINS}
SECRETS = {
    *PASSWORDS,
    "POSTGRES_PASSWORD",
    "ENCRYPTION_KEY",
    "PAN_HASH_KEY",
    "REPORT_KEY",
    "RECORD_KEY",
    "PEOPLE_KEY",
    "GRAFANA_PASSWORD",
}
KEYS = generate()
ASKED = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[?-])(?P<rest>[^}]*))?\}")


def environment_of(name: str) -> dict[str, str]:
    """The environment of a service, with secrets filled in."""
    image = dict(re.findall(r"(HTTP_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))

    def filled(asked: re.Match[str]) -> str:
        return asked["rest"] if asked["how"] == "-" else (KEYS | PASSWORDS).get(asked["name"], "secret")

    own = {key: ASKED.sub(filled, str(value)) for key, value in SERVICES[name].get("environment", {}).items()}
    return image | own


def test_compose_file_fits_the_schema_of_compose_files() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())

    jsonschema.validate(COMPOSE, schema)


def test_every_service_of_ours_is_compared_with_its_settings() -> None:
    assert OURS.keys() == SETTINGS_OF.keys()


@pytest.mark.parametrize("name", SETTINGS_OF)
def test_service_gets_every_setting_it_needs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in environment_of(name).items():
        monkeypatch.setenv(variable, value)

    loaded = settings.load(SETTINGS_OF[name])

    if isinstance(loaded, settings.ServiceSettings):
        assert (loaded.http_host, loaded.http_port) == ("0.0.0.0", 8000)


@pytest.mark.parametrize("name", SETTINGS_OF)
def test_service_gets_no_setting_it_does_not_read(name: str) -> None:
    own = set(OURS[name].get("environment", {}))

    assert own <= {field.upper() for field in SETTINGS_OF[name].model_fields}


def test_each_process_logs_in_as_itself_with_the_password_of_roles() -> None:
    made = environment_of("roles")

    for name, login in {**dict(zip(COMMANDS, COMMANDS, strict=True)), "tools": "operator"}.items():
        address = urlsplit(environment_of(name)["DATABASE_URL"])
        assert address.username == f"prequal_{login}_login"
        assert address.netloc.endswith(f":{made[f'{login.upper()}_DATABASE_PASSWORD']}@postgres:5432")


def test_simulated_bureau_listens_where_only_credit_reaches_it() -> None:
    address = environment_of("bureau")

    assert OURS["bureau"]["network_mode"] == "service:credit"
    assert OURS["bureau"]["profiles"] == ["bureau"]
    assert (address["HTTP_HOST"], address["HTTP_PORT"]) == ("127.0.0.1", str(BUREAU_PORT))


@pytest.mark.parametrize("name", ["api", "credit"])
def test_published_pans_are_as_any_other_unless_they_are_switched_on(name: str) -> None:
    assert environment_of(name)["SANDBOX"] == "false"


def test_no_secret_has_a_default() -> None:
    asked = {match["name"]: match["how"] for match in ASKED.finditer((ROOT / "docker-compose.yml").read_text())}

    assert {name for name, how in asked.items() if how == "?"} == SECRETS


def test_everything_starts_after_what_it_needs() -> None:
    needs = {name: list(service.get("depends_on", ())) for name, service in SERVICES.items()}

    order = list(TopologicalSorter(needs).static_order())

    assert set(order) == set(SERVICES)
    for name in COMMANDS:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", SETTINGS_OF)
def test_containers_of_ours_can_write_only_their_scratch(name: str) -> None:
    service = OURS[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_stores_are_of_the_versions_that_the_tests_run_on() -> None:
    assert SERVICES["postgres"]["image"] == f"postgres:{VERSION}"
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_prometheus_scrapes_every_process_under_the_names_that_the_rules_use() -> None:
    here = yaml.safe_load((ROOT / "deploy/docker/prometheus.yml").read_text())["scrape_configs"]
    elsewhere = yaml.safe_load((ROOT / "observability/prometheus.yml").read_text())["scrape_configs"]

    assert [job["job_name"] for job in here] == [job["job_name"] for job in elsewhere]
    targets = [target for job in here for config in job["static_configs"] for target in config["targets"]]
    assert targets == ["api:8005", "credit:8000", "decision:8000", "publisher:8000", "console:8007"]


def test_prometheus_sends_its_alerts_to_the_alertmanager_beside_it() -> None:
    alerting = yaml.safe_load((ROOT / "deploy/docker/prometheus.yml").read_text())["alerting"]

    (alertmanager,) = alerting["alertmanagers"]
    assert alertmanager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert "alertmanager" in SERVICES


def test_what_is_mounted_exists() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())]

    assert all((ROOT / mount).exists() if mount.startswith("./") else mount in COMPOSE["volumes"] for mount in mounts)


def test_volumes_of_data_outlive_the_containers() -> None:
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"] == SERVICES["kafka"]["volumes"][0].split(":")[1]
