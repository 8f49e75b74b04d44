"""A version's way into force: who may do what when, and what is refused with which sentence."""

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from harness.database import Database
from harness.policies import (
    ASHA,
    COUNTS,
    RAVI,
    REPORT,
    activated,
    approved,
    let_the_clock_step_back,
    policy_text,
    proposed,
)
from harness.waiting import soon
from prequal.domain.policy import packaged
from prequal.domain.policy.loading import load
from prequal.domain.policy.problems import NotAPolicy
from prequal.policy_versions import life, queries
from prequal.policy_versions.life import Conflict, NoSuchVersion
from prequal.policy_versions.queries import VersionState
from prequal.policy_versions.way_back import version_before
from prequal.postgres.connections import Connection, connected
from prequal.record.acts import Actor, ActorKind


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """A connection whose transaction the test alone sees, as the caller of an act has it."""
    async with connected(database.url, "test") as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()


async def state(connection: Connection, version: str = "v2") -> VersionState:
    return (await life.found(connection, version)).state


async def refusal(act: Awaitable[object]) -> str:
    with pytest.raises(Conflict) as refused:
        await act
    return str(refused.value)


async def put_by(connection: Connection, author: Actor, text: str) -> None:
    """Store a text in the place of anybody's, as the table can hold it; `propose` refuses that."""
    policy = load(text)
    await queries.put_version(connection, policy.version, text, policy.digest, author)


async def test_new_database_decides_by_the_version_that_comes_with_the_code(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        (stored,) = await life.every_version(connection)

    assert (stored.version, stored.state, stored.hash) == ("v1", VersionState.ACTIVE, packaged.current().digest)
    assert stored.document == packaged.text_of("v1")


async def test_version_goes_from_checked_to_backtested_to_approved(connection: Connection) -> None:
    stored = await life.propose(connection, ASHA, policy_text())
    assert stored.state is VersionState.CHECKED

    backtested = await life.record_backtest(connection, ASHA, load(policy_text()), REPORT, COUNTS)
    assert backtested.state is VersionState.BACKTESTED

    approval = await life.approve(connection, RAVI, "v2", stored.hash, REPORT)
    assert (approval.state, approval.approved_by) == (VersionState.APPROVED, "ravi")


async def test_activated_version_is_active_and_the_one_before_is_retired(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)

        assert [await state(connection, name) for name in ("v1", "v2")] == [VersionState.RETIRED, VersionState.ACTIVE]


async def test_version_takes_effect_at_its_time_and_not_before(database: Database) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    async with connected(database.url, "test") as connection:
        await activated(connection, at=later)
        stored = await life.found(connection, "v2")

        assert (stored.state, stored.scheduled_for) == (VersionState.APPROVED, later)
        assert [each.version for each in await queries.effective_activations(connection, 10)] == ["v1"]


async def test_rollback_is_an_activation_of_the_version_before(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await life.rollback(connection, RAVI, "v2")

        history = [each.version for each in await queries.effective_activations(connection, 10)]
    assert history == ["v1", "v2", "v1"]


async def test_second_rollback_of_a_version_does_nothing(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await life.rollback(connection, RAVI, "v2")

        assert await refusal(life.rollback(connection, ASHA, "v2")) == "v2 is not in force: v1 is."


async def test_rollback_goes_to_the_version_that_is_named(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await activated(connection, policy_text("v3", 720))
        found = await life.rollback(connection, ASHA, "v3", "v1")

    assert (found.version, found.hash) == ("v1", packaged.current().digest)


async def test_rollback_to_what_never_was_in_force_is_refused(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await approved(connection, policy_text("v3", 720))

        assert "v3 never was in force" in await refusal(life.rollback(connection, ASHA, "v2", "v3"))


async def test_rollback_of_the_first_version_is_refused(connection: Connection) -> None:
    assert "nothing to go back to" in await refusal(life.rollback(connection, ASHA, "v1"))


@pytest.mark.parametrize(
    ("history", "before"),
    [("1", None), ("21", "1"), ("321", "2"), ("2321", "1"), ("12321", None), ("3121", "1")],
)
def test_rollback_never_returns_to_what_was_rolled_back(history: str, before: str | None) -> None:
    assert version_before(history) == before


async def in_force(connection: Connection) -> str:
    return (await queries.effective_activations(connection, 1))[0].version


async def test_activation_after_the_clock_stepped_back_holds_once_the_clock_has_caught_up(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        before = await activated(connection)
        let_the_clock_step_back(database, 6)

        found = await activated(connection, policy_text("v3", 720))

        assert found.effective_from == before.effective_from + timedelta(seconds=6)
        await soon(lambda: connection.fetchval("SELECT now() > $1", found.effective_from))
        assert await in_force(connection) == "v3"


async def test_activation_beside_one_that_is_ahead_takes_effect_now(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection, at=datetime.now(UTC) + timedelta(days=1))

        await activated(connection, policy_text("v3", 720))

        assert await in_force(connection) == "v3"


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_document_that_is_no_policy_is_not_stored(connection: Connection) -> None:
    with pytest.raises(NotAPolicy):
        await life.propose(connection, ASHA, policy_text().replace("{ score = 700 }", "{ score = 700.5 }"))

    assert [each.version for each in await life.every_version(connection)] == ["v1"]


async def test_author_does_not_approve_what_he_proposed(connection: Connection) -> None:
    digest = await proposed(connection)

    sentence = await refusal(life.approve(connection, ASHA, "v2", digest, REPORT))

    assert sentence == "asha is an author of v2: another person must approve it."


async def test_author_of_an_earlier_text_does_not_approve_the_later_one(connection: Connection) -> None:
    await put_by(connection, RAVI, policy_text(minimum=690))
    await put_by(connection, ASHA, policy_text())
    digest = await proposed(connection)

    assert "ravi is an author" in await refusal(life.approve(connection, RAVI, "v2", digest, REPORT))


async def test_version_without_a_backtest_is_not_approved(connection: Connection) -> None:
    stored = await life.propose(connection, ASHA, policy_text())

    assert "no backtest" in await refusal(life.approve(connection, RAVI, "v2", stored.hash, REPORT))


async def test_approval_of_another_document_or_backtest_than_is_there_is_refused(connection: Connection) -> None:
    digest = await proposed(connection)

    assert "another document" in await refusal(life.approve(connection, RAVI, "v2", b"x" * 32, REPORT))
    assert "another backtest" in await refusal(life.approve(connection, RAVI, "v2", digest, b"x" * 32))


async def test_version_that_is_not_approved_is_not_activated(connection: Connection) -> None:
    await proposed(connection)

    assert await refusal(life.activate(connection, RAVI, "v2")) == "v2 is not approved."


async def test_version_that_was_edited_after_its_approval_is_not_activated(connection: Connection) -> None:
    await approved(connection)
    await proposed(connection, policy_text(minimum=701))

    sentence = await refusal(life.activate(connection, RAVI, "v2"))

    assert sentence == "v2 was edited after its approval: it needs another one."


async def test_version_on_another_backtest_than_the_approved_is_not_activated(connection: Connection) -> None:
    await approved(connection)
    await life.record_backtest(connection, ASHA, load(policy_text()), b"x" * 32, COUNTS)

    assert "approved on another backtest" in await refusal(life.activate(connection, RAVI, "v2"))


async def test_version_that_its_approver_edited_is_not_activated(connection: Connection) -> None:
    await approved(connection)
    await put_by(connection, RAVI, policy_text(minimum=701))
    await put_by(connection, ASHA, policy_text())

    assert await refusal(life.activate(connection, ASHA, "v2")) == "v2 is not approved."


async def test_author_does_not_put_into_force_what_another_person_approved(connection: Connection) -> None:
    await approved(connection)

    sentence = await refusal(life.activate(connection, ASHA, "v2"))
    later = await refusal(life.activate(connection, ASHA, "v2", datetime.now(UTC) + timedelta(days=1)))

    said = "asha is an author of v2: an approver or another risk officer must put it into force."
    assert (sentence, later) == (said, said)
    assert [each.version for each in await queries.effective_activations(connection, 10)] == ["v1"]


async def test_author_of_an_earlier_text_does_not_put_the_later_one_into_force(connection: Connection) -> None:
    meera = Actor(ActorKind.PERSON, "meera")
    await put_by(connection, meera, policy_text(minimum=690))
    await put_by(connection, ASHA, policy_text())
    await approved(connection)

    assert "meera is an author of v2" in await refusal(life.activate(connection, meera, "v2"))


async def test_author_does_not_put_a_version_into_force_again_that_was_rolled_back(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await life.rollback(connection, ASHA, "v2")

        assert "asha is an author of v2" in await refusal(life.activate(connection, ASHA, "v2"))


async def test_author_rolls_back_his_own_version_and_to_it(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await activated(connection, policy_text("v3", 720))
        back = await life.rollback(connection, ASHA, "v3")
        first = await life.rollback(connection, ASHA, "v2")

    assert (back.version, first.version) == ("v2", "v1")


async def test_author_goes_back_to_his_own_version_that_is_named(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await activated(connection, policy_text("v3", 720))

        assert (await life.rollback(connection, ASHA, "v3", "v2")).version == "v2"


async def test_author_does_not_return_to_his_own_version_that_was_rolled_back(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await life.rollback(connection, RAVI, "v2")

        why = "asha is an author of v2: an approver or another risk officer must put it into force."
        assert await refusal(life.rollback(connection, ASHA, "v1", "v2")) == why
        assert (await life.rollback(connection, RAVI, "v1", "v2")).version == "v2"


async def test_person_and_user_of_the_machine_of_one_name_are_not_two(connection: Connection) -> None:
    digest = await proposed(connection)
    namesake = Actor(ActorKind.OPERATOR, ASHA.name)

    assert "is an author of v2" in await refusal(life.approve(connection, namesake, "v2", digest, REPORT))


async def test_document_of_another_author_is_not_replaced(connection: Connection) -> None:
    await approved(connection)
    acts = await connection.fetchval("SELECT count(*) FROM acts")

    sentence = await refusal(life.propose(connection, RAVI, policy_text(minimum=701)))

    assert sentence == "v2 was proposed by asha: give your document another version, or have asha propose it again."
    stored = await life.found(connection, "v2")
    assert (stored.document, stored.state, list(stored.authors)) == (policy_text(), VersionState.APPROVED, ["asha"])
    assert await connection.fetchval("SELECT count(*) FROM acts") == acts


async def test_author_replaces_his_own_document(connection: Connection) -> None:
    await approved(connection)

    stored = await life.propose(connection, ASHA, policy_text(minimum=701))

    assert (stored.document, stored.state, list(stored.authors)) == (
        policy_text(minimum=701),
        VersionState.CHECKED,
        ["asha"],
    )


async def test_document_that_several_people_wrote_is_replaced_by_the_last_of_them_alone(connection: Connection) -> None:
    await put_by(connection, RAVI, policy_text(minimum=690))
    await put_by(connection, ASHA, policy_text())

    assert "was proposed by asha" in await refusal(life.propose(connection, RAVI, policy_text(minimum=701)))
    again = await life.propose(connection, ASHA, policy_text(minimum=701))
    assert list(again.authors) == ["ravi", "asha"]


async def test_document_that_was_activated_is_never_changed(connection: Connection) -> None:
    await activated(connection, at=datetime.now(UTC) + timedelta(days=1))

    edited = policy_text(minimum=701)
    assert "give it a new version" in await refusal(life.propose(connection, ASHA, edited))
    report = life.record_backtest(connection, ASHA, load(policy_text()), b"x" * 32, COUNTS)
    assert "stays with it" in await refusal(report)


async def test_backtest_of_an_earlier_text_is_not_recorded(connection: Connection) -> None:
    await life.propose(connection, ASHA, policy_text(minimum=701))

    report = life.record_backtest(connection, ASHA, load(policy_text()), REPORT, COUNTS)
    assert "edited while its backtest ran" in await refusal(report)


async def test_activation_in_the_past_or_of_what_is_in_force_is_refused(connection: Connection) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)

    assert "that time has passed" in await refusal(life.activate(connection, ASHA, "v1", past))
    assert await refusal(life.activate(connection, ASHA, "v1")) == "v1 is in force already."


async def test_version_that_nobody_proposed_is_not_there(connection: Connection) -> None:
    with pytest.raises(NoSuchVersion, match="There is no version v9"):
        await life.activate(connection, ASHA, "v9")


# ── recorded ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_act_is_recorded_with_its_actor(database: Database) -> None:
    async with connected(database.url, "test") as connection:
        await activated(connection)
        await life.rollback(connection, RAVI, "v2")

    acts = database.rows("SELECT actor, action, subject, details FROM acts WHERE subject_kind = 'policy' ORDER BY id")
    assert [(act["actor"], act["action"], act["subject"]) for act in acts] == [
        ("asha", "policy_proposed", "v2"),
        ("asha", "policy_backtested", "v2"),
        ("ravi", "policy_approved", "v2"),
        ("ravi", "policy_activated", "v2"),
        ("ravi", "policy_rolled_back", "v1"),
    ]
    assert acts[2]["details"] == {"hash": load(policy_text()).hash, "backtest": REPORT.hex()}
    assert acts[4]["details"]["left"] == "v2"


async def test_same_document_again_changes_nothing_and_is_no_act(connection: Connection) -> None:
    await approved(connection)
    acts = await connection.fetchval("SELECT count(*) FROM acts")

    again = await life.propose(connection, ASHA, "# a comment\n" + policy_text())

    assert again.state is VersionState.APPROVED
    assert await connection.fetchval("SELECT count(*) FROM acts") == acts
