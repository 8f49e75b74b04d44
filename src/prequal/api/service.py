"""prequal-api as a process: what it is made of, put together once.

Invariant: no application is taken before the database's revision and both keys were found right.
"""

import asyncio
import functools
from typing import Any

from prequal.api import app
from prequal.api.authentication import Authentication, KeyAuthentication, NoAuthentication
from prequal.api.decided_policies import DecidedPolicies
from prequal.api.decision import ShowDecision
from prequal.api.issued_tokens import IssuedTokens
from prequal.api.known_clients import KnownClients
from prequal.api.posts import SubmitApplication
from prequal.api.protocol import Protocol
from prequal.api.rate_limits import RateLimits
from prequal.api.reads import OwnApplications, ShowStatus
from prequal.api.submit import Submissions
from prequal.core.keys import split
from prequal.core.settings import ApiSettings
from prequal.core.topology import Service, topic_of
from prequal.domain.events import EventType
from prequal.issuers.keys import SigningKeys
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.postgres.connections import ConnectionPool
from prequal.postgres.key_checks import recorded_hash_keys
from prequal.security.pan_encryption import PanHasher
from prequal.service import http_server, known_keys, process
from prequal.service.http_server import FurtherPort, Handler
from prequal.service.http_tls import HttpCertificate
from prequal.service.key_watch import KeyWatch
from prequal.service.readiness import Readiness
from prequal.service.run import started


def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM.

    Raises:
        Misconfigured: a setting, a key, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: ApiSettings, stop: asyncio.Event) -> None:
    watch = KeyWatch(settings)
    hasher = PanHasher.of(settings)
    events = OwnEventPublisher(settings, Service.API, topic_of(EventType.APPLICATION_SUBMITTED))
    submissions = Submissions(settings, events)
    readiness = Readiness(Service.API, settings, watch.reason_not_ready, watch.details, needs_kafka=False)
    read_pool = ConnectionPool(settings.database_url, f"{settings.service_name} read", settings.database_pool_size)
    authentication = _authentication(settings, read_pool, hasher)
    checks = (
        watch.load,
        recorded_hash_keys(*(each.check for each in hasher.every)),
        authentication.load,
        submissions.warm,
        events.warm,
    )
    limits = RateLimits()
    served, written = asyncio.Event(), asyncio.Event()
    async with read_pool:
        submit = SubmitApplication(
            submissions, watch.ring, hasher, _holder_types(settings), authentication, limits, settings.sandbox
        )
        health = http_server.health_handlers(Service.API, settings.service_name, readiness)
        admin = _admin(settings, health) if settings.api_authentication == "keys" else None
        applications = OwnApplications(read_pool, authentication, limits)
        shown = http_server.bare_handlers(health) if admin else health
        reads = (ShowStatus(applications), ShowDecision(applications, DecidedPolicies(read_pool)))
        api = app.build(submit, *reads, shown, submissions, pages=admin is None)
        certificate = HttpCertificate.of(settings)
        http: dict[str, Any] = {"app": api, "protocol": Protocol, "admin": admin, "certificate": certificate}
        async with started(Service.API, settings, stop, readiness, *checks, applications.warm, **http) as running:
            writing = running.group.create_task(submissions.run(served))
            known = known_keys.watch(readiness.database, [watch.require_active], stop)
            for task in (events.run(written), watch.run(served), known, authentication.run(stop)):
                running.group.create_task(task)
            if not stop.is_set():
                submissions.open()
            await running.http
            served.set()
            submissions.wake()
            await writing
            written.set()


def _authentication(settings: ApiSettings, read_pool: ConnectionPool, hasher: PanHasher) -> Authentication:
    if settings.api_authentication == "none":
        return NoAuthentication()
    clients = KnownClients(read_pool, settings.api_jwt_issuer)
    issued = None
    if settings.api_jwt_issuer:
        keys = SigningKeys(settings.api_jwt_issuer, settings.api_jwt_jwks_url)
        issued = IssuedTokens(settings, keys, clients)
    return KeyAuthentication(clients, hasher, settings.sandbox, issued=issued)


def _admin(settings: ApiSettings, health: dict[str, Handler]) -> FurtherPort:
    return FurtherPort(app.build_admin(health), settings.admin_host, settings.admin_port, "ADMIN_PORT")


def _holder_types(settings: ApiSettings) -> frozenset[str] | None:
    return None if settings.pan_holder_types == "any" else frozenset(split(settings.pan_holder_types))
