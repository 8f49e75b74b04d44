"""Services, topics, groups, ports and exit codes, each by its name.

Invariant: a topic that we consume has one service that writes its events and one that consumes them.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from prequal.domain.events import EventType


class Service(StrEnum):
    """The five processes, by the name that logs, metrics and the audit record carry."""

    API = "prequal-api"
    CREDIT = "credit-service"
    DECISION = "decision-service"
    PUBLISHER = "publisher"
    CONSOLE = "console"


PORTS: Final = {
    Service.API: 8000,
    Service.CREDIT: 8001,
    Service.DECISION: 8002,
    Service.PUBLISHER: 8003,
    Service.CONSOLE: 8004,
}
"""The HTTP port of each by default."""

ADMIN_PORT: Final = 8005
"""The port of the API's metrics and pages by default, where callers need a token."""

BUREAU_PORT: Final = 8006
"""The port of the simulated bureau, `prequal bureau`, which is no service: it is started only when it is asked for."""

CONSOLE_ADMIN_PORT: Final = 8007
"""The port of the console's metrics by default, where others than this machine reach its pages."""

COMMANDS: Final = {
    "api": Service.API,
    "credit": Service.CREDIT,
    "decision": Service.DECISION,
    "publisher": Service.PUBLISHER,
    "console": Service.CONSOLE,
}
"""The command of `prequal` that runs each."""


class ExitCode(IntEnum):
    """What an exit code of `prequal` means, the same for every command."""

    DONE = 0
    REFUSED = 1
    MISCONFIGURED = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a type of event that we consume: its topic, the service that writes it, and the one that consumes it.

    The writer publishes it as well, and the publisher what the writer did not.
    """

    topic: str
    writer: Service
    consumer: Service

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.consumer}-group"


ROUTES: Final = {
    EventType.APPLICATION_SUBMITTED: Route("loan_applications_submitted", Service.API, Service.CREDIT),
    EventType.CREDIT_REPORT_GENERATED: Route("credit_reports_generated", Service.CREDIT, Service.DECISION),
}

DECIDED_TOPIC: Final = "application_decided"
"""The topic of decisions, for others: none of ours consumes it, so that it has no group and no dead letters of ours."""

TOPICS: Final = (*(route.topic for route in ROUTES.values()), DECIDED_TOPIC)

GROUPS: Final = {route.topic: route.group for route in ROUTES.values()}
"""Which consumer group reads which topic."""


def topic_of(event_type: EventType) -> str:
    """The topic that events of this type are published on."""
    return DECIDED_TOPIC if event_type is EventType.APPLICATION_DECIDED else ROUTES[event_type].topic


def group_of(event_type: EventType) -> str:
    """The consumer group of this type's topic; not of `APPLICATION_DECIDED`."""
    return ROUTES[event_type].group


def dead_letter_topic(topic: str) -> str:
    """The topic of the messages of `topic` that can never succeed."""
    return f"{topic}_dlq"
