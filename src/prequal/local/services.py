"""Our own processes as children: the four services, and the errands that run to their end.

Invariant: a child's environment holds the settings its own class names, and nothing else of ours.
"""

import http.client
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from pydantic_settings import BaseSettings

from prequal.core.errors import Misconfigured, PrequalError, Transient
from prequal.core.settings import (
    ApiSettings,
    CreditSettings,
    DatabaseSettings,
    DecisionSettings,
    PublisherSettings,
    TopicsSettings,
)
from prequal.local.child_process import Child

SETTINGS: Final[Mapping[str, type[BaseSettings]]] = {
    "api": ApiSettings,
    "credit": CreditSettings,
    "decision": DecisionSettings,
    "publisher": PublisherSettings,
    "migrate": DatabaseSettings,
    "maintain": DatabaseSettings,
    "topics": TopicsSettings,
}
"""What each command of ours may be told."""

OF_ONE_PROCESS: Final = {"SERVICE_NAME", "HTTP_HOST", "HTTP_PORT", "PROMETHEUS_PORT", "KAFKA_GROUP_INSTANCE_ID"}
"""Settings of one process alone: what is set for all of them at once is not passed on."""

OF_THE_SYSTEM: Final = ("PATH", "HOME", "LANG", "LC_", "TZ", "TMPDIR", "SSL_CERT_", "OTEL_", "PYTHON", "COVERAGE_")
"""What a Python process needs besides settings, by how the names begin."""

MISCONFIGURED: Final = 2
"""The exit code of a service that its settings do not let start: starting it again would not help."""

UNREACHABLE: Final = 3
"""The exit code of an job whose database or broker did not answer."""

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
"""How long SIGTERM leaves a service for what is in flight, so that everything stops within 15 s."""


class Service(Child):
    """One of the four services, `python -m prequal <name>`."""

    def __init__(self, name: str, port: int, log: Path, told: Mapping[str, str], folder: Path) -> None:
        """Describe the service.

        Args:
            name: its command, `api`, `credit`, `decision` or `publisher`.
            port: its HTTP port on 127.0.0.1.
            log: where its output goes.
            told: settings that win over the environment and `.env`; those that are not the service's are left out.
            folder: its working folder, where no `.env` lies.
        """
        super().__init__(name, port, log)
        self._folder = folder
        own = {
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(port),
            "SHUTDOWN_SECONDS": str(STOP_SECONDS),
            "KAFKA_GROUP_INSTANCE_ID": f"{name}-1",
        }
        self.environment = environment_of(name, {**told, **own})

    def launch(self) -> None:
        """Start the process."""
        self.spawn(_command(self.name), environment=self.environment, folder=self._folder)

    def wait_until_ready(self) -> None:
        """Block until `GET /ready` answers 200.

        Raises:
            Transient: the process ended, or did not become ready in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.running:
            if is_ready(self.port):
                return
            time.sleep(0.03)
        raise Transient(f"{self.name} did not become ready: {self.last_words()} (see {self.log})")


class OneShotJob(Child):
    """A command of ours that runs to its end: `migrate`, `topics` or `maintain`."""

    def __init__(self, name: str, log: Path, told: Mapping[str, str]) -> None:
        super().__init__(name, 0, log)
        self.environment = environment_of(name, told)

    def do(self) -> None:
        """Run the command.

        Raises:
            Transient: the store it is about did not answer; the message holds its last words.
            Misconfigured: it failed otherwise.
        """
        self.run(_command(self.name), environment=self.environment)

    def _failure(self, code: int) -> type[PrequalError]:
        return Transient if code == UNREACHABLE else Misconfigured


def environment_of(name: str, told: Mapping[str, str]) -> dict[str, str]:
    """What the command `name` gets to see: its own settings, and what Python needs.

    `told` wins over the environment, which wins over `.env`.
    """
    settings = {field.upper() for field in SETTINGS[name].model_fields}
    file = {key.upper(): value for key, value in dotenv_values(".env").items() if value is not None}
    general = {key: value for key, value in {**file, **os.environ}.items() if key not in OF_ONE_PROCESS}
    return {
        key: value for key, value in {**general, **told}.items() if key in settings or key.startswith(OF_THE_SYSTEM)
    }


def is_ready(port: int) -> bool:
    """Whether `GET /ready` on 127.0.0.1:`port` answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _command(name: str) -> list[str]:
    """`-P`: nothing in the working folder can be mistaken for a module."""
    return [sys.executable, "-P", "-m", "prequal", name]
