"""What each process may do with the brokers: its user, and the least that sufficed when it was tried.

Invariant: what stands here for no user is refused, where the brokers have an authorizer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from prequal.core.topology import DECIDED_TOPIC, GROUPS, ROUTES, TOPICS, Service, dead_letter_topic

READER_GROUP: Final = "prequal-dlq"
"""The group under whose name the topics are read through by commands and by the console; it stores no offset."""

Operation = Literal["Read", "Write", "Describe", "Create", "Alter"]
"""`Read`, `Write` and `Alter` imply `Describe`."""


class KafkaUser(StrEnum):
    """A user of the brokers; Strimzi puts its password into a Secret of the same name."""

    API = "prequal-kafka-api"
    CREDIT = "prequal-kafka-credit"
    DECISION = "prequal-kafka-decision"
    PUBLISHER = "prequal-kafka-publisher"
    CONSOLE = "prequal-kafka-console"
    TOPICS = "prequal-kafka-topics"
    OPERATOR = "prequal-kafka-operator"


DUTIES: Final[Mapping[KafkaUser, str]] = {
    KafkaUser.API: "`prequal api`",
    KafkaUser.CREDIT: "`prequal credit`",
    KafkaUser.DECISION: "`prequal decision`",
    KafkaUser.PUBLISHER: "`prequal publisher`",
    KafkaUser.CONSOLE: "`prequal console`",
    KafkaUser.TOPICS: "`prequal topics`",
    KafkaUser.OPERATOR: "`prequal dlq`, `keys retire`, `status`, `trace`",
}


@dataclass(frozen=True, slots=True)
class Acl:
    """What is allowed with one topic or group."""

    kind: Literal["topic", "group"]
    name: str
    operation: Operation


def _consumer(service: Service) -> tuple[Acl, ...]:
    (route,) = (route for route in ROUTES.values() if route.consumer is service)
    return (
        Acl("topic", route.topic, "Read"),
        Acl("group", route.group, "Read"),
        Acl("topic", dead_letter_topic(route.topic), "Write"),
    )


def _publisher(service: Service) -> tuple[Acl, ...]:
    return tuple(Acl("topic", route.topic, "Write") for route in ROUTES.values() if route.writer is service)


_DEAD_LETTERS: Final = tuple(dead_letter_topic(topic) for topic in GROUPS)
_SEES_BACKLOGS: Final = (
    *(Acl("group", group, "Describe") for group in GROUPS.values()),
    *(Acl("topic", topic, "Describe") for topic in (*GROUPS, *_DEAD_LETTERS)),
)
_REPLAYS: Final = (
    Acl("group", READER_GROUP, "Read"),
    *(Acl("topic", topic, "Read") for topic in _DEAD_LETTERS),
    *(Acl("topic", topic, "Write") for topic in GROUPS),
)

ACLS: Final[Mapping[KafkaUser, tuple[Acl, ...]]] = {
    KafkaUser.API: _publisher(Service.API),
    KafkaUser.CREDIT: (*_consumer(Service.CREDIT), *_publisher(Service.CREDIT)),
    KafkaUser.DECISION: _consumer(Service.DECISION),
    KafkaUser.PUBLISHER: (*(Acl("topic", topic, "Write") for topic in TOPICS), *_SEES_BACKLOGS),
    KafkaUser.CONSOLE: (*_REPLAYS, *_SEES_BACKLOGS),
    KafkaUser.TOPICS: tuple(
        Acl("topic", topic, operation)
        for topic in (*GROUPS, DECIDED_TOPIC, *_DEAD_LETTERS)
        for operation in ("Create", "Alter")
    ),
    KafkaUser.OPERATOR: (
        *_REPLAYS,
        *(Acl("topic", topic, "Read") for topic in GROUPS),
        *(Acl("group", group, "Read") for group in GROUPS.values()),
        *_SEES_BACKLOGS,
    ),
}
"""The one grid of user, topic or group, and operation."""


def of(user: KafkaUser) -> dict[tuple[str, str], list[Operation]]:
    """What a user may do, by kind and name, without what is implied by something else."""
    found: dict[tuple[str, str], list[Operation]] = {}
    for acl in ACLS[user]:
        operations = found.setdefault((acl.kind, acl.name), [])
        if acl.operation not in operations:
            operations.append(acl.operation)
    for operations in found.values():
        if "Describe" in operations and {"Read", "Write", "Alter"} & set(operations):
            operations.remove("Describe")
    return found


def as_lines() -> Iterator[str]:
    """The commands that allow it, for Kafka's own tool."""
    tool = 'kafka-acls.sh --bootstrap-server "$BROKERS" --command-config "$ADMIN_CONFIG" --add'
    for user in KafkaUser:
        for (kind, name), operations in of(user).items():
            asked = " ".join(f"--operation {operation}" for operation in operations)
            yield f"{tool} --allow-principal User:{user} {asked} --{kind} {name}"


def as_strimzi() -> Iterator[str]:
    """The users as Strimzi's resources, line by line."""
    for number, user in enumerate(KafkaUser):
        yield from ["---"] if number else []
        yield from (
            "apiVersion: kafka.strimzi.io/v1",
            "kind: KafkaUser",
            "metadata:",
            f"  name: {user}",
            "  labels: {strimzi.io/cluster: prequal-kafka, app.kubernetes.io/component: store}",
            "spec:",
            "  authentication: {type: scram-sha-512}",
        )
        if allowed := of(user):
            yield from ("  authorization:", "    type: simple", "    acls:")
        for (kind, name), operations in allowed.items():
            resource = f"{{type: {kind}, name: {name}, patternType: literal}}"
            yield f"      - {{resource: {resource}, operations: [{', '.join(operations)}]}}"
