"""A database and topics with something of everything that the console shows."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import pyotp
import pytest
from argon2 import PasswordHasher

from harness import policies
from harness.broker import SUBMITTED_DLQ, Broker, Headers, RawMessage
from harness.database import Database
from prequal.api_clients import administration as clients
from prequal.domain.api_client import ClientScope
from prequal.domain.person import PersonRole
from prequal.domain.policy.loading import load
from prequal.issuers.identity import Identity
from prequal.people import administration, passwords
from prequal.people.administration import NewSecrets
from prequal.people.second_factor_keys import SecondFactorKeys
from prequal.policy_versions import life
from prequal.postgres.connections import Connection, connected
from prequal.record.acts import Actor, ActorKind, operator
from prequal.review import cases
from tests.builders import a_key
from tests.support.reviews import LARGE, SMALL, in_review, reported
from tests.support.sign_in_issuer import SUBJECT
from tests.support.submissions import HASHER, a_submission, store

PASSWORD = "a password of the tests"
REPORT = """
    {"applications": 1240, "flips": 37, "pending": 4, "newest_application": "01a22239-0178-7000-8000-000000000000",
     "replayed": {"otherwise_than_stored": 2, "of_unknown_versions": 0},
     "outcomes": [
        {"before": "PRE_APPROVED", "after": "MANUAL_REVIEW", "applications": 25, "loan_amount_inr": "31250000.00"},
        {"before": "MANUAL_REVIEW", "after": "REJECTED", "applications": 12, "loan_amount_inr": "9480000.50"}
     ],
     "by_reason": [
        {"before": "INCOME_COVERS_LOAN", "after": "INCOME_DOES_NOT_COVER_LOAN", "applications": 25,
         "loan_amount_inr": "31250000.00"},
        {"before": "INCOME_DOES_NOT_COVER_LOAN", "after": "SCORE_BELOW_MINIMUM", "applications": 12,
         "loan_amount_inr": "9480000.50"}
     ]}
"""
"""What is stored of a backtest."""
HEADERS: Headers = [
    ("dlq.error_kind", b"malformed_json"),
    ("dlq.error_message", b"The payload is no JSON object: line 1, column 24."),
    ("dlq.source_topic", b"loan_applications_submitted"),
]
TYPES = ("HOME", "PERSONAL", "AUTO", "HOME", "HOME", "PERSONAL")
AMOUNTS = ("1500000.00", "300000.00", "850000.00", "12500000.00", "4800000.00", "95000.00")
SCORES = (742, 512, 688, 805, None, 655)

T = TypeVar("T")


@dataclass(frozen=True)
class Filled:
    """What there is to be looked at."""

    totp_secrets: dict[str, str]
    application: UUID
    case: UUID
    claimed_case: UUID
    dead_letter: str


def everything(database: Database, broker: Broker) -> Filled:
    """Fill an empty database, and the topic of dead letters."""
    broker.renew()
    payloads = (b'{"pan_number": "ABCDE1234F", "loan', b"{", b"\x00\x01\xfe binary")
    broker.publish(SUBMITTED_DLQ, [RawMessage(payload, b"a key", HEADERS, 0) for payload in payloads])
    secrets = people(database)
    clients.add(database.url, HASHER, operator(), "Sahyadri Home Finance", list(ClientScope), sandbox=False)
    clients.add(database.url, HASHER, operator(), "Konkan Autos", list(ClientScope), sandbox=True)
    case, claimed = (at_once(in_review(database, amounts)) for amounts in (SMALL, LARGE))
    at_once(_claimed(database, claimed))
    at_once(_proposed(database))
    return Filled(secrets, _applications(database), case, claimed, f"{SUBMITTED_DLQ}:0:0")


def people(database: Database) -> dict[str, str]:
    """Add a person of each role, named like it; the secrets of their second factors."""
    secrets = {role.value: pyotp.random_base32() for role in PersonRole}
    at_once(_people(database, {role.value: role for role in PersonRole}, secrets))
    return secrets


def reviewer(database: Database, name: str) -> str:
    """Add one more reviewer; the secret of the second factor."""
    secret = pyotp.random_base32()
    at_once(_people(database, {name: PersonRole.REVIEWER}, {name: secret}))
    return secret


async def tie_auditor(database: Database, issuer: str) -> None:
    """Let the auditor sign in by the tests' issuer."""
    async with connected(database.url, "test") as connection:
        await administration.set_identity(connection, operator(), PersonRole.AUDITOR, Identity.of(issuer, SUBJECT))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run something of asyncio beside Playwright, whose loop holds this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def new_case(database: Database, amounts: dict[str, Any] = SMALL) -> UUID:
    """A case that no other test knows."""
    return at_once(in_review(database, amounts))


def backtested(database: Database, version: str) -> None:
    """Record a backtest of a version that was proposed, as the command line does."""

    async def record(connection: Connection) -> None:
        document = load(policies.policy_text(version))
        await life.record_backtest(connection, operator(), document, policies.REPORT, REPORT)

    at_once(_transacted(database, record))


def _applications(database: Database) -> UUID:
    """Applications of each kind, two of them without a decision; one that is decided."""
    kinds = zip(TYPES, AMOUNTS, SCORES, strict=True)
    found = [(a_submission(loan_type=kind, loan_amount_inr=amount), score) for kind, amount, score in kinds]
    waiting = [a_submission(), a_submission(loan_type="AUTO", loan_amount_inr="640000.00")]
    store(database, [submission for submission, _ in found] + waiting)
    for submission, score in found:
        at_once(reported(database, [submission], score))
    return found[1][0].id


async def _people(database: Database, roles: dict[str, PersonRole], secrets: dict[str, str]) -> None:
    """People with their role and second factor, by name; their hashes are cheap."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        async with connected(database.url, "test") as connection:
            for name, role in roles.items():
                new = NewSecrets(PASSWORD, secrets[name], SecondFactorKeys(a_key(21)))
                await administration.add(connection, operator(), name, [role], new)


async def _claimed(database: Database, case: UUID) -> None:
    reviewer = Actor(ActorKind.PERSON, PersonRole.REVIEWER)
    async with connected(database.url, "test") as connection:
        await cases.claim(connection, reviewer, case, 120)
        await cases.note(connection, reviewer, case, "Salary slips of three months are there; the bonus is not.")


async def _proposed(database: Database) -> None:
    async def propose(connection: Connection) -> None:
        await life.propose(connection, policies.ASHA, policies.policy_text("v2"))
        document = load(policies.policy_text("v2"))
        await life.record_backtest(connection, policies.ASHA, document, policies.REPORT, REPORT)

    await _transacted(database, propose)


async def _transacted(database: Database, work: Any) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await work(connection)
