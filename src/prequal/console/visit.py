"""One request of a signed-in person, and how it is answered.

Invariant: a page is shown with what its reader may see and do, and no more.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from prequal.console.backtests import Backtests
from prequal.console.consumers import Consumers
from prequal.console.cookies import Cookies, form_token
from prequal.console.dead_letter_cache import DeadLetterCache
from prequal.console.done import Done, sentence_of
from prequal.console.last_shown import LastShown, ShownPage
from prequal.console.rendering import Renderer
from prequal.console.rights import Right, may
from prequal.console.verifications import Verifier
from prequal.core.settings.console import ConsoleSettings
from prequal.people.issuer_sign_in import IssuerSignIn
from prequal.people.second_factor_keys import SecondFactorKeys
from prequal.people.sessions import Session
from prequal.people.sign_in import SignIn
from prequal.postgres.connections import Connection, ConnectionPool
from prequal.service.readiness import Readiness

_CONTENT: Final = b'<main id="main">'
_OWN_PATH: Final = re.compile(r"/(?!/)[\w/.:?=&%-]*", re.ASCII)

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


def host_of(request: Request) -> str:
    """The IP address that a request came from; of a balancer, if one stands in front."""
    return request.client.host if request.client else ""


def names_nothing(scope: Scope) -> bool:
    """Whether an address has a NUL in it: PostgreSQL stores none, so nothing has such a name."""
    return "\0" in scope["path"] or b"%00" in scope["query_string"]


def asked_from(request: Request) -> str:
    """The page of the console that a request was sent from; empty where that is not known."""
    page = urlsplit(request.headers.get("referer", ""))
    return own_path(page._replace(scheme="", netloc="").geturl()) if page.netloc == request.url.netloc else ""


def own_path(text: str) -> str:
    """A path of this console, of what came with a request; anything else is the overview."""
    return text if _OWN_PATH.fullmatch(text) else "/"


@dataclass(frozen=True, slots=True)
class Console:
    """What the console is made of."""

    settings: ConsoleSettings
    pool: ConnectionPool
    readiness: Readiness
    sign_in: SignIn
    issuer_sign_in: IssuerSignIn | None
    """None where people sign in by no issuer."""
    second_factor_keys: SecondFactorKeys | None
    """None where nobody can have a second factor."""
    verifier: Verifier
    backtests: Backtests
    consumers: Consumers
    dead_letters: DeadLetterCache
    renderer: Renderer
    last_shown: LastShown
    cookies: Cookies
    stop: asyncio.Event
    """Set when the process is to end."""

    def known(self) -> dict[str, Any]:
        """What every page may show of the stores, without asking them."""
        self.consumers.seen()
        return {"consumers": self.consumers, "ready": self.readiness.answer()[1]}

    def page(self, template: str, status: int = 200, session: Session | None = None, **values: Any) -> HTMLResponse:
        """A page; `session` is whose navigation it has."""
        roles = session.roles if session else frozenset()
        links = [(path, title) for path, title, right in NAVIGATION if may(roles, right)]
        if session and self.settings.try_it_api_url:
            links.append(("/try-it", "Try it"))
        common = {"person": session and session.person, "links": links, "time_zone": self.settings.console_time_zone}
        common |= self.known()
        return HTMLResponse(self.renderer.page(template, common | values), status)

    def shown_again(self, shown: ShownPage, words: str) -> HTMLResponse:
        """A page as it was shown last, with its age and why it is not newer."""
        values = {"words": words, "at": shown.at, "age": datetime.now(UTC) - shown.at}
        note = self.renderer.page("last_shown.html", values).encode()
        return HTMLResponse(shown.html.replace(_CONTENT, _CONTENT + note, 1), 503)

    def problem(
        self, request: Request, status: int, session: Session | None, title: str, words: str, *, heals: bool = False
    ) -> HTMLResponse:
        """What went wrong, and the way back to the page that it was asked from; `heals` lets it try again by itself."""
        return self.page(
            "problem.html", status, session, title=title, words=words, heals=heals, back=asked_from(request)
        )


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
            "done": sentence_of(self.request.query_params.get("done", "")),
        }
        return self.console.page(template, status, self.session, **(own | values))

    def problem(self, status: int, title: str, words: str) -> Response:
        """What went wrong."""
        return self.console.problem(self.request, status, self.session, title, words)

    def moved(self, path: str, done: Done | None = None, **kept: str) -> Response:
        """The answer to an act: the browser goes on to a page, and its reload repeats nothing (RFC 9110, 15.4.4).

        The page says what was `done`; `kept` is what it gets of the form.
        """
        query = urlencode(({"done": done.name} if done else {}) | kept)
        return RedirectResponse(f"{path}?{query}" if query else path, 303)

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
