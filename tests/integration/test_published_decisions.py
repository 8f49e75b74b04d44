"""`ApplicationDecided`: each decision's event, written by the statement that decides."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from harness.database import PASSWORD, Database
from prequal.core.settings import DatabaseSettings, load
from prequal.core.topology import DECIDED_TOPIC, Service
from prequal.domain.application import Status
from prequal.domain.events import EventType
from prequal.domain.policy import packaged
from prequal.domain.times import rfc3339
from prequal.local.logins import as_login
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationDecided
from prequal.messaging.handler import Outcome
from prequal.messaging.outbox import archive_published
from prequal.messaging.report_mac import ReportMac
from prequal.ops.republish import RepublishRequest, republish
from prequal.ops.timeline import trace
from prequal.postgres.connections import connected
from prequal.record.acts import Actor, ActorKind, operator
from prequal.review import cases
from prequal.schema.grants import Role
from tests.support.reviews import LARGE, SMALL, in_review, reported
from tests.support.submissions import stored

ASHA, RAVI = (Actor(ActorKind.PERSON, name) for name in ("asha", "ravi"))
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/asyncapi.json").read_text(encoding="utf-8"))
SCHEMA = {"$ref": "#/components/schemas/ApplicationDecided", "components": DOCUMENT["components"]}


def published(database: Database) -> list[dict[str, Any]]:
    """The rows of decisions in the outbox, each payload as JSON that agrees with the document."""
    rows = database.rows(
        "SELECT event_id, event_type, application_id, payload, correlation_id FROM outbox_events"
        " WHERE topic = %s ORDER BY id",
        DECIDED_TOPIC,
    )
    for row in rows:
        row["payload"] = json.loads(row["payload"])
        jsonschema.validate(row["payload"], SCHEMA, format_checker=jsonschema.FormatChecker())
    return rows


async def decide(database: Database, application_id: UUID, actor: Actor, role: Role = Role.CONSOLE) -> None:
    async with connected(as_login(database.url, role, PASSWORD), "test review") as connection:
        await cases.claim(connection, actor, application_id)
        await cases.decide(connection, actor, application_id, Status.REJECTED, "INCOME_NOT_ENOUGH")


@pytest.mark.parametrize(
    ("amounts", "score", "status", "reason"),
    [
        ({}, 700, "PRE_APPROVED", "INCOME_COVERS_LOAN"),
        ({}, 640, "REJECTED", "SCORE_BELOW_MINIMUM"),
        (SMALL, 700, "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
    ],
)
async def test_decision_of_the_policy_is_put_into_the_outbox_with_it(
    database: Database, amounts: dict[str, Any], score: int, status: str, reason: str
) -> None:
    (submission,) = stored(database, **amounts)

    await reported(database, [submission], score, publish=True)

    (row,) = published(database)
    expected = event_id(EventType.APPLICATION_DECIDED, submission.id, 2)
    assert (row["event_id"], row["event_type"]) == (expected, "ApplicationDecided")
    assert (row["application_id"], row["correlation_id"]) == (submission.id, "request-1")
    assert row["payload"] == {
        "event_id": str(expected),
        "application_id": str(submission.id),
        "client": "local",
        "version": 2,
        "status": status,
        "policy": {"version": "v1", "hash": packaged.current().hash},
        "reasons": [{"code": reason}],
        "review": None,
        "monthly_income_inr": submission.monthly_income_inr,
        "loan_amount_inr": submission.loan_amount_inr,
        "loan_type": "HOME",
        "decided_at": rfc3339(database.application(submission.id)["updated_at"]),
        "message_version": "v1",
    }
    assert ApplicationDecided.decode(json.dumps(row["payload"]).encode()).event_id == expected


async def test_decision_is_not_published_unless_that_is_switched_on(database: Database) -> None:
    application_id = await in_review(database)
    await decide(database, application_id, ASHA)

    assert database.count("outbox_events") == 0


async def test_report_that_comes_again_publishes_nothing_again(database: Database) -> None:
    submissions = stored(database, 3, **SMALL)
    await reported(database, submissions, publish=True)

    again = await reported(database, submissions, publish=True)
    database.execute("DELETE FROM processed_messages")
    forgotten = await reported(database, submissions, publish=True)

    assert again == forgotten == [Outcome.DUPLICATE] * 3
    assert [row["application_id"] for row in published(database)] == sorted(each.id for each in submissions)


async def test_forged_or_contradicting_report_publishes_nothing(database: Database) -> None:
    (submission,) = stored(database)

    forged = await reported(database, [submission], publish=True, mac=ReportMac(bytes(32)))
    other = await reported(database, [submission.but(loan_amount_inr="1.00")], publish=True)

    assert ([each.kind for each in forged], [each.kind for each in other]) == (
        ["invalid_report_mac"],
        ["contradicts_application"],
    )
    assert published(database) == []


@pytest.mark.parametrize("role", [Role.CONSOLE, Role.OPERATOR])
async def test_decision_of_a_person_is_a_second_event_with_an_id_of_its_own(database: Database, role: Role) -> None:
    application_id = await in_review(database, publish=True)

    await decide(database, application_id, ASHA, role)
    await reported(database, [], publish=True)

    machine, person = published(database)
    assert machine["event_id"] == event_id(EventType.APPLICATION_DECIDED, application_id, 2)
    assert person["event_id"] == event_id(EventType.APPLICATION_DECIDED, application_id, 3)
    assert person["payload"] == machine["payload"] | {
        "event_id": str(person["event_id"]),
        "version": 3,
        "status": "REJECTED",
        "review": {"outcome": "REJECTED", "reason": "INCOME_NOT_ENOUGH"},
        "decided_at": rfc3339(database.application(application_id)["updated_at"]),
    }


async def test_first_of_two_votes_publishes_nothing(database: Database) -> None:
    application_id = await in_review(database, LARGE, publish=True)

    await decide(database, application_id, ASHA)
    after_one = published(database)
    await decide(database, application_id, RAVI)

    assert [row["payload"]["version"] for row in after_one] == [2]
    assert [row["payload"]["version"] for row in published(database)] == [2, 3]


async def test_decision_of_a_client_names_the_client_and_nobody_else(database: Database) -> None:
    (submission,) = stored(database)
    database.execute("UPDATE applications SET client = %s, applicant_name = 'Meena Iyer'", 'ab"12\\')

    await reported(database, [submission], publish=True)

    (row,) = published(database)
    text = json.dumps(row["payload"])
    assert row["payload"]["client"] == 'ab"12\\'
    assert not [secret for secret in (submission.pan, submission.pan_number_hash, "Meena") if secret in text]


def test_decisions_are_archived_and_republished_by_their_topic(database: Database) -> None:
    application_id = asyncio.run(in_review(database, publish=True))
    asyncio.run(decide(database, application_id, ASHA))
    before = published(database)
    asyncio.run(archive(database))

    republished = republish(database.url, operator(), RepublishRequest(topic=DECIDED_TOPIC))

    assert republished == len(before) == 2
    assert published(database) == before
    steps = [step.what for step in trace(load(DatabaseSettings, database_url=database.url), None, application_id).steps]
    assert len([what for what in steps if "ApplicationDecided" in what]) == 2


async def archive(database: Database) -> None:
    """Move what waits into the archive, as the publisher does when the broker has acknowledged it."""
    rows = [row["id"] for row in database.rows("SELECT id FROM outbox_events ORDER BY id")]
    async with connected(as_login(database.url, Role.PUBLISHER, PASSWORD), "test publisher") as connection:
        assert await archive_published(connection, DECIDED_TOPIC, rows, Service.PUBLISHER) == len(rows)
