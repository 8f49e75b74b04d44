"""A challenger decides its share, each person's applications always or never, and ends with what it challenges."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from harness.database import Database
from harness.policies import ASHA, RAVI, activated, approved, policy_text, proposed
from harness.waiting import soon
from prequal.core.errors import Invalid
from prequal.decision.handler import DecisionHandler, Reported
from prequal.decision.policy_in_force import PolicyInForce
from prequal.decision.shadow import Shadow
from prequal.domain.policy.loading import load
from prequal.messaging.handler import HandlerResult, Outcome
from prequal.policy_versions import challenges, life, queries, shadows
from prequal.policy_versions.life import Conflict, NoSuchVersion
from prequal.postgres.connections import Connection, SingleConnection, connected
from prequal.telemetry import metrics
from tests.support.policy_in_force import TAKEN_OVER_WITHIN_SECONDS, a_process, as_reported
from tests.support.submissions import REPORT_MAC, stored

SHARE = 1_000


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connected(database.url, "test") as connection:
        yield connection


@pytest.fixture
async def challenged(connection: Connection) -> Connection:
    """v2, which wants a score of 700, decides a tenth."""
    await approved(connection)
    await challenges.begin(connection, RAVI, "v2", SHARE)
    return connection


async def as_read(database: Database, connection: Connection) -> PolicyInForce:
    """What a process that starts now decides by."""
    policy = PolicyInForce(database.url, "decision in a test")
    await policy.load(connection)
    return policy


async def decide(
    database: Database, policy: PolicyInForce, *draws: int | None, shadow: Shadow | None = None
) -> list[Any]:
    """Decide applications of these draws, all of a score that v1 approves and v2 rejects; their rows."""
    submissions = stored(database, len(draws))
    reports = [as_reported(each, 699, draw) for each, draw in zip(submissions, draws, strict=True)]
    await handled(database, policy, *reports, shadow=shadow)
    return [database.application(each.id) for each in submissions]


async def handled(
    database: Database, policy: PolicyInForce, *reports: Reported, shadow: Shadow | None = None
) -> dict[UUID, HandlerResult]:
    handler = DecisionHandler(
        SingleConnection(database.url, "decision in a test"), policy.decided_by, REPORT_MAC, shadow
    )
    results = await handler.handle(reports)
    await handler.close()
    return results


def challenged_version(database: Database) -> str:
    """The version that stands in the record of the newest challenge."""
    details = database.value("SELECT details FROM acts WHERE action = 'policy_challenged' ORDER BY id DESC LIMIT 1")
    return str(details["challenged"])


async def conflict(act: Any) -> str:
    with pytest.raises(Conflict) as refused:
        await act
    return str(refused.value)


async def test_challenger_decides_below_its_share_and_the_version_in_force_the_rest(
    database: Database, challenged: Connection
) -> None:
    policy = await as_read(database, challenged)

    rows = await decide(database, policy, 0, SHARE - 1, SHARE, 9_999)

    assert [row["policy_version"] for row in rows] == ["v2", "v2", "v1", "v1"]
    assert [row["status"] for row in rows] == ["REJECTED"] * 2 + ["PRE_APPROVED"] * 2
    assert rows[0]["policy_hash"] == load(policy_text()).digest


async def test_report_whose_draw_was_taken_away_is_refused_while_a_challenger_decides(
    database: Database, challenged: Connection
) -> None:
    (submission,) = stored(database)
    policy = await as_read(database, challenged)

    results = await handled(database, policy, as_reported(submission, 699))

    assert [cast("Invalid", result).kind for result in results.values()] == ["challenge_draw_missing"]
    assert database.application(submission.id)["status"] == "PENDING"


async def test_report_without_a_draw_is_decided_once_the_challenge_has_ended(
    database: Database, challenged: Connection
) -> None:
    await challenges.end(challenged, ASHA)
    policy = await as_read(database, challenged)

    (row,) = await decide(database, policy, None)

    assert row["policy_version"] == "v1"


@pytest.mark.parametrize("without_inbox_row", [False, True])
async def test_report_without_a_draw_of_a_decided_application_is_a_duplicate(
    database: Database, challenged: Connection, without_inbox_row: bool
) -> None:
    (submission,) = stored(database)
    policy = await as_read(database, challenged)
    await handled(database, policy, as_reported(submission, 699, 0))
    if without_inbox_row:
        database.execute("DELETE FROM processed_messages")

    results = await handled(database, policy, as_reported(submission, 699))

    assert list(results.values()) == [Outcome.DUPLICATE]


async def test_decisions_are_counted_by_role(database: Database, challenged: Connection) -> None:
    def counted() -> dict[tuple[str, str], float]:
        return {(role, status): metrics.BY_ROLE.labels(role, status)._value.get() for role, status in kinds}

    kinds = [("live", "PRE_APPROVED"), ("live", "REJECTED"), ("challenger", "REJECTED")]
    policy, before = await as_read(database, challenged), counted()

    await decide(database, policy, 0, SHARE, SHARE)

    after = counted()
    assert {kind: after[kind] - before[kind] for kind in kinds} == dict(zip(kinds, (2, 0, 1), strict=True))


async def test_challenge_reaches_a_running_process_within_5_seconds_and_so_does_its_end(
    database: Database, connection: Connection
) -> None:
    await approved(connection)
    async with a_process(database) as policy:
        await challenges.begin(connection, RAVI, "v2", SHARE)
        await soon(lambda: policy.decided_by().challenger, within=TAKEN_OVER_WITHIN_SECONDS)
        shown = policy.detail()["policy"]["challenger"]

        await challenges.end(connection, RAVI)
        await soon(lambda: not policy.decided_by().challenger, within=TAKEN_OVER_WITHIN_SECONDS)

    assert shown == {"version": "v2", "hash": load(policy_text()).hash, "share_basis_points": SHARE}
    assert "challenger" not in policy.detail()["policy"]


async def test_activation_ends_the_challenge_and_a_rollback_does_not_revive_it(
    database: Database, challenged: Connection
) -> None:
    await activated(challenged, policy_text("v3", 600))
    after_activation = (await as_read(database, challenged)).decided_by()
    await life.rollback(challenged, ASHA, "v3")
    after_rollback = (await as_read(database, challenged)).decided_by()

    assert (after_activation.live.version, after_activation.challenger) == ("v3", None)
    assert (after_rollback.live.version, after_rollback.challenger) == ("v1", None)
    report = await challenges.report(challenged)
    last = report["last"]
    assert report["version"] is None
    assert (last["version"], last["ended_by"], last["ended_by_version"]) == ("v2", "ravi", "v3")


async def test_challenge_lasts_until_a_scheduled_activation_takes_effect(
    database: Database, challenged: Connection
) -> None:
    await activated(challenged, policy_text("v3", 600), at=datetime.now(UTC) + timedelta(seconds=6))
    before = await challenges.report(challenged)
    async with a_process(database) as policy:
        await soon(lambda: policy.current().version == "v3")
        after = policy.decided_by().challenger

    assert (before["version"], before["share_basis_points"], before["begun_by"]) == ("v2", SHARE, "ravi")
    assert after is None


async def test_challenge_begun_while_an_activation_commits_challenges_the_newer_version(
    database: Database, challenged: Connection
) -> None:
    async with connected(database.url, "risk officer") as other, other.transaction():
        await other.execute("SELECT now()")  # its transaction's time is before the activation's
        await activated(challenged, policy_text("v3", 600))

        await challenges.begin(other, RAVI, "v2", SHARE)

    assert (await challenges.report(challenged))["version"] == "v2"
    assert challenged_version(database) == "v3"


async def test_challenge_that_waits_for_an_activation_challenges_the_newer_version(
    database: Database, challenged: Connection
) -> None:
    patient = {"lock_timeout": "30000", "statement_timeout": "60000"}

    async def begin() -> None:
        async with connected(database.url, "risk officer", patient, 60.0) as other, other.transaction():
            await challenges.begin(other, RAVI, "v2", SHARE)

    async with challenged.transaction():
        await queries.lock_acts(challenged)
        beginning = asyncio.create_task(begin())
        await soon(lambda: database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        await activated(challenged, policy_text("v3", 600))
    await beginning

    assert challenged_version(database) == "v3"
    assert (await challenges.report(challenged))["version"] == "v2"


async def test_another_share_takes_the_place_of_the_one_before(database: Database, challenged: Connection) -> None:
    await challenges.begin(challenged, RAVI, "v2", 1)
    policy = await as_read(database, challenged)

    rows = await decide(database, policy, 0, 1)

    assert [row["policy_version"] for row in rows] == ["v2", "v1"]


async def test_shadow_looks_at_what_the_version_in_force_decided(database: Database, challenged: Connection) -> None:
    await life.propose(challenged, ASHA, policy_text("v3", 800))
    await shadows.begin(challenged, ASHA, "v3")
    shadow, policy = Shadow(), await as_read(database, challenged)
    await shadow.look(challenged)

    _, of_live = await decide(database, policy, 0, SHARE, shadow=shadow)
    await shadow.look(challenged)

    (found,) = database.rows("SELECT application_id, live_version FROM policy_shadow_differences")
    assert (found["application_id"], found["live_version"]) == (of_live["id"], "v1")


async def test_challenger_that_cannot_be_loaded_decides_nothing(database: Database, connection: Connection) -> None:
    text = "facts_of_later_code = 1"
    database.execute(
        """
        INSERT INTO policy_versions (version, document, hash, authors, proposed_by_kind, proposed_by)
        VALUES ('v9', %s, sha256('it'), '{asha}', 'person', 'asha')
        """,
        text,
    )
    database.execute(
        """
        INSERT INTO policy_challenges (version, hash, share_basis_points, activation_id, begun_by_kind, begun_by)
        SELECT 'v9', sha256('it'), 5000, max(id), 'person', 'asha' FROM policy_activations
        """
    )
    policy = await as_read(database, connection)

    (row,) = await decide(database, policy, 0)

    assert row["policy_version"] == "v1"


async def test_only_an_approved_version_challenges(connection: Connection) -> None:
    await proposed(connection)

    assert await conflict(challenges.begin(connection, ASHA, "v2", SHARE)) == "v2 is not approved."
    with pytest.raises(NoSuchVersion):
        await challenges.begin(connection, ASHA, "v9", SHARE)


async def test_author_does_not_let_a_version_challenge_that_another_person_approved(connection: Connection) -> None:
    await approved(connection)

    assert await conflict(challenges.begin(connection, ASHA, "v2", SHARE)) == (
        "asha is an author of v2: an approver or another risk officer must let it challenge."
    )
    assert await challenges.current(connection) is None


async def test_author_ends_a_challenge(challenged: Connection) -> None:
    await challenges.end(challenged, ASHA)

    assert await challenges.current(challenged) is None


async def test_version_in_force_does_not_challenge_itself(connection: Connection) -> None:
    assert "does not challenge itself" in await conflict(challenges.begin(connection, ASHA, "v1", SHARE))


@pytest.mark.parametrize("share", [0, 5_001])
async def test_share_is_from_a_hundredth_to_50_per_cent(connection: Connection, share: int) -> None:
    await approved(connection)

    assert "from 0.01 to 50 per cent" in await conflict(challenges.begin(connection, ASHA, "v2", share))


async def test_what_no_version_challenges_cannot_be_ended(connection: Connection) -> None:
    assert await conflict(challenges.end(connection, ASHA)) == "No version challenges the one in force."


async def test_document_of_a_version_that_challenged_is_never_changed(challenged: Connection) -> None:
    await challenges.end(challenged, ASHA)

    assert "was a challenger" in await conflict(life.propose(challenged, ASHA, policy_text(minimum=701)))


async def test_report_says_how_each_side_decided_while_the_challenge_lasts_and_after_it(
    database: Database, challenged: Connection
) -> None:
    policy = await as_read(database, challenged)
    await decide(database, policy, 0, SHARE, SHARE)

    running = await challenges.report(challenged)
    await challenges.end(challenged, RAVI)
    ended = await challenges.report(challenged)
    await decide(database, await as_read(database, challenged), SHARE)

    decisions = {"challenger": {"REJECTED": 1}, "challenged": {"PRE_APPROVED": 2}}
    assert (running["challenged"], running["decisions"], running["last"]) == ("v1", decisions, None)
    assert (ended["version"], ended["last"]["decisions"]) == (None, decisions)
    assert (ended["last"]["ended_by"], ended["last"]["ended_by_version"]) == ("ravi", None)
    assert (await challenges.report(challenged))["last"] == ended["last"]


async def test_nothing_is_said_of_a_challenge_where_there_never_was_one(connection: Connection) -> None:
    assert set((await challenges.report(connection)).values()) == {None}


async def test_challenge_and_its_end_are_recorded(database: Database, challenged: Connection) -> None:
    await challenges.end(challenged, ASHA)

    acts = database.rows("SELECT actor, action, subject, details FROM acts ORDER BY id")[-2:]
    assert [(act["actor"], act["action"], act["subject"]) for act in acts] == [
        ("ravi", "policy_challenged", "v2"),
        ("asha", "policy_challenge_ended", "v2"),
    ]
    assert acts[0]["details"]["share_basis_points"] == SHARE
