"""decision-service as a process: what it is made of, put together once.

Invariant: it holds no PAN key.
"""

import asyncio
import functools

from prequal.core.settings import DecisionSettings
from prequal.core.topology import Service, group_of
from prequal.decision.handler import DecisionHandler
from prequal.domain.events import EventType
from prequal.domain.policy import packaged
from prequal.messaging.consumer import BatchConsumer
from prequal.postgres.connections import SingleConnection
from prequal.service import process
from prequal.service.readiness import Readiness
from prequal.service.run import started

GROUP = group_of(EventType.CREDIT_REPORT_GENERATED)


def run(settings: DecisionSettings) -> None:
    """Decide until SIGTERM.

    Raises:
        Misconfigured: a setting, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: DecisionSettings, stop: asyncio.Event) -> None:
    link = SingleConnection(settings.database_url, settings.service_name)
    handler = DecisionHandler(link, packaged.current())
    consumer = BatchConsumer(settings, GROUP, handler)
    readiness = Readiness(settings, consumer.reason_not_ready)
    async with started(Service.DECISION, settings, stop, readiness):
        await consumer.run(stop)
