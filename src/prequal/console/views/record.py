"""Record: what was done, the newest first; whether it is as it was chained; and who saw what of one application.

Invariant: who asks about an application, or had the record verified, is in the record itself.
"""

from typing import Final
from uuid import UUID

from starlette.responses import Response

from prequal.console.forms import uuid_of
from prequal.console.guard import Page
from prequal.console.queries import record
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.record import queries
from prequal.record.access_queries import accesses
from prequal.record.acts import record_act
from prequal.record.heads import Head, head_of


async def show(visit: Visit) -> Response:
    """A page of it; while the record is verified, the browser asks again by itself."""
    asked = visit.request.query_params.get("before", "")
    key = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else record.LAST
    async with visit.reading() as connection:
        acts = await record.before(connection, key)
        lag = await queries.lag(connection)
    older = acts[-1].id if len(acts) == record.SHOWN_MAX else None
    verifier = visit.console.verifier
    page = visit.page("record.html", acts=acts, older=older, lag=lag, verifier=verifier)
    if verifier.is_running and not asked:
        page.headers["Refresh"] = "2"
    return page


async def verify(visit: Visit) -> Response:
    """Compare the record with its chain, as `prequal audit verify` does."""
    if not visit.console.verifier.can_verify:
        raise UsageError("This console has no RECORD_KEY: `prequal audit verify` compares where the key is.")
    await visit.console.verifier.verify(visit.session.actor, _head(visit.form.get("head", "")))
    return visit.moved("/record")


async def who(visit: Visit) -> Response:
    """Every access to one application, as `prequal audit who` lists them."""
    application_id = _id(visit.form.get("id", ""))
    async with visit.writing() as connection, connection.transaction():
        found = await accesses(connection, [application_id])
        await record_act(connection, visit.session.actor, "accesses_viewed", "application", str(application_id))
    return visit.page("accesses.html", application_id=application_id, accesses=found)


def _head(text: str) -> Head | None:
    try:
        return head_of(text) if text else None
    except ValueError:
        raise UsageError("A head is the text of a file that `prequal audit head` wrote.") from None


def _id(text: str) -> UUID:
    found = uuid_of(text)
    if found is None:
        raise UsageError("Give the application's id; by a PAN, `prequal audit who` finds its applications.")
    return found


PAGES: Final = (
    Page("/record", Right.RECORD, show),
    Page("/record/verify", Right.AUDIT_RECORD, verify, "POST"),
    Page("/record/who", Right.AUDIT_RECORD, who, "POST"),
)
