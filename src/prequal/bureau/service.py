"""The simulated bureau as a process.

Invariant: it is started by hand alone; no other process starts it. What a connection can make it hold is bounded as
everywhere.
"""

import asyncio
from dataclasses import dataclass

from prequal.bureau.simulator import app
from prequal.core.lifecycle import stopped_by_signals
from prequal.core.settings.simulator import SimulatorSettings
from prequal.service import http_server
from prequal.telemetry import logs


@dataclass(frozen=True, slots=True)
class Http:
    """How HTTP is served here: where is a setting, the rest is not."""

    http_host: str
    http_port: int
    http_keep_alive_seconds: int = 75
    http_connections_max: int = 1024
    shutdown_seconds: float = 1.0


def run(settings: SimulatorSettings) -> None:
    """Answer until SIGTERM.

    Raises:
        Misconfigured: the port is taken.
    """
    logs.configure("bureau", settings.log_level)
    asyncio.run(_until_stopped(Http(settings.http_host, settings.http_port)))


async def _until_stopped(http: Http) -> None:
    await serve(http, stopped_by_signals())


async def serve(http: Http, stop: asyncio.Event) -> None:
    """Answer until `stop`.

    Raises:
        Misconfigured: the port is taken.
    """
    await http_server.serve(app(), http, stop)
