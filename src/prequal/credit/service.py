"""credit-service as a process: what it is made of, put together once.

Invariant: it holds the key that decrypts PANs, and not the one that hashes them.
"""

import asyncio
import functools

from prequal.core.keys import check_value, key_bytes, key_id
from prequal.core.settings import CreditSettings
from prequal.core.topology import Service, group_of, topic_of
from prequal.credit.handler import CreditHandler
from prequal.domain import sandbox
from prequal.domain.events import EventType
from prequal.messaging.consumer import BatchConsumer
from prequal.messaging.outbox_notifier import OutboxNotifier
from prequal.messaging.report_mac import ReportMac
from prequal.postgres.connections import SingleConnection
from prequal.postgres.key_checks import recorded_key
from prequal.security.pan_encryption import KeyRing
from prequal.security.score_draws import ScoreDraws
from prequal.service import process
from prequal.service.readiness import Readiness
from prequal.service.run import started

GROUP = group_of(EventType.APPLICATION_SUBMITTED)


def run(settings: CreditSettings) -> None:
    """Assess until SIGTERM.

    Raises:
        Misconfigured: a setting, a key, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: CreditSettings, stop: asyncio.Event) -> None:
    keys = KeyRing.from_settings(settings.encryption_key, settings.encryption_keys_retired)
    notifier = OutboxNotifier(settings.database_url, topic_of(EventType.CREDIT_REPORT_GENERATED))
    draws = ScoreDraws(key_bytes(settings.score_draw_key or settings.encryption_key))
    published = sandbox.SCORES if settings.sandbox else {}
    link = SingleConnection(settings.database_url, settings.service_name)
    report_key = key_bytes(settings.report_key)
    handler = CreditHandler(link, keys, draws, ReportMac(report_key), published, notifier)
    consumer = BatchConsumer(settings, GROUP, handler)
    readiness = Readiness(settings, consumer.reason_not_ready)
    checks = (
        recorded_key("ENCRYPTION_KEY", keys.current_id, keys.check_value),
        recorded_key("REPORT_KEY", key_id(report_key), check_value(report_key)),
    )
    async with started(Service.CREDIT, settings, stop, readiness, *checks) as running:
        running.group.create_task(notifier.run(stop))
        await consumer.run(stop)
