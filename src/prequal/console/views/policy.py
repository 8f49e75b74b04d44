"""Policy: the versions and where each stands, one as a table, and its way into force and out of it.

Invariant: what is backtested, approved, put into force or let challenge is what the page showed, by its hashes, and
takes the place of what the page showed there.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from prequal.console import plots
from prequal.console.backtests import Busy
from prequal.console.done import Done
from prequal.console.forms import DOCUMENT_BYTES_MAX, uuid_of, whole_number
from prequal.console.guard import Page
from prequal.console.paging import cut
from prequal.console.queries.applications import SHOWN_MAX
from prequal.console.rendering import count, inr
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.application import LAST_ID
from prequal.domain.policy.challenge import SHARE_MAX
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.problems import NotAPolicy, Problem
from prequal.ops import backtest, policies
from prequal.ops.backtest_queries import LOOKED_AT_MAX, newest_before
from prequal.ops.policies import Change
from prequal.ops.selection import read_moment
from prequal.policy_versions import challenge_queries, challenges, life, queries, shadows
from prequal.policy_versions.life import Conflict, NoSuchVersion, Seen
from prequal.policy_versions.queries import StoredVersion, VersionState
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor

DAYS_MAX: Final = 3660
VERSIONS_MAX: Final = 50
NEXT: Final = {
    VersionState.CHECKED: "A backtest, which the approver looks at.",
    VersionState.BACKTESTED: "An approver who wrote no text of it approves it on this backtest.",
    VersionState.APPROVED: "An approver, or a risk officer who wrote no text of it, puts it into force.",
}
"""What a version waits for, where it waits."""
SHADOW_ENDED: Final = {
    Done.ACTIVATED: Done.ACTIVATED_SHADOW_ENDED,
    Done.ROLLED_BACK: Done.ROLLED_BACK_SHADOW_ENDED,
}
"""What was done, where the version that it put into force was the shadow."""

Act: TypeAlias = Callable[[Connection, Actor, str], Awaitable[object]]


async def show(visit: Visit) -> Response:
    """The versions, a page of them, the newest first; what the challenger decided, and the shadow would have."""
    return await _versions(visit, 200)


async def propose(visit: Visit) -> Response:
    """Store a document as a version."""
    text = visit.form.get("document", "")
    try:
        async with visit.writing() as connection, connection.transaction():
            stored = await life.propose(connection, visit.session.actor, text)
    except NotAPolicy as refusal:
        return await _versions(visit, 422, [(str(each), _line(text, each)) for each in refusal.problems], text)
    except Conflict as why:
        return await _versions(visit, 409, [(str(why), "")], text)
    return visit.moved(
        f"/policy/{stored.version}", Done.PROPOSED_SHADOW_ENDED if stored.ended_shadow else Done.PROPOSED
    )


async def show_one(visit: Visit) -> Response:
    """One version: its rows, its backtest; while one runs, the browser asks again by itself."""
    page = await _version(visit, 200)
    if visit.console.backtests.is_running:
        page.headers["Refresh"] = "2"
    return page


async def run_backtest(visit: Visit) -> Response:
    """Decide the applications of the last days by the version that the page showed, and keep the report with it."""
    version, backtests = visit.request.path_params["version"], visit.console.backtests
    days = whole_number(visit.form.get("days", ""), 1, DAYS_MAX)
    if days is None:
        raise UsageError(f"A backtest is of the last 1 to {DAYS_MAX} days.")
    actor, seen = visit.session.actor, Seen(_hash(visit, "hash"), _hash(visit, "backtest"))
    try:
        async with visit.reading() as connection:
            stored = await life.require_recordable(connection, actor, version, seen)
        policy = policies.policy_of(stored)
        await backtests.begin(actor, policy, stored.document, timedelta(days=days), seen)
    except (Conflict, Busy) as why:
        return await _version(visit, 409, str(why))
    if backtests.is_running:
        return visit.moved(f"/policy/{version}")
    if backtests.last and backtests.last.problem:
        return await _version(visit, 409)
    return visit.moved(f"/policy/{version}", Done.BACKTESTED)


async def approve(visit: Visit) -> Response:
    """Approve the document on the backtest, both as the page showed them."""
    document, backtest = _hash(visit, "hash"), _hash(visit, "backtest")
    return await _done(
        visit,
        Done.APPROVED,
        lambda connection, actor, version: life.approve(connection, actor, version, document, backtest),
    )


async def activate(visit: Visit) -> Response:
    """Put an approved version into force: the document that the page showed, in the place of the one in force there."""
    return await _done(visit, Done.ACTIVATED, partial(life.activate, seen=_seen(visit)), Done.ACTIVATED_LATER)


async def rollback(visit: Visit) -> Response:
    """Take the version in force out of force."""
    return await _done(visit, Done.ROLLED_BACK, life.rollback, Done.ROLLED_BACK_LATER)


async def challenge(visit: Visit) -> Response:
    """Let an approved version decide a share, in the place of the challenger that the page showed, if it showed one."""
    percent = whole_number(visit.form.get("percent", ""), 1, SHARE_MAX // 100)
    if percent is None:
        raise UsageError(f"A challenger decides from 1 to {SHARE_MAX // 100} per cent.")
    seen = replace(_seen(visit), challenge=visit.form.get("challenge", ""))
    return await _done(
        visit,
        Done.CHALLENGES,
        lambda connection, actor, version: challenges.begin(connection, actor, version, percent * 100, seen),
    )


async def end_challenge(visit: Visit) -> Response:
    """Let the version in force decide everything again, where this one challenges it."""
    return await _done(visit, Done.CHALLENGE_ENDED, challenges.end)


async def _done(visit: Visit, done: Done, work: Act, later: Done | None = None) -> Response:
    """Do an act, and show the version with what was done; `later` says it of an activation whose time is ahead."""
    version = visit.request.path_params["version"]
    try:
        async with visit.writing() as connection, connection.transaction():
            found = await work(connection, visit.session.actor, version)
    except Conflict as why:
        return await _version(visit, 409, str(why))
    if later is not None and isinstance(found, queries.Activation) and found.is_ahead:
        done = later
    elif isinstance(found, queries.Activation) and found.ended_shadow:
        done = SHADOW_ENDED[done]
    return visit.moved(f"/policy/{version}", done)


def _key(text: str) -> tuple[datetime, str] | None:
    """When the last version of the page before was proposed, and its name."""
    time, _, version = text.partition(" ")
    try:
        at = read_moment("before", time)
    except UsageError:
        return None
    return (at, version) if isinstance(at, datetime) else None


def _line(text: str, problem: Problem) -> str:
    """The line of a document that a problem names; empty where it names none."""
    return text.split("\n")[problem.line - 1].strip() if problem.line else ""


async def _versions(visit: Visit, status: int, problems: Sequence[tuple[str, str]] = (), typed: str = "") -> Response:
    before = _key(visit.request.query_params.get("before", ""))
    async with visit.reading() as connection:
        versions, last = cut(await queries.versions_before(connection, before, VERSIONS_MAX + 1), VERSIONS_MAX)
        shadow = await shadows.report(connection)
        course = await challenge_queries.course_of_newest(connection)
        decisions = await challenges.decisions(connection, course) if course else {}
        begun = typed or (await life.found(connection)).document
    found = {
        "versions": versions,
        "older": last and f"{last.proposed_at.isoformat()} {last.version}",
        "shadow": shadow,
        "course": course,
        "decisions": decisions,
    }
    return visit.page("policies.html", status, **found, problems=problems, typed=begun, stated=_stated)


async def _version(visit: Visit, status: int, problem: str = "") -> Response:
    try:
        async with visit.reading() as connection:
            stored = await life.found(connection, visit.request.path_params["version"])
            in_force = await life.found(connection)
            back = await life.version_behind(connection)
            course = await challenge_queries.course_of_newest(connection)
    except NoSuchVersion as why:
        return visit.problem(404, "Nothing here", str(why))
    try:
        policy = policies.policy_of(stored)
    except Conflict as why:
        policy, problem = None, problem or str(why)
    holds = course.challenge if course and course.holds else None
    report: dict[str, Any] | None = json.loads(stored.backtest_report) if stored.backtest_report else None
    return visit.page(
        "policy.html",
        status,
        stored=stored,
        stated=_stated,
        document=policy and policy.document,
        warning=policy and policy.warning,
        limits=policies.limits(policy) if policy else {},
        in_force=in_force.version,
        changes=_changes(in_force, policy),
        back=back if stored.is_in_force else None,
        course=course if course and course.challenge.version == stored.version else None,
        challenge=holds,
        challenge_shown=challenges.as_shown(holds),
        most_percent=SHARE_MAX // 100,
        report=report,
        newest=policies.newest_read(report or {}),
        replay=policies.replay_in_words(report or {}),
        problem=problem,
        backtests=visit.console.backtests,
        next_step=NEXT.get(stored.state),
        **_plots(report or {}),
    )


def _stated(version: StoredVersion) -> str:
    return policies.state_in_words(policies.life_as_json(version))


def _changes(in_force: StoredVersion, policy: Policy | None) -> list[Change]:
    """What a version would change of the one in force: nothing, where this code does not understand one of them."""
    try:
        known = policy if policy is None or policy.version == in_force.version else policies.policy_of(in_force)
        found = policies.changes(known, policy) if known and policy else []
    except Conflict:
        return []
    return [each for each in found if each.place != "version"]


def _plots(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page draws of a report; of one without groups there is nothing to draw."""
    kinds = (
        ("scores", "scores", "By score", report.get("by_score_band", [])),
        ("loans", "loan_type", "By loan type", report.get("by_loan_type", [])),
    )
    plotted = [
        (*kind, *(plots.bars(kind[3], kind[1], measure) for measure in ("applications", "loan_amount_inr")))
        for kind in kinds
        if kind[3]
    ]
    flow = plots.flow(report.get("outcomes", []))
    return {"flow": flow, "plotted": plotted, "shown_count": count, "shown_inr": inr}


async def flips(visit: Visit) -> Response:
    """A page of the applications that this version would decide otherwise."""
    before = uuid_of(visit.request.query_params.get("before", "")) or LAST_ID
    try:
        async with visit.reading() as connection:
            stored = await life.found(connection, visit.request.path_params["version"])
            rows = await newest_before(connection, before)
        candidate = life.loaded(stored.version, stored.document, stored.hash)
    except (NoSuchVersion, Conflict) as why:
        return visit.problem(404, "Nothing here", str(why))
    looked_at, found = backtest.flips(rows, candidate, SHOWN_MAX)
    is_last = looked_at == len(rows) < LOOKED_AT_MAX
    older = None if is_last or not rows else rows[looked_at - 1][0]
    return visit.page("flips.html", version=stored.version, flips=found, looked_at=looked_at, older=older)


def _seen(visit: Visit) -> Seen:
    return Seen(_hash(visit, "hash"), _hash(visit, "backtest"), visit.form.get("in_force", ""))


def _hash(visit: Visit, name: str) -> bytes:
    try:
        return bytes.fromhex(visit.form.get(name, ""))
    except ValueError:
        raise UsageError("A hash is hexadecimal, as the page shows it.") from None


PAGES: Final = (
    Page("/policy", Right.POLICY, show),
    Page("/policy", Right.PROPOSE_POLICY, propose, "POST", DOCUMENT_BYTES_MAX),
    Page("/policy/{version}", Right.POLICY, show_one),
    Page("/policy/{version}/flips", Right.POLICY, flips),
    Page("/policy/{version}/backtest", Right.PROPOSE_POLICY, run_backtest, "POST"),
    Page("/policy/{version}/approve", Right.APPROVE_POLICY, approve, "POST"),
    Page("/policy/{version}/activate", Right.ACTIVATE_POLICY, activate, "POST"),
    Page("/policy/{version}/rollback", Right.ACTIVATE_POLICY, rollback, "POST"),
    Page("/policy/{version}/challenge", Right.ACTIVATE_POLICY, challenge, "POST"),
    Page("/policy/{version}/challenge/end", Right.ACTIVATE_POLICY, end_challenge, "POST"),
)
