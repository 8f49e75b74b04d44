"""Policy over the JSON API: versions, and their way into force and out of it, as the pages do it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Query, Response

from prequal.console.api import policy_models
from prequal.console.api.rights import Visiting, needs
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy
from prequal.ops import policies
from prequal.ops.selection import Moment, read_moment
from prequal.policy_versions import challenges, life, queries, shadows
from prequal.policy_versions.queries import StoredVersion
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor

router = APIRouter(prefix="/policy", tags=["policy"])

VERSIONS_MAX: Final = 500

Act: TypeAlias = Callable[[Connection, Actor], Awaitable[Any]]


@router.get("/versions", response_model=policy_models.PolicyVersions, **needs(Right.POLICY))
async def list_versions(
    visit: Visiting,
    limit: Annotated[int, Query(ge=1, le=VERSIONS_MAX)] = 50,
    after: Annotated[policy_models.Version | None, Query(description="The last one of the page before.")] = None,
) -> dict[str, Any]:
    """List the versions, in the order of their names, and how far each came."""
    async with visit.reading() as connection:
        found = await queries.versions_after(connection, after or "", limit)
    return {"versions": list(map(policies.version_as_json, found))}


@router.post(
    "/versions", status_code=201, response_model=policy_models.ProposedPolicyVersion, **needs(Right.PROPOSE_POLICY)
)
async def propose_version(visit: Visiting, given: policy_models.Document) -> dict[str, Any]:
    """Store a checked document as a version, to be backtested and approved; refused where it is another person's."""
    return policies.proposed_as_json(
        await _done(visit, lambda connection, actor: life.propose(connection, actor, given.document))
    )


@router.post("/check", response_model=policy_models.CheckedDocument, **needs(Right.PROPOSE_POLICY))
async def check_document(visit: Visiting, given: policy_models.Document) -> dict[str, Any]:
    """Check a document, without storing it: it is a policy, or each fault is named by line and sentence."""
    return policies.checked(load(given.document))


@router.get("/diff", response_model=policy_models.PolicyDifferences, **needs(Right.POLICY))
async def compare_versions(
    visit: Visiting, before: policy_models.Version, after: policy_models.Version
) -> dict[str, Any]:
    """Show what differs between two versions, place by place."""
    async with visit.reading() as connection:
        sides = [policies.policy_of(await life.found(connection, name)) for name in (before, after)]
    return policies.compared(*sides)


@router.get("/versions/{version}", response_model=policy_models.WholePolicyVersion, **needs(Right.POLICY))
async def show_version(visit: Visiting, version: policy_models.Version) -> dict[str, Any]:
    """Show a version with its document and where it stands."""
    async with visit.reading() as connection:
        return _whole(await life.found(connection, version))


@router.get("/in-force", response_model=policy_models.WholePolicyVersion, **needs(Right.POLICY))
async def show_version_in_force(visit: Visiting) -> dict[str, Any]:
    """Show the version that decides."""
    async with visit.reading() as connection:
        return _whole(await life.found(connection))


@router.post("/versions/{version}/approve", response_model=policy_models.PolicyVersion, **needs(Right.APPROVE_POLICY))
async def approve_version(
    visit: Visiting, version: policy_models.Version, given: policy_models.Approval
) -> dict[str, Any]:
    """Approve a version on its backtest, both named by their hashes; refused to everybody who wrote a text of it."""
    hashes = bytes.fromhex(given.hash), bytes.fromhex(given.backtest)
    return policies.version_as_json(
        await _done(visit, lambda connection, actor: life.approve(connection, actor, version, *hashes))
    )


@router.post("/versions/{version}/activate", response_model=policy_models.Activation, **needs(Right.ACTIVATE_POLICY))
async def activate_version(
    visit: Visiting, version: policy_models.Version, given: policy_models.Activating
) -> dict[str, Any]:
    """Let an approved version decide, within 5 seconds or from a time on; refused to its authors."""
    since = given.effective_from and _instant(given.effective_from)
    seen = life.Seen(bytes.fromhex(given.hash) if given.hash else None)
    return policies.activation_as_json(
        await _done(visit, lambda connection, actor: life.activate(connection, actor, version, since, seen))
    )


@router.post("/versions/{version}/rollback", response_model=policy_models.Activation, **needs(Right.ACTIVATE_POLICY))
async def roll_version_back(
    visit: Visiting, version: policy_models.Version, given: policy_models.RollingBack
) -> dict[str, Any]:
    """Take the version in force out of force: the one before it, or another that was in force, decides again."""
    return policies.activation_as_json(
        await _done(visit, lambda connection, actor: life.rollback(connection, actor, version, given.to))
    )


@router.get("/shadow", response_model=policy_models.ShadowReport, **needs(Right.POLICY))
async def show_shadow(visit: Visiting) -> dict[str, Any]:
    """Show which version decides beside the one in force, without effect, and where it differs."""
    async with visit.reading() as connection:
        return await shadows.report(connection)


@router.post("/shadow", response_model=policy_models.ShadowReport, **needs(Right.PROPOSE_POLICY))
async def set_shadow(visit: Visiting, given: policy_models.Shadow) -> dict[str, Any]:
    """Let a version decide beside the one in force, or none any more."""
    version, ends, replaces = given.version, given.ends, given.replaces
    _require_fit(version, ends, replaces)
    if version is not None:
        await _done(visit, lambda connection, actor: shadows.begin(connection, actor, version, replaces))
    else:
        await _done(visit, lambda connection, actor: shadows.end(connection, actor, ends))
    async with visit.reading() as connection:
        return await shadows.report(connection)


@router.get("/challenge", response_model=policy_models.ChallengeReport, **needs(Right.POLICY))
async def show_challenge(visit: Visiting) -> dict[str, Any]:
    """Show which version decides a share of the applications, in the place of the one in force."""
    async with visit.reading() as connection:
        return await challenges.report(connection)


@router.post("/challenge", response_model=policy_models.ChallengeReport, **needs(Right.ACTIVATE_POLICY))
async def set_challenge(visit: Visiting, given: policy_models.Challenge) -> dict[str, Any]:
    """Let an approved version decide a share of the applications within 5 seconds, or none any more.

    The former is refused to its authors.
    """
    version, share, ends = given.version, given.share_basis_points, given.ends
    seen = life.Seen(challenge=given.replaces)
    _require_fit(version, ends, given.replaces)
    if (version is None) != (share is None):
        raise UsageError("A version that challenges is given with its share, and null without one.")
    if version is not None and share is not None:
        await _done(visit, lambda connection, actor: challenges.begin(connection, actor, version, share, seen))
    else:
        await _done(visit, lambda connection, actor: challenges.end(connection, actor, ends))
    async with visit.reading() as connection:
        return await challenges.report(connection)


@router.post("/backtests", response_model=policy_models.BacktestReport, **needs(Right.PROPOSE_POLICY))
async def run_backtest(visit: Visiting, given: policy_models.Backtest) -> Response:
    """Decide the stored applications by another policy: what would have changed. Takes as long as it takes."""
    since, until = _moment("since", given.since), _moment("until", given.until)
    document, policy = await _candidate(visit, given)
    backtests, actor = visit.console.backtests, visit.session.actor
    seen = life.Seen(backtest=bytes.fromhex(given.replaces) if given.replaces else None)
    if given.record:
        async with visit.reading() as connection:
            await life.require_recordable(connection, actor, policy.version, seen)
    made = await backtests.run(actor, policy, document, since, until)
    if given.record:
        await backtests.record(actor, policy, made, seen)
    recorded = "true" if given.record else "false"
    text = f'{{"report": {made.text}, "sha256": "{made.digest.hex()}", "recorded": {recorded}}}'
    return Response(text, media_type="application/json")  # as it is: reading and writing it again takes seconds


@router.get("/backtests/running", response_model=policy_models.RunningBacktests, **needs(Right.POLICY))
async def show_running_backtest(visit: Visiting) -> dict[str, Any]:
    """Show how far the backtest is that runs now; null when none does."""
    backtests = visit.console.backtests
    if not backtests.is_running or backtests.last is None:
        return {"running": None}
    read, about = backtests.progress
    running = {"version": backtests.last.version, "by": backtests.last.by, "begun_at": backtests.last.begun_at}
    return {"running": running | {"applications_read": read, "applications_about": about}}


def _require_fit(version: str | None, ends: str | None, replaces: str | None) -> None:
    if version is not None and ends is not None:
        raise UsageError("`ends` is given with the version null.")
    if version is None and replaces is not None:
        raise UsageError("`replaces` is given with the version that takes the place of another.")


async def _candidate(visit: Visit, given: policy_models.Backtest) -> tuple[str, Policy]:
    if (given.version is None) == (given.document is None):
        raise UsageError("Give either a version or a document.")
    if given.replaces is not None and not given.record:
        raise UsageError("`replaces` is given with `record`.")
    if given.document is not None:
        return given.document, load(given.document)
    async with visit.reading() as connection:
        stored = await life.found(connection, given.version)
    return stored.document, policies.policy_of(stored)


async def _done(visit: Visit, act: Act) -> Any:
    """What an act of the person returns, committed."""
    async with visit.writing() as connection, connection.transaction():
        return await act(connection, visit.session.actor)


def _whole(stored: StoredVersion) -> dict[str, Any]:
    return policies.version_as_json(stored) | {"text": stored.document}


def _instant(time: datetime) -> datetime:
    """A time as PostgreSQL stores it, in UTC: of a time at the calendar's end another zone has none."""
    try:
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except OverflowError:
        pass
    raise UsageError("effective_from must be a time with its zone, such as 2026-12-01T00:00:00+05:30.")


def _moment(name: str, text: str | None) -> Moment | None:
    return None if text is None else read_moment(name, text)
