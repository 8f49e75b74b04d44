"""The policy in force reaches the decisions: taken over at work, one for a batch, kept when another cannot be read."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from harness import oracle
from harness.database import Database
from harness.policies import RAVI, activated, policy_text
from harness.waiting import soon
from prequal.core.errors import Misconfigured, Transient
from prequal.decision.handler import DecisionHandler
from prequal.decision.policy_in_force import InForce, PolicyInForce
from prequal.domain.policy import packaged
from prequal.domain.policy.loading import load
from prequal.messaging.handler import Outcome
from prequal.policy_versions import life
from prequal.postgres.connections import SingleConnection, connected
from prequal.telemetry import metrics
from tests.support.policy_in_force import TAKEN_OVER_WITHIN_SECONDS, a_process, as_reported
from tests.support.submissions import REPORT_MAC, stored
from tests.unit.domain.policy.documents import without_the_score_in_its_rows

NO_FILE = "SANDB0404F"


@asynccontextmanager
async def deciding(database: Database, policy: PolicyInForce) -> AsyncIterator[DecisionHandler]:
    handler = DecisionHandler(SingleConnection(database.url, "decision in a test"), policy.decided_by, REPORT_MAC)
    try:
        yield handler
    finally:
        await handler.close()


async def put_into_force(database: Database, version: str, minimum: int) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await activated(connection, policy_text(version, minimum))


def put_unreadable_into_force(
    database: Database, version: str = "v9", document: str = "facts_of_later_code = 1"
) -> None:
    """A version that newer code knew how to write."""
    database.execute(
        """
        INSERT INTO policy_versions (version, document, hash, authors, proposed_by_kind, proposed_by)
        VALUES (%s, %s, sha256(%s::bytea), '{asha}', 'person', 'asha')
        """,
        version, document, document.encode(),
    )  # fmt: skip
    database.execute(
        """
        INSERT INTO policy_activations (version, hash, effective_from, activated_by_kind, activated_by)
        SELECT version, hash, now(), 'person', 'asha' FROM policy_versions WHERE version = %s
        """,
        version,
    )


async def test_activation_reaches_a_running_process_within_5_seconds(database: Database) -> None:
    async with a_process(database) as policy:
        await put_into_force(database, "v2", 700)

        await soon(lambda: policy.current().version == "v2", within=TAKEN_OVER_WITHIN_SECONDS)

    assert policy.detail() == {"policy": {"version": "v2", "hash": load(policy_text()).hash}}
    in_force = {
        sample.labels["version"]: sample.value for sample in next(iter(metrics.POLICY_IN_FORCE.collect())).samples
    }
    assert (in_force["v1"], in_force["v2"]) == (0, 1)


async def test_rollback_reaches_a_running_process_within_5_seconds(database: Database) -> None:
    await put_into_force(database, "v2", 700)
    async with a_process(database) as policy:
        assert policy.current().version == "v2"
        async with connected(database.url, "test") as connection, connection.transaction():
            await life.rollback(connection, RAVI, "v2")

        await soon(lambda: policy.current().version == "v1", within=TAKEN_OVER_WITHIN_SECONDS)


async def test_version_is_taken_over_when_its_time_has_come(database: Database) -> None:
    async with a_process(database) as policy:
        async with connected(database.url, "test") as connection, connection.transaction():
            at = datetime.now(UTC) + timedelta(seconds=6)
            await activated(connection, at=at)

        await soon(lambda: policy.current().version == "v2")
        assert datetime.now(UTC) >= at - timedelta(milliseconds=100)


async def test_unloadable_document_leaves_the_one_before_in_force_and_is_logged(database: Database) -> None:
    with structlog.testing.capture_logs() as lines:
        async with a_process(database) as policy:
            put_unreadable_into_force(database)
            await soon(lambda: policy.detail()["policy"].get("refused"))
            assert policy.current().version == "v1"
            assert metrics.POLICY_REFUSED._value.get() == 1

            await put_into_force(database, "v2", 700)
            await soon(lambda: policy.current().version == "v2")

    assert "refused" not in policy.detail()["policy"]
    assert metrics.POLICY_REFUSED._value.get() == 0
    refused = [line["reason"] for line in lines if line["event"] == "policy_refused"]
    assert len(refused) == 1
    assert refused[0].startswith("This code does not understand the document of v9: ")


async def test_start_with_an_unloadable_document_decides_by_the_one_before(database: Database) -> None:
    await put_into_force(database, "v2", 700)
    put_unreadable_into_force(database)

    async with a_process(database) as policy:
        assert policy.current().version == "v2"
        assert "does not understand" in policy.detail()["policy"]["refused"]


async def test_document_that_is_not_the_one_of_its_hash_is_not_taken_over(database: Database) -> None:
    put_unreadable_into_force(database, "v2", policy_text())  # its hash is of the text, not of what it says

    async with a_process(database) as policy:
        assert policy.current().version == "v1"
        assert policy.detail()["policy"]["refused"] == "The document of v2 is not the one of its hash."


async def test_process_without_any_document_it_can_load_does_not_start(database: Database) -> None:
    for number in range(10):
        put_unreadable_into_force(database, f"v{number + 2}", f"number = {number}")

    with pytest.raises(Misconfigured, match="No activated version of the policy can be loaded"):
        async with a_process(database):
            pass


async def test_database_that_is_away_changes_nothing(database: Database) -> None:
    async with a_process(database) as policy:
        database.execute("ALTER TABLE policy_activations RENAME TO away")
        await asyncio.wait_for(soon(lambda: policy._failures.has_failed), 30)

        assert policy.current().version == "v1"


async def test_decision_stores_version_and_hash_of_the_policy_that_decided(database: Database) -> None:
    await put_into_force(database, "v2", 700)
    (submission,) = stored(database)
    async with a_process(database) as policy, deciding(database, policy) as handler:
        await handler.handle([as_reported(submission, 699)])

    row = database.application(submission.id)
    assert (row["status"], row["policy_version"]) == ("REJECTED", "v2")
    assert row["policy_hash"] == load(policy_text()).digest
    assert json.dumps(row["decision_measures"]["minimum_cibil_score"]) == "700"


@pytest.mark.parametrize("amount", ["100.00", "1500000.00"])
async def test_applicant_without_a_file_is_reviewed_by_a_policy_whose_rows_do_not_read_the_score(
    database: Database, amount: str
) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await activated(connection, without_the_score_in_its_rows())
    (submission,) = stored(database, pan=NO_FILE, loan_amount_inr=amount)
    async with a_process(database) as policy, deciding(database, policy) as handler:
        report = as_reported(submission)
        results = await handler.handle([report])

    row = database.application(submission.id)
    assert results == {report.event.event_id: Outcome.DONE}
    assert (row["status"], row["decision_rule"], row["policy_version"]) == ("MANUAL_REVIEW", "NO_SCORE", "v9")
    assert row["cibil_score"] is None


async def test_batch_is_decided_by_one_version_whenever_another_takes_effect(database: Database) -> None:
    submissions, connection = stored(database, 4), SingleConnection(database.url, "decision in a test")
    turns = itertools.cycle([InForce(packaged.current()), InForce(load(policy_text()))])
    handler = DecisionHandler(connection, lambda: next(turns), REPORT_MAC)
    for batch in (submissions[:3], submissions[3:]):
        await handler.handle([as_reported(each, 699) for each in batch])
    await handler.close()

    rows = [database.application(each.id) for each in submissions]
    assert [row["policy_version"] for row in rows] == ["v1", "v1", "v1", "v2"]


# ── switched under load ─────────────────────────────────────────────────────────────────────────────────────────

MINIMUM = {"v1": 650, "v2": 700, "v3": 720}
SWITCHES = ("v2", "v3", "v1", "v3", "v2")
EVERY_SECONDS = 2.0
BATCH = 20


async def test_decision_agrees_with_its_stored_version_during_switches(
    database: Database,
) -> None:
    """Two processes decide without a pause, and every two seconds another policy is activated."""
    done, chance = asyncio.Event(), random.Random(15)
    async with (
        a_process(database) as one,
        a_process(database) as other,
        deciding(database, one) as first,
        deciding(database, other) as second,
    ):
        work = [asyncio.create_task(_decide(database, each, done, chance)) for each in (first, second)]
        await _switch(database)
        await soon(lambda: {one.current().version, other.current().version} == {SWITCHES[-1]})
        done.set()
        await asyncio.gather(*work)

    rows = database.rows("SELECT * FROM applications")
    assert [row for row in rows if not _agrees(row)] == []
    assert {row["policy_version"] for row in rows} == set(MINIMUM)


async def _switch(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        for version in ("v2", "v3"):
            async with connection.transaction():
                await activated(connection, policy_text(version, MINIMUM[version]))
        for version in SWITCHES:
            await asyncio.sleep(EVERY_SECONDS)
            before = _decided_by(database, version)
            async with connection.transaction():
                if not (await life.found(connection, version)).is_in_force:
                    await life.activate(connection, RAVI, version)
            await soon(lambda version=version, before=before: _decided_by(database, version) > before, 60)  # type: ignore[misc]


def _decided_by(database: Database, version: str) -> int:
    count: int = database.value("SELECT count(*) FROM applications WHERE policy_version = %s", version)
    return count


async def _decide(database: Database, handler: DecisionHandler, done: asyncio.Event, chance: random.Random) -> None:
    while not done.is_set():
        submissions = stored(database, BATCH, loan_amount_inr=chance.choice(["1500000.00", "4080000.00"]))
        reports = [as_reported(each, chance.choice([649, 650, 699, 700, 719, 720])) for each in submissions]
        with suppress(Transient):  # the consumer retries, on a machine that stands still
            await handler.handle(reports)
        await asyncio.sleep(0)


def _agrees(row: Any) -> bool:
    minimum = MINIMUM[row["policy_version"]]
    expected = oracle.decision(row["cibil_score"], row["monthly_income_inr"], row["loan_amount_inr"], minimum)
    return bool(row["status"] == expected)
