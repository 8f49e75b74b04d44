"""The first client of the API that `prequal up` makes where there is none."""

from typing import Any

import pytest

from harness.database import Database
from harness.system import PAN_HASH_KEY
from prequal.api_clients import administration, tokens
from prequal.core.errors import Transient
from prequal.domain.api_client import ClientScope
from prequal.local.first_client import NAME, FirstClient
from prequal.record.acts import operator
from tests.support.submissions import HASHER

LIVING = "SELECT secret_hmac FROM api_client_secrets WHERE expires_at IS NULL OR expires_at > now()"


def living(database: Database) -> list[bytes]:
    return [bytes(row["secret_hmac"]) for row in database.rows(LIVING)]


def first_client(database: Database) -> FirstClient:
    return FirstClient(database.url, PAN_HASH_KEY, sandbox=False)


def in_doubt(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the next call of this function of the administration commit, and its answer be lost."""
    working = getattr(administration, name)
    answered: list[Any] = []

    def call(*values: Any, **named: Any) -> Any:
        done = working(*values, **named)
        if not answered:
            answered.append(done)
            raise Transient("PostgreSQL failed")
        return done

    monkeypatch.setattr(administration, name, call)


def away(*_: Any, **__: Any) -> None:
    raise Transient("PostgreSQL cannot be reached")


def test_first_client_is_made_once(database: Database) -> None:
    token = first_client(database).token()

    assert token is not None
    assert living(database) == [tokens.fingerprint(HASHER, token.encode())]
    assert first_client(database).token() is None


def test_client_whose_token_was_lost_with_the_answer_gets_another_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = first_client(database)
    in_doubt(monkeypatch, "add")
    in_doubt(monkeypatch, "rotate")

    for _ in range(2):
        with pytest.raises(Transient):
            made.token()
    token = made.token()

    assert token is not None
    assert living(database) == [tokens.fingerprint(HASHER, token.encode())]
    assert database.rows("SELECT name FROM api_clients") == [{"name": NAME}]


@pytest.mark.parametrize("others", [["an app"], [NAME, "an app"]])
def test_client_of_others_that_came_between_two_tries_is_left_alone(
    others: list[str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = first_client(database)
    with monkeypatch.context() as patch:
        patch.setattr(administration, "add", away)
        with pytest.raises(Transient):
            made.token()
    for name in others:
        administration.add(database.url, HASHER, operator(), name, list(ClientScope), sandbox=False)
    before = living(database)

    assert made.token() is None
    assert living(database) == before
