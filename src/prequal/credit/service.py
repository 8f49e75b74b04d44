"""credit-service as a process: what it is made of, put together once.

Neighbours: the command line calls `run`.
Invariant: it holds the key that opens PANs, and not the one that hashes them.
"""

import asyncio
import functools

from prequal.domain.events import GROUPS, EventType
from prequal.kernel import http, process
from prequal.kernel.consumer import BatchConsumer
from prequal.kernel.crypto import KeyRing
from prequal.kernel.db import Link
from prequal.kernel.metrics import Exporter
from prequal.kernel.readiness import Readiness
from prequal.kernel.schema import check_schema
from prequal.kernel.settings import CreditSettings
from prequal.kernel.wake import Bell

from .assess import AssessmentRoom

GROUP = GROUPS[EventType.APPLICATION_SUBMITTED.topic]


def run(settings: CreditSettings) -> None:
    """Assess until SIGTERM.

    Raises:
        Misconfigured: a setting, a key, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: CreditSettings, stop: asyncio.Event) -> None:
    keys = KeyRing.from_settings(settings.encryption_key, settings.encryption_keys_retired)
    bell = Bell(settings.database_url, EventType.CREDIT_REPORT_GENERATED.topic)
    room = AssessmentRoom(Link(settings.database_url, settings.service_name), keys, bell)
    consumer = BatchConsumer(settings, GROUP, room)
    readiness = Readiness(settings, consumer.reason_not_ready)
    async with process.together() as group:
        probes = http.probes(Exporter.CREDIT, settings.service_name, readiness)
        group.create_task(http.serve(probes, settings, stop, probes))
        group.create_task(readiness.watch(stop))
        await process.wait_for_database(settings.database_url, stop, check_schema, keys.check)
        group.create_task(bell.run(stop))
        process.settle_memory()
        readiness.started = True
        await consumer.run(stop)
