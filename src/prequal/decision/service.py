"""decision-service as a process: its parts, put together once.

Invariant: it holds the key that reports are checked with, and no key of PANs.
"""

import asyncio
import functools

import structlog

from prequal.core.errors import Misconfigured
from prequal.core.keys import KeyCheck
from prequal.core.settings import DecisionSettings
from prequal.core.topology import Service, group_of
from prequal.decision.handler import DecisionHandler
from prequal.decision.policy_in_force import PolicyInForce
from prequal.decision.undecided_mark import keep_moving
from prequal.domain.events import EventType
from prequal.domain.review import Rules
from prequal.messaging.consumer import BatchConsumer
from prequal.messaging.report_mac import ReportMac
from prequal.postgres.connections import Connection, SingleConnection
from prequal.postgres.key_checks import recorded, recorded_key
from prequal.service import known_keys, process
from prequal.service.readiness import Readiness
from prequal.service.run import started

log = structlog.get_logger()

GROUP = group_of(EventType.CREDIT_REPORT_GENERATED)
REPORT_KEY = "REPORT_KEY"


def run(settings: DecisionSettings) -> None:
    """Decide until SIGTERM.

    Raises:
        Misconfigured: a setting, the key of reports, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: DecisionSettings, stop: asyncio.Event) -> None:
    keys = settings.report_keys()
    mac = ReportMac(keys[0], keys[1:])
    connection = SingleConnection(settings.database_url, settings.service_name)
    policy = PolicyInForce(settings.database_url, settings.service_name)
    accept_unsigned = settings.accept_unsigned_reports
    review = Rules(settings.review_target_hours, settings.review_two_people_above_inr)
    handler = DecisionHandler(
        connection,
        policy.decided_by,
        mac,
        policy.shadow,
        review=review,
        publish=settings.publish_decisions,
        accept_unsigned=accept_unsigned,
    )
    if accept_unsigned:
        log.warning("unsigned_reports_accepted", until="ACCEPT_UNSIGNED_REPORTS is taken away")
    consumer = BatchConsumer(settings, GROUP, handler)
    readiness = Readiness(Service.DECISION, settings, consumer.reason_not_ready, policy.detail)
    check = recorded_key(REPORT_KEY, *map(KeyCheck.of, keys))
    async with started(Service.DECISION, settings, stop, readiness, check, policy.load, handler.warm) as running:
        keys_known = known_keys.watch(readiness.database, [functools.partial(forget_retired, mac)], stop)
        running.group.create_task(keys_known)
        looking = running.group.create_task(policy.run(stop))
        running.group.create_task(keep_moving(readiness.database, settings.database_url, settings.service_name, stop))
        await consumer.run(stop)
        await looking
        await policy.close()


async def forget_retired(mac: ReportMac, connection: Connection) -> None:
    """Believe no key any more that was retired: nothing that it signed was undecided then, nor can be.

    Raises:
        Misconfigured: every key of this process was retired.
    """
    known = await recorded(connection, REPORT_KEY)
    retired = {id_ for id_ in mac.verifies_with if id_ in known and known[id_].retired_at}
    if not retired:
        return
    if retired == mac.verifies_with:
        raise Misconfigured(
            f"REPORT_KEY (id {mac.key_id.hex()}) is retired: give decision-service the key that credit-service signs "
            f"with, and start again."
        )
    mac.forget(retired)
    log.warning(
        "report_keys_forgotten",
        keys=sorted(id_.hex() for id_ in retired),
        until="they are taken out of REPORT_KEYS_RETIRED",
    )
