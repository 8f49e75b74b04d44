"""Sign-in by name, password and second factor for a bearer token, sign-out, and who one is."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from prequal.console.api.models import Credentials, Person, SignedIn
from prequal.console.api.rights import REFUSALS, Visiting, needs
from prequal.console.rights import RIGHTS, Right
from prequal.console.visit import Console
from prequal.people import sessions
from prequal.people.sessions import Session

router = APIRouter(prefix="/session", tags=["session"])


@router.post("", status_code=201, responses=REFUSALS, openapi_extra={"security": []})
async def sign_in(request: Request, given: Credentials) -> SignedIn:
    """Sign in: the answer's token is the session, until it is idle for long, too old, or ended."""
    console: Console = request.scope["console"]
    token = await console.sign_in(given.name, given.password.get_secret_value(), given.code)
    async with console.pool.use("console_session") as connection:
        found = await sessions.use(connection, token, console.settings.console_idle_minutes * 60)
    roles = found.roles if found else frozenset()
    return SignedIn(token=token, person=given.name.strip().lower(), roles=sorted(roles))


@router.get("", **needs(Right.OVERVIEW))
async def who_am_i(visit: Visiting) -> Person:
    """Whose token this is, and what may be done with it."""
    return _person(visit.session)


@router.delete("", status_code=204, **needs(Right.OVERVIEW))
async def sign_out(visit: Visiting) -> Response:
    """End this session."""
    async with visit.console.pool.use("console_session") as connection:
        await sessions.end(connection, visit.token)
    return Response(status_code=204)


def _person(session: Session) -> Person:
    rights = sorted(right.value for right, roles in RIGHTS.items() if not roles.isdisjoint(session.roles))
    return Person(person=session.person, roles=sorted(session.roles), rights=rights)
