"""Whether the compose file and the manifests can give each process every setting that it has: no engine is needed."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from .test_compose import OURS, SETTINGS_OF
from .test_kubernetes import FOLDER, ROOT, WORKLOADS, Resource, built, container, pods, settings_of, with_component

WITH_A_MOUNT = "names a file or a folder, and comes with a mount of yours: docs/deployment.md says how"
OF_THE_RING = "is of ENCRYPTION_KEY_FILE, and comes with its mount"
OF_THE_IMAGE = "is what ports, probes, network policies and Prometheus go by"
NOT_GIVEN = {
    "ENCRYPTION_KEY_FILE": WITH_A_MOUNT,
    "HTTP_CERTIFICATE_FILE": WITH_A_MOUNT,
    "HTTP_KEY_FILE": WITH_A_MOUNT,
    "KAFKA_SASL_PASSWORD_FILE": WITH_A_MOUNT,
    "KAFKA_SSL_CERTIFICATE_LOCATION": WITH_A_MOUNT,
    "KAFKA_SSL_KEY_LOCATION": WITH_A_MOUNT,
    "KAFKA_SSL_KEY_PASSWORD": "is of KAFKA_SSL_KEY_LOCATION, and comes with its mount",
    "RECORD_HEADS_FOLDER": WITH_A_MOUNT,
    "WATCHED_FOLDER": WITH_A_MOUNT,
    "KEY_CACHE_SECONDS": OF_THE_RING,
    "KMS_ENDPOINT_URL": OF_THE_RING,
    "KMS_KEY_ID": OF_THE_RING,
    "KMS_REGION": OF_THE_RING,
    "VAULT_ADDR": OF_THE_RING,
    "VAULT_CACERT": OF_THE_RING,
    "VAULT_NAMESPACE": OF_THE_RING,
    "VAULT_TOKEN": OF_THE_RING,
    "VAULT_TOKEN_FILE": OF_THE_RING,
    "VAULT_TRANSIT_KEY": OF_THE_RING,
    "VAULT_TRANSIT_MOUNT": OF_THE_RING,
    "ADMIN_PORT": OF_THE_IMAGE,
    "CONSOLE_ADMIN_PORT": OF_THE_IMAGE,
    "PROMETHEUS_PORT": OF_THE_IMAGE,
    "SERVICE_NAME": "is the name that boards and alerts go by",
    "SHUTDOWN_SECONDS": "is what the time to stop beside it was chosen for",
    "API_AUTHENTICATION": "can only be `keys` where the API listens on more than a loopback address",
    "KAFKA_GROUP_INSTANCE_ID": "is for replicas with stable names, which these are not",
}
"""Settings that neither the compose file nor the manifests give to anybody, and why not."""
NOT_GIVEN_BY_COMPOSE = {
    **dict.fromkeys(
        (
            *("KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"),
            *("KAFKA_SSL_CA_LOCATION", "DATABASE_CA_FILE"),
        ),
        "is for brokers and a database that ask who somebody is: the file's own do not speak TLS",
    ),
}
"""Settings that the compose file alone gives to nobody, and why not."""
ASKS = re.compile(r"\$\{(\w+)")


def of_the_image() -> set[str]:
    """What the image sets for every process."""
    return set(re.findall(r"((?:HTTP|ADMIN)_\w+)=\S+", (ROOT / "Dockerfile").read_text()))


def given_by_compose(service: str) -> set[str]:
    return of_the_image() | set(OURS[service].get("environment", {}))


def given_by_kubernetes(pod: Resource) -> set[str]:
    return of_the_image() | {variable["name"] for variable in container(pod)["env"]}


def out_of_reach(fields: Iterable[str], given: set[str], *but: dict[str, str]) -> set[str]:
    return {field.upper() for field in fields} - given - {name for each in but for name in each}


@pytest.fixture
def manifests(tmp_path: Path) -> dict[str, Resource]:
    """The pods of the base with each component."""
    with_component(tmp_path / "all", *sorted(path.name for path in (FOLDER / "components").iterdir()))
    return pods(built(tmp_path / "all"))


@pytest.mark.parametrize("service", SETTINGS_OF)
def test_every_setting_of_a_service_can_be_set_in_the_compose_file(service: str) -> None:
    fields = SETTINGS_OF[service].model_fields

    assert out_of_reach(fields, given_by_compose(service), NOT_GIVEN, NOT_GIVEN_BY_COMPOSE) == set()


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_setting_of_a_workload_can_be_set_on_kubernetes(workload: str, manifests: dict[str, Resource]) -> None:
    pod = manifests[workload]

    assert out_of_reach(settings_of(pod).model_fields, given_by_kubernetes(pod), NOT_GIVEN) == set()


def test_setting_with_a_reason_not_to_be_given_is_one_and_is_given_to_nobody(manifests: dict[str, Resource]) -> None:
    by_compose = set[str]().union(*(given_by_compose(service) for service in SETTINGS_OF))
    by_kubernetes = set[str]().union(*(given_by_kubernetes(pod) for pod in manifests.values()))
    settings = {field.upper() for kind in SETTINGS_OF.values() for field in kind.model_fields}

    assert not NOT_GIVEN.keys() & (by_compose | by_kubernetes)
    assert not NOT_GIVEN_BY_COMPOSE.keys() & by_compose
    assert NOT_GIVEN.keys() | NOT_GIVEN_BY_COMPOSE.keys() <= settings


@pytest.mark.parametrize("service", SETTINGS_OF)
def test_setting_is_set_in_the_compose_file_under_its_own_name(service: str) -> None:
    given = OURS[service].get("environment", {})

    assert {name: ASKS.findall(str(value)) for name, value in given.items() if name != "DATABASE_URL"} == {
        name: [name] if "$" in str(value) else [] for name, value in given.items() if name != "DATABASE_URL"
    }


def test_setting_is_set_on_kubernetes_under_its_own_name(manifests: dict[str, Resource]) -> None:
    for pod in manifests.values():
        for variable in container(pod)["env"]:
            (asked,) = variable.get("valueFrom", {"": {"key": variable["name"]}}).values()

            assert asked["key"] in (variable["name"], "uri", "password")
