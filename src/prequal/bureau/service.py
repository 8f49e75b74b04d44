"""The simulated bureau as a process.

Invariant: it is started by hand alone; no other process starts it.
"""

import uvicorn

from prequal.bureau.simulator import app
from prequal.core.simulator_settings import SimulatorSettings
from prequal.service.http_server import bind
from prequal.telemetry import logs


def run(settings: SimulatorSettings) -> None:
    """Answer until SIGTERM.

    Raises:
        Misconfigured: the port is taken.
    """
    logs.configure("bureau", settings.log_level)
    listener = bind(settings.http_host, settings.http_port, "HTTP_PORT")
    config = uvicorn.Config(app(), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])
