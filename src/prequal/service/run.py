"""The skeleton of the five processes: probes at once, then the wait for the database, the work, and an orderly end.

Invariant: nothing is worked on before the database was found at this code's revision and every check had passed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from prequal.core import lifecycle
from prequal.core.settings import ServiceSettings
from prequal.core.topology import Service
from prequal.postgres.connections import Connection
from prequal.postgres.startup import wait_for_database
from prequal.schema.version import check_schema
from prequal.service import http_server, process
from prequal.service.http_protocol import Protocol
from prequal.service.http_tls import HttpCertificate
from prequal.service.readiness import Readiness

Check = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Running:
    """A process that has started: the group its tasks live in, and the task that answers HTTP."""

    group: asyncio.TaskGroup
    http: asyncio.Task[None]


@asynccontextmanager
async def started(
    service: Service,
    settings: ServiceSettings,
    stop: asyncio.Event,
    readiness: Readiness,
    *checks: Check,
    app: Any = None,
    protocol: type[Protocol] = Protocol,
    admin: http_server.FurtherPort | None = None,
    certificate: HttpCertificate | None = None,
) -> AsyncIterator[Running]:
    """Answer HTTP, wait for the database and its checks, and hold the process together while the block works.

    Args:
        service: whose metrics are shown.
        settings: of this process.
        stop: set when the process is to end; the wait for the database then ends early.
        readiness: what `/ready` answers.
        checks: what the database must pass beside its revision.
        app: the ASGI application to serve; the probes alone by default.
        protocol: how HTTP is spoken.
        admin: what is answered at a port that callers do not reach.
        certificate: what callers are shown; None for HTTP without TLS.

    Raises:
        Misconfigured: a check did, or a port is taken.
    """
    probes = http_server.probes(service, settings.service_name, readiness)
    async with lifecycle.together() as group:
        further = [*_metrics_port(settings, probes), *([admin] if admin else [])]
        served = http_server.serve(probes if app is None else app, settings, stop, further, protocol, certificate)
        http = group.create_task(served)
        group.create_task(readiness.watch(stop))
        await wait_for_database(settings.database_url, stop, check_schema, *checks)
        process.freeze_memory()
        readiness.started = True
        yield Running(group, http)


def _metrics_port(settings: ServiceSettings, probes: Starlette) -> list[http_server.FurtherPort]:
    """The probes at `PROMETHEUS_PORT`, if that is another port."""
    port = settings.prometheus_port
    if port in (None, settings.http_port):
        return []
    return [http_server.FurtherPort(probes, settings.http_host, port, "PROMETHEUS_PORT")]
