"""One request of a signed-in person, and how it is answered.

Invariant: a page is shown with what its reader may see and do, and no more.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from prequal.console.cookies import Cookies, form_token
from prequal.console.rendering import Renderer
from prequal.console.rights import Right, may
from prequal.console.verifications import Verifier
from prequal.core.console_settings import ConsoleSettings
from prequal.people.sessions import Session
from prequal.people.sign_in import SignIn
from prequal.postgres.connections import Connection, ReadPool
from prequal.service.readiness import Readiness

NAVIGATION: Final = (
    ("/", "Overview", Right.OVERVIEW),
    ("/applications", "Applications", Right.APPLICATIONS),
    ("/review", "Review", Right.REVIEW),
    ("/policy", "Policy", Right.POLICY),
    ("/dead-letters", "Dead letters", Right.DEAD_LETTERS),
    ("/record", "Record", Right.RECORD),
    ("/system", "System", Right.SYSTEM),
    ("/clients", "Clients", Right.CLIENTS),
    ("/people", "People", Right.PEOPLE),
)
"""The pages that are found without another page."""


@dataclass(frozen=True, slots=True)
class Console:
    """What the console is made of."""

    settings: ConsoleSettings
    pool: ReadPool
    readiness: Readiness
    sign_in: SignIn
    verifier: Verifier
    renderer: Renderer
    cookies: Cookies
    stop: asyncio.Event
    """Set when the process is to end."""

    def page(self, template: str, status: int = 200, session: Session | None = None, **values: Any) -> HTMLResponse:
        """A page; `session` is whose navigation it has."""
        roles = session.roles if session else frozenset()
        links = [(path, title) for path, title, right in NAVIGATION if may(roles, right)]
        if session and self.settings.try_it_api_url:
            links.append(("/try-it", "Try it"))
        common = {"person": session and session.person, "links": links, "time_zone": self.settings.console_time_zone}
        return HTMLResponse(self.renderer.page(template, common | values), status)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a person who has the right to it."""

    console: Console
    request: Request
    session: Session
    token: str
    form: Mapping[str, str] = field(default_factory=dict)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page for this person."""
        own = {
            "here": self.request.url.path,
            "csrf": form_token(self.token),
            "may": lambda right: may(self.session.roles, Right(right)),
            "done": self.request.query_params.get("done", ""),
        }
        return self.console.page(template, status, self.session, **own, **values)

    def moved(self, path: str) -> Response:
        """The answer to an act: the browser goes on to a page, and its reload repeats nothing (RFC 9110, 15.4.4)."""
        return RedirectResponse(path, 303)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection to read with. Raises `Transient`."""
        async with self.console.pool.use("console_read") as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A connection to write with. Raises `Transient`."""
        async with self.console.pool.use("console_write") as connection:
            yield connection
