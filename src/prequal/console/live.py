"""Live pages: each has a stream of server-sent events with those of its fragments that have changed, once a second.

Invariant: however many look at a page, it is rendered three times a second at most; a stream uses no session up, ends
with it or when nothing more can change, and there are `STREAMS_MAX` of them at most, none that waits to be known.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from prequal.console.away import away
from prequal.console.rights import Right, may
from prequal.console.visit import Console
from prequal.core.errors import Misconfigured, Refused, Transient
from prequal.core.lifecycle import pause
from prequal.people import sessions
from prequal.postgres.connections import Connection
from prequal.telemetry.logs import where

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
KEPT_SECONDS: Final = 0.3
"""For so long what one stream has rendered is good for the others."""
STREAMS_MAX: Final = 64
STREAMS_OF_A_SESSION_MAX: Final = 4
"""A browser opens six connections to one host (HTTP/1.1): two are left for what is clicked."""
RETRY_MS: Final = 5_000

ENDED: Final = "Your session has ended. Sign in to see more."
TOO_MANY: Final = "Too many pages are live at this moment; this one follows when another is closed."

Values = Mapping[str, Any]
Look = Callable[[Console, Mapping[str, str]], Awaitable[Values]]
"""Reads what a page shows, by the parameters of its stream's path: `now`, and `over` once nothing more can change."""
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def from_database(look: Callable[[Connection], Awaitable[Values]]) -> Look:
    """What a page shows of the database; `now` is its time."""

    async def read(console: Console, _: Mapping[str, str]) -> Values:
        async with console.pool.use("console_read") as connection:
            return await look(connection)

    return read


@dataclass(frozen=True, slots=True)
class LivePage:
    """What is live on a page: the templates of its fragments, named like their places, and what they show."""

    path: str
    right: Right
    fragments: tuple[str, ...]
    look: Look


@dataclass(frozen=True, slots=True)
class _Rendered:
    until: float
    as_of: str
    is_over: bool
    fragments: Mapping[str, str]


class Live:
    """The streams that are open, and what they show."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: Counter[str] = Counter()
        self._looking: Counter[str] = Counter()
        self._rendered: dict[str, _Rendered] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def route(self, page: LivePage) -> Route:
        """The route of a stream of events."""

        async def endpoint(request: Request) -> Response:
            token = self._console.cookies.of(request, self._console.cookies.session)
            unbuffered = {"X-Accel-Buffering": "no"}  # by proxies that know it
            events = self.events(page, token, request.path_params) if request.method == "GET" else iter(())
            return StreamingResponse(events, headers=unbuffered, media_type="text/event-stream")

        return Route(page.path, endpoint, methods=["GET"])

    async def events(self, page: LivePage, token: str, given: Mapping[str, str] = NOTHING) -> AsyncIterator[str]:
        """One stream, until its session ends, nothing more can change, its reader goes, or the process is to stop."""
        if self._open.total() >= STREAMS_MAX or self._open[token] >= STREAMS_OF_A_SESSION_MAX:
            yield _event(words=TOO_MANY)
            return
        address = page.path.format_map(given)
        self._open[token] += 1
        self._looking[address] += 1
        try:
            async for event in self._events(page, token, given):
                yield event
        finally:
            self._open[token] -= 1
            self._looking[address] -= 1
            self._open += Counter()  # forgets those at 0
            self._looking += Counter()
            if given and address not in self._looking:
                self._rendered.pop(address, None)
                self._turns.pop(address, None)

    async def _events(self, page: LivePage, token: str, given: Mapping[str, str]) -> AsyncIterator[str]:
        sent, is_known = dict[str, str](), False
        while not self._console.stop.is_set():
            try:
                if not await self._may_look(page, token):
                    yield _event(words=ENDED, over=True)
                    return
                is_known = True
                now = await self._now(page, given)
                changed = {name: html for name, html in now.fragments.items() if sent.get(name) != html}
                sent |= changed
                yield _event(as_of=now.as_of, fragments=changed, over=now.is_over)
                if now.is_over:
                    return
            except Refused as why:
                yield _event(words=str(why), over=True)
                return
            except (Transient, Misconfigured) as problem:
                log.warning("page_unavailable", error=where(problem))
                yield _event(words=away(problem))
                if not is_known:  # a stranger's stream would keep others out; a browser comes again by itself
                    return
            await pause(self._console.stop, EVERY_SECONDS)

    async def _may_look(self, page: LivePage, token: str) -> bool:
        async with self._console.pool.use("console_session") as connection:
            session = await sessions.living(connection, token)
        return session is not None and may(session.roles, page.right)

    async def _now(self, page: LivePage, given: Mapping[str, str]) -> _Rendered:
        loop, address = asyncio.get_running_loop(), page.path.format_map(given)
        async with self._turns.setdefault(address, asyncio.Lock()):
            rendered = self._rendered.get(address)
            if rendered is None or rendered.until < loop.time():
                rendered = await self._render(page, given, loop.time() + KEPT_SECONDS)
                self._rendered[address] = rendered
            return rendered

    async def _render(self, page: LivePage, given: Mapping[str, str], until: float) -> _Rendered:
        values, known = dict(await page.look(self._console, given)), self._console.known()
        renderer = self._console.renderer
        fragments = {name: renderer.page(f"{name}.html", values | known) for name in page.fragments}
        return _Rendered(until, renderer.at(values["now"]), values.get("over", False), fragments)


def _event(**said: Any) -> str:
    return f"retry: {RETRY_MS}\ndata: {json.dumps(said)}\n\n"
