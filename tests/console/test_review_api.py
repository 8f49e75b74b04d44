"""Review over the JSON API: an act on a case that another person has, or that one has no more, is a 409."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from harness.database import Database
from prequal.console.api.app import PREFIX
from prequal.domain.person import PersonRole
from tests.support.console import code_of
from tests.support.reviews import LARGE, SMALL, in_review

Person = Callable[..., Any]
CLAIM = {"minutes": 45}
ACTS = {
    "claim": CLAIM,
    "decision": {"outcome": "PRE_APPROVED", "reason": "INCOME_CONFIRMED"},
    "second-look": {"text": "Is this income regular?"},
}


@pytest.fixture
async def second_reviewer(person: Person, second_reviewers_name: str) -> Any:
    return await person(second_reviewers_name)


def state_of(database: Database, case: UUID) -> tuple[Any, ...]:
    """The application's status, its case, and how many notes, votes and acts there are."""
    (row,) = database.rows("SELECT state, people_needed, version, claimed_by FROM review_cases")
    counts = [database.count(table) for table in ("review_notes", "review_votes", "acts")]
    return database.value("SELECT status FROM applications WHERE id = %s", case), *row.values(), *counts


@pytest.mark.parametrize("amounts", [SMALL, LARGE], ids=["one person", "two people"])
@pytest.mark.parametrize("act", ["decision", "second-look"])
async def test_act_after_the_lease_is_a_conflict_and_changes_nothing(
    act: str, amounts: dict[str, Any], person: Person, database: Database
) -> None:
    case, client = await in_review(database, amounts), await person(PersonRole.REVIEWER)
    path = f"{PREFIX}/review/cases/{case}"
    assert (await client.post(f"{path}/claim", json=CLAIM)).status_code == 200
    database.execute("UPDATE review_cases SET lease_until = clock_timestamp()")
    before = state_of(database, case)

    refused = await client.post(f"{path}/{act}", json=ACTS[act])

    assert code_of(refused, 409) == "CONFLICT"
    assert refused.json()["message"] == "Your claim of the case has ended: claim it again."
    assert (state_of(database, case), before[0]) == (before, "MANUAL_REVIEW")


@pytest.mark.parametrize("act", ACTS)
async def test_act_on_a_case_that_another_person_has_is_a_conflict_that_says_who_and_until_when(
    act: str, person: Person, second_reviewer: Any, database: Database
) -> None:
    case, client = await in_review(database), await person(PersonRole.REVIEWER)
    path = f"{PREFIX}/review/cases/{case}"
    claimed = (await second_reviewer.post(f"{path}/claim", json=CLAIM)).json()
    before = state_of(database, case)

    refused = await client.post(f"{path}/{act}", json=ACTS[act])

    assert code_of(refused, 409) == "CONFLICT"
    assert f": meena, until {claimed['lease_until']}." in refused.json()["message"]
    assert (state_of(database, case), before[0]) == (before, "MANUAL_REVIEW")
