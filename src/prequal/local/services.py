"""Our own processes as children: the five services, and the jobs that run once.

Invariant: a child's environment holds the settings of its own class, and no other setting of ours.
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
from prequal.core.settings.console import ConsoleSettings
from prequal.core.settings.key_source import KeySourceSettings
from prequal.core.topology import ExitCode
from prequal.local.child_process import STOP_SECONDS, Child

SETTINGS: Final[Mapping[str, type[BaseSettings]]] = {
    "api": ApiSettings,
    "credit": CreditSettings,
    "decision": DecisionSettings,
    "publisher": PublisherSettings,
    "console": ConsoleSettings,
    "migrate": DatabaseSettings,
    "maintain": DatabaseSettings,
    "topics": TopicsSettings,
}
"""The settings of each command."""

OF_ONE_PROCESS: Final = {
    "SERVICE_NAME",
    "HTTP_HOST",
    "HTTP_PORT",
    "PROMETHEUS_PORT",
    "CONSOLE_ADMIN_PORT",
    "KAFKA_GROUP_INSTANCE_ID",
}
"""Settings of one process alone: a value set for all of them at once is not passed on."""

SYSTEM_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_", "TZ", "TMPDIR", "SSL_CERT_", "OTEL_", "PYTHON", "COVERAGE_")
"""What a Python process needs besides settings, by prefix."""

OF_KEY_SERVICES: Final = "AWS_"
"""What botocore finds credentials and region by, by prefix: for processes whose keys AWS KMS may have wrapped."""

READY_SECONDS: Final = 60.0


class ServiceProcess(Child):
    """One of the five services, `python -m prequal <name>`."""

    def __init__(self, name: str, port: int, log: Path, settings: Mapping[str, str], folder: Path) -> None:
        """Describe the service.

        Args:
            name: its command, `api`, `credit`, `decision`, `publisher` or `console`.
            port: its HTTP port on 127.0.0.1.
            log: the file of its output.
            settings: they win over the environment and `.env`; those of other services are left out.
            folder: its working folder, which holds no `.env`.
        """
        super().__init__(name, port, log)
        self._folder = folder
        own = {
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(port),
            "SHUTDOWN_SECONDS": str(STOP_SECONDS),
            "KAFKA_GROUP_INSTANCE_ID": f"{name}-1",
        }
        self.environment = environment_of(name, {**settings, **own})

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Start the process."""
        self.spawn(command_of(self.name), environment=self.environment, folder=self._folder)

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
        raise Transient(f"{self.name} did not become ready: {self.last_sentence()} (see {self.log})")


class OneShotJob(Child):
    """A command of ours that ends by itself: `migrate`, `topics` or `maintain`."""

    def __init__(self, name: str, log: Path, settings: Mapping[str, str]) -> None:
        super().__init__(name, 0, log)
        self.environment = environment_of(name, settings)

    def execute(self) -> None:
        """Run the command.

        Raises:
            Transient: its store did not answer; the message holds its last sentence.
            Misconfigured: it failed otherwise.
        """
        self.run(command_of(self.name), environment=self.environment)

    def _failure(self, code: int) -> type[PrequalError]:
        return Transient if code == ExitCode.UNREACHABLE else Misconfigured


def environment_of(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the command `name`: its own settings, and what Python needs.

    `settings` win over the environment, which wins over `.env`.
    """
    own = {field.upper() for field in SETTINGS[name].model_fields}
    file = {key.upper(): value for key, value in dotenv_values(".env").items() if value is not None}
    ours = {key: value for key, value in os.environ.items() if value}  # an empty variable is unset
    general = {key: value for key, value in {**file, **ours}.items() if key not in OF_ONE_PROCESS}
    of_key_services = (OF_KEY_SERVICES,) if issubclass(SETTINGS[name], KeySourceSettings) else ()
    further = (*SYSTEM_VARIABLES, *of_key_services)
    return {key: value for key, value in {**general, **settings}.items() if key in own or key.startswith(further)}


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


def command_of(name: str) -> list[str]:
    """The command line of `prequal <name>`; with `-P` nothing in the working folder can shadow a module."""
    return [sys.executable, "-P", "-m", "prequal", name]
