"""The simulated bureau at a port of its own, and the adapter that asks it, in a test's own event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from harness.ports import free_port
from prequal.bureau import simulator
from prequal.core.circuit_breaker import Breaker
from prequal.core.settings import load
from prequal.core.settings.bureau import BureauSettings
from prequal.credit.daily_calls import DailyCalls
from prequal.credit.http_bureau import HttpBureau
from prequal.postgres.connections import SingleConnection


class Requests:
    """The simulated bureau behind a recorder of what reaches it."""

    def __init__(self, slow_seconds: float) -> None:
        self._app = simulator.app(slow_seconds)
        self.heads: list[str] = []
        """Path, query and headers of each request."""
        self.keys: list[str] = []
        """Its `Idempotency-Key`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.heads.append(f"{scope['path']}?{scope['query_string'].decode()} {headers}")
        self.keys.append(headers.get("idempotency-key", ""))
        await self._app(scope, receive, send)


@asynccontextmanager
async def serving(port: int, app: Any) -> AsyncIterator[None]:
    """Serve `app` over HTTP for as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off"))
    server.config.timeout_graceful_shutdown = 1
    served = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  # it has no event
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await served


@asynccontextmanager
async def asking(
    port: int, timeout_seconds: float = 3.0, calls: DailyCalls | None = None
) -> AsyncIterator[tuple[HttpBureau, Breaker]]:
    """The adapter that asks the bureau at a port, as often as `calls` allows, and its breaker."""
    url = f"http://127.0.0.1:{port}/reports"
    settings = load(BureauSettings, bureau_url=url, bureau_timeout_seconds=timeout_seconds)
    breaker = Breaker("bureau")
    bureau = HttpBureau(settings, breaker, calls)
    try:
        yield bureau, breaker
    finally:
        await bureau.close()


def at_most(calls_max: int, database_url: str) -> DailyCalls:
    """What allows so many calls a day, and looks often whether there is room again."""
    return DailyCalls(SingleConnection(database_url, "calls in a test"), calls_max, lambda _: asyncio.sleep(0.05))


@asynccontextmanager
async def a_bureau(slow_seconds: float = 2.0) -> AsyncIterator[tuple[HttpBureau, Requests]]:
    """A simulated bureau and the adapter that asks it."""
    port, requests = free_port(), Requests(slow_seconds)
    async with serving(port, requests), asking(port) as (bureau, _):
        yield bureau, requests
