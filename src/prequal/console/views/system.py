"""System: the stores, the consumers' lag, the key ring, and which release this is."""

import asyncio
from typing import Final

from confluent_kafka import KafkaException
from starlette.responses import Response

from prequal import __version__
from prequal.console.guard import Page
from prequal.console.queries import system
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import PrequalError
from prequal.messaging import consumer_lag
from prequal.policy_versions import life
from prequal.postgres import key_uses

MEBIBYTE: Final = 2**20


async def show(visit: Visit) -> Response:
    """The page; what Kafka does not answer is left out, and said."""
    async with visit.reading() as connection:
        database = await system.database(connection)
        uses = await key_uses.by_key(connection)
        policy = await life.found(connection, None)
    lag, problem = await _lag(visit)
    _, ready = visit.console.readiness.answer()
    return visit.page(
        "system.html",
        database=database,
        size_mebibytes=database.size_bytes // MEBIBYTE,
        keys=sorted(uses.items(), key=lambda each: each[1].last_used, reverse=True),
        lag=lag,
        problem=problem,
        kafka=ready["kafka"],
        version=__version__,
        policy=policy,
    )


async def _lag(visit: Visit) -> tuple[dict[str, int], str]:
    try:
        return await asyncio.to_thread(consumer_lag.by_group, visit.console.settings), ""
    except (KafkaException, PrequalError) as away:
        return {}, f"Kafka does not answer ({type(away).__name__})."


PAGES: Final = (Page("/system", Right.SYSTEM, show),)
