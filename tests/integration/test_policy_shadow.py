"""A candidate beside the policy in force: counted and kept where it differs, and never decided by."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.database import Database
from harness.policies import ASHA, RAVI, activated, decided_by_v1, policy_text
from harness.ports import free_port
from harness.waiting import soon
from prequal.decision.handler import DecisionHandler
from prequal.decision.policy_in_force import PolicyInForce
from prequal.decision.shadow import Shadow
from prequal.domain.policy.loading import load
from prequal.policy_versions import life, queries, shadows
from prequal.policy_versions.life import Conflict, NoSuchVersion
from prequal.postgres.connections import Connection, SingleConnection, connected
from prequal.telemetry import metrics
from tests.support.policy_in_force import as_reported
from tests.support.submissions import REPORT_MAC, stored


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connected(database.url, "test") as connection:
        yield connection


@pytest.fixture
async def shadow(connection: Connection) -> Shadow:
    """A process's shadow, which has seen that v2 is one."""
    await life.propose(connection, ASHA, policy_text())
    await shadows.begin(connection, ASHA, "v2")
    shadow = Shadow()
    await shadow.look(connection)
    return shadow


@pytest.fixture
def counted() -> Any:
    """How many decisions of these two statuses were counted since the test began."""

    def value(status: str, outcome: str) -> float:
        return float(metrics.SHADOW_DECISIONS.labels(status, outcome)._value.get())

    before = {(a, b): value(a, b) for a in ("PRE_APPROVED", "REJECTED") for b in ("PRE_APPROVED", "REJECTED")}
    return lambda status, outcome: value(status, outcome) - before[status, outcome]


async def decide(database: Database, shadow: Shadow, *scores: int) -> list[Any]:
    submissions = stored(database, len(scores))
    connection = SingleConnection(database.url, "decision in a test")
    handler = DecisionHandler(connection, decided_by_v1, REPORT_MAC, shadow)
    batch = [as_reported(each, score) for each, score in zip(submissions, scores, strict=True)]
    await handler.handle(batch)
    await handler.handle(batch)  # redelivered: nothing is decided, and nothing is observed
    await handler.close()
    return [each.id for each in submissions]


async def test_shadow_counts_what_it_decides_and_keeps_where_it_differs(
    database: Database, connection: Connection, shadow: Shadow, counted: Any
) -> None:
    *_, differs = await decide(database, shadow, 649, 700, 699)
    await shadow.look(connection)

    assert counted("PRE_APPROVED", "REJECTED") == counted("PRE_APPROVED", "PRE_APPROVED") == 1
    row = database.row("SELECT * FROM policy_shadow_differences")
    assert (row["application_id"], row["version"], row["live_version"]) == (differs, "v2", "v1")
    assert (row["live_reason"], row["shadow_reason"]) == ("INCOME_COVERS_LOAN", "SCORE_BELOW_MINIMUM")
    assert row["hash"] == load(policy_text()).digest


async def test_shadow_changes_no_decision(database: Database, shadow: Shadow) -> None:
    (differs,) = await decide(database, shadow, 699)

    row = database.application(differs)
    assert (row["status"], row["policy_version"]) == ("PRE_APPROVED", "v1")


async def test_shadow_that_has_ended_observes_nothing(
    database: Database, connection: Connection, shadow: Shadow, counted: Any
) -> None:
    await shadows.end(connection, ASHA)
    await shadow.look(connection)
    await decide(database, shadow, 699)
    await shadow.look(connection)

    assert counted("PRE_APPROVED", "REJECTED") == 0
    assert database.count("policy_shadow_differences") == 0


async def test_report_of_the_shadow_adds_up_by_status_and_reason(
    database: Database, connection: Connection, shadow: Shadow
) -> None:
    await decide(database, shadow, 698, 699, 700)
    await shadow.look(connection)

    report = await shadows.report(connection)

    assert report["version"] == "v2"
    assert report["differences"] == [
        {
            "live": {"status": "PRE_APPROVED", "reason": "INCOME_COVERS_LOAN"},
            "shadow": {"status": "REJECTED", "reason": "SCORE_BELOW_MINIMUM"},
            "applications": 2,
        }
    ]


async def test_difference_that_could_not_be_written_is_written_later(
    database: Database, connection: Connection, shadow: Shadow
) -> None:
    await decide(database, shadow, 699)
    database.execute("ALTER TABLE policy_shadow_differences RENAME TO away")
    with pytest.raises(Exception, match="policy_shadow_differences"):
        await shadow.look(connection)
    database.execute("ALTER TABLE away RENAME TO policy_shadow_differences")
    await shadow.look(connection)

    assert database.count("policy_shadow_differences") == 1


async def stop_after_a_difference(database: Database, shadow: Shadow, url: str) -> None:
    """Find a difference, and close the policy, whose own database is at `url`."""
    policy = PolicyInForce(url, "decision in a test")
    policy.shadow = shadow
    await decide(database, shadow, 699)
    await policy.close()


async def test_differences_found_after_the_last_look_are_written_when_the_process_stops(
    database: Database, shadow: Shadow
) -> None:
    await stop_after_a_difference(database, shadow, database.url)

    assert database.count("policy_shadow_differences") == 1


async def test_stop_does_not_fail_when_the_last_differences_cannot_be_written(
    database: Database, shadow: Shadow
) -> None:
    await stop_after_a_difference(database, shadow, f"postgresql://u:p@127.0.0.1:{free_port()}/x")

    assert database.count("policy_shadow_differences") == 0


async def test_candidate_of_another_document_is_not_taken_for_the_one_that_was_named(
    connection: Connection, shadow: Shadow
) -> None:
    text = policy_text(minimum=701)
    await queries.put_version(connection, "v2", text, load(text).digest, ASHA)  # `propose` ends the shadow as well
    restarted = Shadow()
    await restarted.look(connection)

    assert restarted.candidate is None


def ended_by(database: Database) -> list[tuple[str, str]]:
    """Who ended a shadow, and which one, as it stands in the record."""
    acts = database.rows("SELECT actor, subject FROM acts WHERE action = 'policy_shadow_ended' ORDER BY id")
    return [(act["actor"], act["subject"]) for act in acts]


async def test_edit_of_the_shadow_ends_it_in_every_process(
    database: Database, connection: Connection, shadow: Shadow
) -> None:
    edited = await life.propose(connection, ASHA, policy_text(minimum=701))

    restarted = Shadow()
    for process in (shadow, restarted):
        await process.look(connection)
    assert (shadow.candidate, restarted.candidate) == (None, None)
    assert (edited.ended_shadow, edited.is_shadow) == (True, False)
    assert (await shadows.report(connection))["version"] is None
    assert ended_by(database) == [("asha", "v2")]

    await shadows.begin(connection, RAVI, "v2")
    await shadow.look(connection)
    assert shadow.candidate
    assert shadow.candidate.digest == edited.hash


async def test_same_document_again_and_an_edit_of_another_version_leave_the_shadow(
    connection: Connection, shadow: Shadow
) -> None:
    again = await life.propose(connection, ASHA, "# a comment\n" + policy_text())
    await life.propose(connection, ASHA, policy_text("v3"))
    other = await life.propose(connection, ASHA, policy_text("v3", 710))
    await shadow.look(connection)

    assert shadow.candidate
    assert (again.ended_shadow, again.is_shadow, other.ended_shadow) == (False, True, False)


async def test_shadow_that_is_put_into_force_is_the_shadow_no_more_nor_after_a_rollback(
    database: Database, connection: Connection, shadow: Shadow
) -> None:
    activation = await activated(connection)
    await shadow.look(connection)
    in_force = await life.found(connection, "v2")

    assert (activation.ended_shadow, in_force.is_shadow, shadow.candidate) == (True, False, None)
    assert ended_by(database) == [("ravi", "v2")]

    back = await life.rollback(connection, ASHA, "v2")
    assert back.ended_shadow is False
    assert (await shadows.report(connection))["version"] is None


async def test_shadow_that_a_rollback_puts_into_force_is_the_shadow_no_more(
    database: Database, connection: Connection
) -> None:
    await activated(connection)
    await activated(connection, policy_text("v3", 720))
    await shadows.begin(connection, ASHA, "v2")

    back = await life.rollback(connection, RAVI, "v3")

    assert (back.version, back.ended_shadow) == ("v2", True)
    assert (await shadows.report(connection))["version"] is None
    assert ended_by(database) == [("ravi", "v2")]


async def test_shadow_lasts_until_it_takes_effect_at_a_time_that_was_ahead(
    connection: Connection, shadow: Shadow
) -> None:
    activation = await activated(connection, at=datetime.now(UTC) + timedelta(seconds=6))
    before = await life.found(connection, "v2")
    await shadow.look(connection)
    still = shadow.candidate
    await soon(lambda: connection.fetchval("SELECT statement_timestamp() >= $1", activation.effective_from))
    await shadow.look(connection)
    after = await life.found(connection, "v2")

    assert (activation.ended_shadow, before.is_shadow, bool(still)) == (False, True, True)
    assert (after.is_in_force, after.is_shadow, shadow.candidate) == (True, False, None)

    await life.rollback(connection, ASHA, "v2")
    assert (await shadows.report(connection))["version"] is None


async def test_version_in_force_or_unknown_is_no_shadow(connection: Connection) -> None:
    with pytest.raises(Conflict, match="v1 is in force"):
        await shadows.begin(connection, ASHA, "v1")
    with pytest.raises(NoSuchVersion):
        await shadows.begin(connection, ASHA, "v9")


async def test_shadow_that_is_not_there_is_not_ended_and_one_that_is_there_not_begun_again(
    database: Database, connection: Connection, shadow: Shadow
) -> None:
    await life.propose(connection, ASHA, policy_text("v3"))

    with pytest.raises(Conflict, match=r"^v2 is the shadow already\.$"):
        await shadows.begin(connection, ASHA, "v2")
    with pytest.raises(Conflict, match=r"^v3 is not the shadow: v2 is\.$"):
        await shadows.end(connection, ASHA, "v3")
    await shadows.end(connection, RAVI, "v2")
    with pytest.raises(Conflict, match=r"^There is no shadow\.$"):
        await shadows.end(connection, ASHA)

    acts = database.rows("SELECT actor, action, subject FROM acts WHERE action LIKE 'policy_shadow%%' ORDER BY id")
    assert [tuple(act.values()) for act in acts] == [
        ("asha", "policy_shadowed", "v2"),
        ("ravi", "policy_shadow_ended", "v2"),
    ]
    assert database.count("policy_shadows") == 2


async def test_shadow_is_recorded(database: Database, shadow: Shadow) -> None:
    actions = [row["action"] for row in database.rows("SELECT action FROM acts ORDER BY id")]

    assert actions == ["policy_proposed", "policy_shadowed"]
