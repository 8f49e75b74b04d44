"""decision-service as a process: what it is made of, put together once.

Neighbours: the command line calls `run`.
Invariant: it holds no PAN key.
"""

import asyncio
import functools

from prequal.domain.events import GROUPS, EventType
from prequal.kernel import http, process
from prequal.kernel.consumer import BatchConsumer
from prequal.kernel.db import Link
from prequal.kernel.metrics import Exporter
from prequal.kernel.readiness import Readiness
from prequal.kernel.schema import check_schema
from prequal.kernel.settings import DecisionSettings

from .decide import DecisionRoom

GROUP = GROUPS[EventType.CREDIT_REPORT_GENERATED.topic]


def run(settings: DecisionSettings) -> None:
    """Decide until SIGTERM.

    Raises:
        Misconfigured: a setting, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: DecisionSettings, stop: asyncio.Event) -> None:
    consumer = BatchConsumer(settings, GROUP, DecisionRoom(Link(settings.database_url, settings.service_name)))
    readiness = Readiness(settings, consumer.reason_not_ready)
    async with process.together() as group:
        probes = http.probes(Exporter.DECISION, settings.service_name, readiness)
        group.create_task(http.serve(probes, settings, stop, probes))
        group.create_task(readiness.watch(stop))
        await process.wait_for_database(settings.database_url, stop, check_schema)
        process.settle_memory()
        readiness.started = True
        await consumer.run(stop)
