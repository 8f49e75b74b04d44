"""The console as a process: what it is made of, put together once.

Invariant: it holds the keys of the record and of second factors, and none that decrypts or hashes a PAN.
"""

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from prequal.console import app, listing
from prequal.console.backtests import Backtests
from prequal.console.consumers import Consumers
from prequal.console.cookies import Cookies
from prequal.console.dead_letter_cache import DeadLetterCache
from prequal.console.last_shown import LastShown
from prequal.console.rendering import Renderer
from prequal.console.verifications import Verifier
from prequal.console.visit import Console
from prequal.core.keys import KeyCheck
from prequal.core.settings.checks import is_loopback
from prequal.core.settings.console import ConsoleSettings
from prequal.core.topology import Service
from prequal.people.issuer_sign_in import IssuerSignIn
from prequal.people.second_factor_keys import PURPOSE, SecondFactorKeys
from prequal.people.sign_in import SessionLifetime, SignIn
from prequal.people.stored_second_factors import encrypted_under
from prequal.postgres.connections import ConnectionPool
from prequal.postgres.key_checks import recorded_key
from prequal.record import chain, lag
from prequal.record.acts import Actor, ActorKind
from prequal.service import http_server, known_keys, process
from prequal.service.http_server import FurtherPort, Handler
from prequal.service.http_tls import HttpCertificate
from prequal.service.readiness import Readiness
from prequal.service.run import Check, started

CONNECTIONS = 4


def run(settings: ConsoleSettings) -> None:
    """Serve until SIGTERM.

    Raises:
        Misconfigured: a setting, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: ConsoleSettings, stop: asyncio.Event) -> None:
    readiness = Readiness(Service.CONSOLE, settings, needs_kafka=False)
    health, admin = _probes(settings, readiness)
    async with ConnectionPool(settings.database_url, settings.service_name, CONNECTIONS) as pool:
        console, keys = console_of(settings, pool, readiness, stop), settings.record_keys()
        console.renderer.compile()
        pages, certificate = app.build(console, health), HttpCertificate.of(settings)
        known, second_factors = _known(console, keys), console.second_factor_keys
        encrypted = encrypted_under(second_factors, Actor(ActorKind.PROCESS, Service.CONSOLE))
        http: dict[str, Any] = {"app": pages, "admin": admin, "certificate": certificate}
        async with started(Service.CONSOLE, settings, stop, readiness, encrypted, *known, **http) as running:
            running.group.create_task(known_keys.watch(readiness.database, known, stop))
            if console.issuer_sign_in:
                running.group.create_task(console.issuer_sign_in.flow.keys.run(stop))
            if keys:
                following = chain.follow(settings.database_url, keys[0], stop, settings.record_heads_folder)
                running.group.create_task(following)
            running.group.create_task(lag.watch(pool, stop))
            running.group.create_task(listing.follow(settings.database_url, stop))
            running.group.create_task(console.consumers.watch(stop))
            await running.http
            console.verifier.stop()
            console.backtests.stop()
            await asyncio.to_thread(console.dead_letters.close)


def _probes(settings: ConsoleSettings, readiness: Readiness) -> tuple[dict[str, Handler], FurtherPort | None]:
    """What the port of the pages answers beside them, and the port that has the rest, if it is another."""
    health = http_server.health_handlers(Service.CONSOLE, settings.service_name, readiness)
    if settings.probes_port is None:
        return health, None
    whole = Starlette(routes=[Route(path, handler, methods=["GET"]) for path, handler in health.items()])
    further = FurtherPort(whole, settings.admin_host, settings.probes_port, "CONSOLE_ADMIN_PORT")
    return http_server.bare_handlers(health), further


def _known(console: Console, record_keys: Sequence[bytes]) -> list[Check]:
    """Checks that the database knows the console's keys."""
    known = [recorded_key("RECORD_KEY", *map(KeyCheck.of, record_keys), former=True)] if record_keys else []
    if console.second_factor_keys:
        known.append(recorded_key(PURPOSE, *console.second_factor_keys.checks, former=True))
    return known


def console_of(
    settings: ConsoleSettings, pool: ConnectionPool, readiness: Readiness, stop: asyncio.Event | None = None
) -> Console:
    """Wire the console; `stop` ends its streams."""
    lifetime = SessionLifetime(settings.console_idle_minutes * 60, settings.console_session_hours * 3600)
    session = functools.partial(pool.use, "console_session")
    keys, consumers = SecondFactorKeys.of(settings), Consumers(settings)
    return Console(
        settings=settings,
        pool=pool,
        readiness=readiness,
        sign_in=SignIn(lifetime, session, keys=keys, passwords=settings.console_passwords),
        second_factor_keys=keys,
        issuer_sign_in=IssuerSignIn.of(settings, lifetime, session),
        verifier=Verifier(settings, pool),
        last_shown=LastShown(),
        backtests=Backtests(settings, pool),
        consumers=consumers,
        dead_letters=DeadLetterCache(settings, consumers),
        renderer=Renderer(settings.console_time_zone),
        cookies=Cookies(bool(settings.http_certificate_file) or not is_loopback(settings.http_host)),
        stop=stop or asyncio.Event(),
    )
