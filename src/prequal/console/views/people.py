"""People: who may sign in, with which roles; for an administrator to change.

Invariant: nobody changes himself: the last administrator could not undo it. A form takes the place of what its page
showed, and of nothing else.
"""

from typing import Final

from starlette.responses import Response

from prequal.console.done import Done
from prequal.console.forms import SEVERAL
from prequal.console.guard import Page
from prequal.console.paging import cut
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.person import PersonRole
from prequal.issuers.identity import Identity
from prequal.people import administration, second_factor
from prequal.people.administration import NewSecrets

SHOWN_MAX: Final = 100


async def show(visit: Visit) -> Response:
    """A page of the people, in the order of their names."""
    after = visit.request.query_params.get("after", "")
    async with visit.reading() as connection:
        people, last = cut(await administration.list_after(connection, after, SHOWN_MAX + 1), SHOWN_MAX)
    further, issuer = last and last.name, visit.console.settings.oidc_issuer
    return visit.page("people.html", people=people, further=further, roles=list(PersonRole), issuer=issuer)


async def add(visit: Visit) -> Response:
    """Add a person, and show the password that was made, once."""
    name, new = visit.form.get("name", "").lower(), _new_secrets(visit)
    async with visit.writing() as connection:
        await administration.add(connection, visit.session.actor, name, _roles(visit), new)
    return _issued(visit, name, new)


async def set_roles(visit: Visit) -> Response:
    """Give a person other roles."""
    name, shown = _other(visit), visit.form.get("shown", "").split()
    async with visit.writing() as connection:
        await administration.set_roles(connection, visit.session.actor, name, _roles(visit), shown)
    return visit.moved("/people", Done.ROLES_SET)


async def set_password(visit: Visit) -> Response:
    """Give a person a new password, and a new second factor or none; shown once."""
    name, new, shown = _other(visit), _new_secrets(visit), bool(visit.form.get("shown"))
    async with visit.writing() as connection:
        await administration.set_password(
            connection, visit.session.actor, name, new, second_factor_too=True, shown=shown
        )
    return _issued(visit, name, new)


async def set_identity(visit: Visit) -> Response:
    """Let the issuer of this console vouch for a person, or no longer."""
    name, issuer, subject = _other(visit), visit.console.settings.oidc_issuer, visit.form.get("subject", "")
    identity, shown = Identity.of(issuer, subject) if subject else None, visit.form.get("shown", "")
    async with visit.writing() as connection:
        await administration.set_identity(connection, visit.session.actor, name, identity, shown)
    return visit.moved("/people", Done.IDENTITY_SET)


async def disable(visit: Visit) -> Response:
    """Disable a person for good."""
    name = _other(visit)
    async with visit.writing() as connection:
        await administration.disable(connection, visit.session.actor, name)
    return visit.moved("/people", Done.DISABLED)


def _other(visit: Visit) -> str:
    name: str = visit.request.path_params["name"]
    if name == visit.session.person:
        raise UsageError("Nobody changes himself here: ask another administrator, or use `prequal users`.")
    return name


def _roles(visit: Visit) -> set[PersonRole]:
    chosen = visit.form.get("role", "").split(SEVERAL)
    try:
        return {PersonRole(role) for role in chosen if role}
    except ValueError:
        raise UsageError("There is no such role.") from None


def _new_secrets(visit: Visit) -> NewSecrets:
    return NewSecrets.of(None, totp="totp" in visit.form, keys=visit.console.second_factor_keys)


def _issued(visit: Visit, name: str, new: NewSecrets) -> Response:
    address = second_factor.address(name, new.totp_secret) if new.totp_secret else ""
    return visit.page("issued.html", name=name, password=new.password, address=address)


PAGES: Final = (
    Page("/people", Right.PEOPLE, show),
    Page("/people", Right.CHANGE_PEOPLE, add, "POST"),
    Page("/people/{name}/roles", Right.CHANGE_PEOPLE, set_roles, "POST"),
    Page("/people/{name}/password", Right.CHANGE_PEOPLE, set_password, "POST"),
    Page("/people/{name}/identity", Right.CHANGE_PEOPLE, set_identity, "POST"),
    Page("/people/{name}/disable", Right.CHANGE_PEOPLE, disable, "POST"),
)
