"""prequal-api as a process: what it is made of, put together once.

Neighbours: the command line calls `run`.
Invariant: no application is taken before the database's revision and both keys were found right.
"""

import asyncio
import functools

from prequal.domain.events import EventType
from prequal.kernel import http, process
from prequal.kernel.crypto import KeyRing, PanHasher
from prequal.kernel.db import Readers
from prequal.kernel.metrics import Exporter
from prequal.kernel.readiness import Readiness
from prequal.kernel.schema import check_schema
from prequal.kernel.settings import ApiSettings, key_bytes, split
from prequal.kernel.wake import Bell

from . import app
from .routes import ShowStatus, SubmitApplication
from .submit import Submissions


def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM.

    Raises:
        Misconfigured: a setting, a key, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: ApiSettings, stop: asyncio.Event) -> None:
    keys = KeyRing.from_settings(settings.encryption_key, settings.encryption_keys_retired)
    hasher = PanHasher(key_bytes(settings.pan_hash_key))
    bell = Bell(settings.database_url, EventType.APPLICATION_SUBMITTED.topic)
    submissions = Submissions(settings, bell)
    readiness = Readiness(settings, needs_kafka=False)
    holder_types = None if settings.pan_holder_types == "any" else frozenset(split(settings.pan_holder_types))
    served = asyncio.Event()
    async with (
        Readers(settings.database_url, f"{settings.service_name} read", settings.database_pool_size) as readers,
        process.together() as group,
    ):
        submit = SubmitApplication(submissions, keys, hasher, holder_types)
        answers = http.health_handlers(Exporter.API, settings.service_name, readiness)
        probes = http.probes(Exporter.API, settings.service_name, readiness)
        api = app.build(submit, ShowStatus(readers), answers)
        serving = group.create_task(http.serve(api, settings, stop, probes, app.Protocol))
        group.create_task(readiness.watch(stop))
        group.create_task(bell.run(served))
        group.create_task(submissions.run(served))
        await process.wait_for_database(settings.database_url, stop, check_schema, keys.check, hasher.check)
        if not stop.is_set():
            submissions.open()
        process.settle_memory()
        readiness.started = True
        await serving
        served.set()
        submissions.wake()
