"""credit-service as a process: its parts, put together once.

Invariant: it holds the key that decrypts PANs, and not the one that hashes them.
"""

import asyncio
import functools

from prequal.core.circuit_breaker import Breaker
from prequal.core.errors import Misconfigured
from prequal.core.keys import KeyCheck, key_bytes
from prequal.core.settings import CreditSettings
from prequal.core.topology import Service, group_of, topic_of
from prequal.credit.bureau import Bureau, SimulatedBureau
from prequal.credit.daily_calls import DailyCalls
from prequal.credit.handler import CreditHandler
from prequal.domain import sandbox
from prequal.domain.events import EventType
from prequal.messaging.consumer import BatchConsumer
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.messaging.report_mac import ReportMac
from prequal.postgres.connections import Connection, SingleConnection
from prequal.postgres.key_checks import recorded_key
from prequal.security.draws import ChallengeDraws, ScoreDraws
from prequal.security.pan_encryption import KeyRing
from prequal.service import known_keys, process
from prequal.service.key_watch import KeyWatch
from prequal.service.readiness import Readiness
from prequal.service.run import Check, started
from prequal.telemetry.breakers import breaker_of

GROUP = group_of(EventType.APPLICATION_SUBMITTED)


def run(settings: CreditSettings) -> None:
    """Assess until SIGTERM.

    Raises:
        Misconfigured: a setting, a key, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: CreditSettings, stop: asyncio.Event) -> None:
    watch, consumed = KeyWatch(settings), asyncio.Event()
    events = OwnEventPublisher(settings, Service.CREDIT, topic_of(EventType.CREDIT_REPORT_GENERATED))
    draw_key, report_key = _draw_key(settings), key_bytes(settings.report_key)
    connection = SingleConnection(settings.database_url, settings.service_name)
    bureau, breakers = _bureau(settings, ScoreDraws(draw_key))
    max_age_seconds = settings.bureau_report_max_age_hours * 3600 if settings.bureau_url else 0
    handler = CreditHandler(
        connection, watch.ring, bureau, ReportMac(report_key), ChallengeDraws(draw_key), events, max_age_seconds
    )
    consumer = BatchConsumer(settings, GROUP, handler)
    readiness = Readiness(
        Service.CREDIT,
        settings,
        lambda: watch.reason_not_ready() or consumer.reason_not_ready(),
        watch.details,
        breakers=breakers,
    )
    signs = recorded_key("REPORT_KEY", KeyCheck.of(report_key))
    checks = (
        watch.load,
        _is_on_no_ring(KeyCheck.of(report_key), watch.ring),
        signs,
        recorded_key("SCORE_DRAW_KEY", KeyCheck.of(draw_key)),
        handler.warm,
        events.warm,
    )
    async with started(Service.CREDIT, settings, stop, readiness, *checks) as running:
        running.group.create_task(events.run(consumed))
        running.group.create_task(watch.run(stop))
        running.group.create_task(known_keys.watch(readiness.database, [signs], stop))
        await consumer.run(stop)
        consumed.set()


def _is_on_no_ring(report_key: KeyCheck, ring: KeyRing) -> Check:
    """A check, once the ring is loaded, that REPORT_KEY, which decision-service has as well, decrypts no PAN."""

    async def compare(_: Connection) -> None:
        if report_key in ring.checks:
            raise Misconfigured("REPORT_KEY is a key that decrypts PANs: `prequal keys generate` makes a good one.")

    return compare


def _bureau(settings: CreditSettings, draws: ScoreDraws) -> tuple[Bureau, dict[str, Breaker]]:
    """The bureau that the settings name, and the breakers before it."""
    if not settings.bureau_url:
        return SimulatedBureau(draws, sandbox.SCORES if settings.sandbox else {}), {}
    from prequal.credit.http_bureau import HttpBureau  # its client is 10 MiB that the simulation does without

    breaker = breaker_of("bureau", settings.bureau_url)
    return HttpBureau(settings, breaker, _calls(settings)), {"bureau": breaker}


def _calls(settings: CreditSettings) -> DailyCalls | None:
    """What allows the calls of a day; None where they are not limited."""
    if not settings.bureau_max_calls_a_day:
        return None
    connection = SingleConnection(settings.database_url, f"{settings.service_name} calls")
    return DailyCalls(connection, settings.bureau_max_calls_a_day)


def _draw_key(settings: CreditSettings) -> bytes:
    """The key of draws: SCORE_DRAW_KEY, or ENCRYPTION_KEY while it is the only key. Another would change every draw."""
    key = settings.score_draw_key or settings.encryption_key
    assert key is not None, "the settings demand one of the two"
    return key_bytes(key)
