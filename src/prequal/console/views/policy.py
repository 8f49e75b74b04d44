"""Policy: the versions and where each stands, one as a table, and its way into force and out of it.

Invariant: an approver approves the document and the backtest that the page showed, by their hashes.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from prequal.console.guard import Page
from prequal.console.rights import Right, may
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.policy.problems import NotAPolicy
from prequal.policy_versions import life, queries
from prequal.policy_versions.life import Conflict, NoSuchVersion
from prequal.postgres.connections import Connection

Act: TypeAlias = Callable[[Visit, Connection, str], Awaitable[object]]


async def show(visit: Visit) -> Response:
    """Every version, and what the shadow would have decided otherwise."""
    return await _versions(visit, 200)


async def propose(visit: Visit) -> Response:
    """Store a document as a version."""
    text = visit.form.get("document", "")
    try:
        async with visit.writing() as connection, connection.transaction():
            stored = await life.propose(connection, visit.session.actor, text)
    except NotAPolicy as refusal:
        return await _versions(visit, 422, [str(problem) for problem in refusal.problems], text)
    except Conflict as why:
        return await _versions(visit, 409, [str(why)], text)
    return visit.moved(f"/policy/{stored.version}?done=yes")


async def show_one(visit: Visit) -> Response:
    """One version: its rows, its backtest, who did what with it."""
    return await _version(visit, 200)


async def act(visit: Visit) -> Response:
    """Approve, activate or roll back."""
    chosen = ACTS.get(visit.form.get("act", ""))
    if chosen is None:
        raise UsageError("Choose what to do with the version.")
    work, right = chosen
    if not may(visit.session.roles, right):
        return visit.page("problem.html", 403, title="Not yours", words="Your roles have no right to it.")
    version = visit.request.path_params["version"]
    try:
        async with visit.writing() as connection, connection.transaction():
            await work(visit, connection, version)
    except Conflict as why:
        return await _version(visit, 409, str(why))
    return visit.moved(f"/policy/{version}?done=yes")


async def _versions(visit: Visit, status: int, problems: list[str] | None = None, typed: str = "") -> Response:
    async with visit.reading() as connection:
        versions = await queries.all_versions(connection)
        shadow = await life.shadow_report(connection)
    return visit.page("policies.html", status, versions=versions, shadow=shadow, problems=problems or [], typed=typed)


async def _version(visit: Visit, status: int, problem: str = "") -> Response:
    try:
        async with visit.reading() as connection:
            stored = await life.found(connection, visit.request.path_params["version"])
    except NoSuchVersion as why:
        return visit.page("problem.html", 404, title="Nothing here", words=str(why))
    try:
        document = life.loaded(stored.version, stored.document, stored.hash).document
    except Conflict as why:
        document, problem = None, problem or str(why)
    report: dict[str, Any] | None = json.loads(stored.backtest_report) if stored.backtest_report else None
    return visit.page("policy.html", status, stored=stored, document=document, report=report, problem=problem)


async def _approve(visit: Visit, connection: Connection, version: str) -> None:
    hashes = _hash(visit, "hash"), _hash(visit, "backtest")
    await life.approve(connection, visit.session.actor, version, *hashes)


async def _activate(visit: Visit, connection: Connection, version: str) -> None:
    await life.activate(connection, visit.session.actor, version)


async def _rollback(visit: Visit, connection: Connection, version: str) -> None:
    await life.rollback(connection, visit.session.actor, version)


ACTS: Final[Mapping[str, tuple[Act, Right]]] = {
    "approve": (_approve, Right.APPROVE_POLICY),
    "activate": (_activate, Right.ACTIVATE_POLICY),
    "rollback": (_rollback, Right.ACTIVATE_POLICY),
}


def _hash(visit: Visit, name: str) -> bytes:
    try:
        return bytes.fromhex(visit.form.get(name, ""))
    except ValueError:
        raise UsageError("A hash is hexadecimal, as the page shows it.") from None


PAGES: Final = (
    Page("/policy", Right.POLICY, show),
    Page("/policy", Right.PROPOSE_POLICY, propose, "POST"),
    Page("/policy/{version}", Right.POLICY, show_one),
    Page("/policy/{version}", Right.CHANGE_POLICY, act, "POST"),
)
