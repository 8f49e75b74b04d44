"""Tokens of an issuer in place of our own: which are taken, which refused, and what happens when its keys change."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from harness.applications import an_application
from harness.database import Cluster, Database
from harness.waiting import soon
from prequal.api_clients import administration
from prequal.domain.api_client import ClientScope
from prequal.issuers import keys as issuer_keys
from prequal.local.kafka import Kafka
from prequal.record.acts import operator
from tests.support.api import api_within, assert_error, assert_unavailable, ready
from tests.support.api_clients import a_client, an_issuers_client, bearer
from tests.support.issuer import AUDIENCE, Issuer, RegisteredClient, a_signing_key, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATUS = "/applications/01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44/status"
"""Of an application that is not there: 404 to who may read, and nothing is written."""
INVALID = 'Bearer realm="prequal", error="invalid_token"'


@dataclass
class Trusting:
    """An API that takes tokens of an issuer, and the clients that its database knows."""

    http: httpx.AsyncClient
    database: Database
    issuer: Issuer
    app: str

    async def ask(self, token: str) -> httpx.Response:
        return await self.http.get(STATUS, headers=bearer(token))


@asynccontextmanager
async def _trusting(cluster: Cluster, kafka: Kafka) -> AsyncIterator[Trusting]:
    with Issuer.running() as issuer, cluster.database() as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr("prequal.core.refused_attempts.ATTEMPTS_MAX", 1000)
        patch.setattr(issuer_keys, "SPARED_SECONDS", 0.5)
        issuer.keys += [a_signing_key("EC", "EC"), a_signing_key("OKP", "OKP")]
        app = await asyncio.to_thread(_clients, database, issuer.url)
        asking: dict[str, Any] = {
            "api_authentication": "keys",
            "api_jwt_issuer": issuer.url,
            "api_jwt_audience": AUDIENCE,
        }
        async with api_within(database.url, kafka.bootstrap_servers, **asking) as http:
            await ready(http)
            found = Trusting(http, database, issuer, app)
            await soon(lambda: _answers(found, issuer.signed(), 404))
            yield found


def _clients(database: Database, issuer: str) -> str:
    """Clients of every kind; the id of the one that may do all."""
    app = an_issuers_client(database, issuer, "app")
    an_issuers_client(database, issuer, "reader", (ClientScope.READ,))
    an_issuers_client(database, issuer, "sandbox", sandbox=True)
    an_issuers_client(database, issuer, "revoked")
    administration.revoke(database.url, operator(), "revoked", None)
    an_issuers_client(database, "https://other.example", "elsewhere")
    return app


async def _answers(trusting: Trusting, token: str, status: int) -> bool:
    return (await trusting.ask(token)).status_code == status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trusting(cluster: Cluster, kafka: Kafka) -> AsyncIterator[Trusting]:
    """One for all tests that leave its issuer as it is."""
    async with _trusting(cluster, kafka) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def changing(cluster: Cluster, kafka: Kafka) -> AsyncIterator[Trusting]:
    """One for a test that changes its issuer."""
    async with _trusting(cluster, kafka) as found:
        yield found


# ── taken ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_client_with_a_token_of_its_issuer_posts_and_reads_as_itself(trusting: Trusting) -> None:
    token = trusting.issuer.token("app")

    accepted = await trusting.http.post("/applications", json=an_application(), headers=bearer(token))
    read = await trusting.http.get(accepted.headers["location"], headers=bearer(token))

    assert (accepted.status_code, read.status_code) == (202, 200)
    application_id = accepted.json()["application_id"]
    assert trusting.database.value("SELECT client FROM applications WHERE id = %s", application_id) == trusting.app
    record = trusting.database.row("SELECT action, client FROM audit_log WHERE application_id = %s", application_id)
    assert record == {"action": "WRITE", "client": trusting.app}


async def test_secret_of_ours_is_taken_beside_it(trusting: Trusting) -> None:
    ours = (await asyncio.to_thread(a_client, trusting.database, "with a secret")).token

    await soon(lambda: _answers(trusting, ours, 404))


@pytest.mark.parametrize(
    "said",
    [
        {"scope": "applications:read something-else"},
        {"scope": None, "scp": ["applications:read"]},
        {"scope": None, "scp": "applications:read"},
        {"aud": ["another", AUDIENCE]},
        lambda now: {"exp": now - 5},
        lambda now: {"nbf": now + 5},
        lambda now: {"iat": now + 0.5},
    ],
    ids=["scope", "scp list", "scp words", "audiences", "expired by less than the leeway", "nbf", "fraction"],
)
async def test_claims_that_issuers_write_differently_are_taken(trusting: Trusting, said: Any) -> None:
    claims = said(int(time.time())) if callable(said) else said

    response = await trusting.ask(trusting.issuer.signed(**claims))

    assert_error(response, 404, "APPLICATION_NOT_FOUND", STATUS)


@pytest.mark.parametrize(
    ("key", "algorithm"), [("first", "RS256"), ("first", "PS256"), ("EC", "ES256"), ("OKP", "EdDSA")]
)
async def test_algorithm_on_the_list_is_taken(trusting: Trusting, key: str, algorithm: str) -> None:
    (signing,) = [each for each in trusting.issuer.keys if each.kid == key]

    response = await trusting.ask(trusting.issuer.signed(signing, header={"alg": algorithm, "kid": key}))

    assert response.status_code == 404


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────────

NOW = int(time.time())
REFUSED: dict[str, Callable[[Issuer], str]] = {
    "another audience": lambda issuer: issuer.signed(aud="https://other.example"),
    "no audience": lambda issuer: issuer.signed(aud=None),
    "another issuer": lambda issuer: issuer.signed(iss="https://other.example"),
    "another issuer's subject": lambda issuer: issuer.signed(client_id="elsewhere"),
    "a prefix of the issuer": lambda issuer: issuer.signed(iss=issuer.url[:-1]),
    "no issuer": lambda issuer: issuer.signed(iss=None),
    "another key under the same id": lambda issuer: issuer.signed(a_signing_key("first")),
    "no signature": lambda issuer: issuer.signed(header={"alg": "none"}),
    "a signature cut off": lambda issuer: issuer.signed().rpartition(".")[0] + ".",
    "the public key as a shared secret": lambda issuer: issuer.signed_by_its_public_key(),
    "an algorithm that is not on the list": lambda issuer: issuer.signed(header={"alg": "RS512"}),
    "an algorithm of another kind of key": lambda issuer: issuer.signed(
        a_signing_key("first", "EC"), header={"alg": "ES256"}
    ),
    "no id of a key": lambda issuer: issuer.signed(header={"kid": None}),
    "a critical header that nobody knows": lambda issuer: issuer.signed(header={"crit": ["new"], "new": 1}),
    "expired": lambda issuer: issuer.signed(exp=NOW - 3600),
    "no end": lambda issuer: issuer.signed(exp=None),
    "an end that is no time": lambda issuer: issuer.signed(exp="tomorrow"),
    "an end that never comes": lambda issuer: issuer.signed(exp=float("inf")),
    "an end that is true": lambda issuer: issuer.signed(exp=True),
    "no beginning": lambda issuer: issuer.signed(iat=None),
    "not yet valid": lambda issuer: issuer.signed(nbf=NOW + 3600),
    "issued in the future": lambda issuer: issuer.signed(iat=NOW + 3600),
    "an unknown client": lambda issuer: issuer.signed(client_id="nobody"),
    "no client": lambda issuer: issuer.signed(client_id=None),
    "a client that is a list": lambda issuer: issuer.signed(client_id=["app"]),
    "the client in another claim": lambda issuer: issuer.signed(client_id="nobody", azp="app"),
    "a revoked client": lambda issuer: issuer.token("revoked"),
    "no JSON": lambda _: "e30.e30.e30",
    "a list": lambda issuer: signed({"alg": "RS256", "kid": "first"}, issuer.keys[0], []),
    "nothing": lambda _: "..",
    "no ASCII": lambda issuer: issuer.signed() + "é",
}


@pytest.mark.parametrize("which", REFUSED)
async def test_token_that_is_not_taken_is_401_in_the_same_words(trusting: Trusting, which: str) -> None:
    token = REFUSED[which](trusting.issuer)

    response = await trusting.http.get(STATUS, headers=[(b"Authorization", f"Bearer {token}".encode())])

    body = assert_error(response, 401, "UNAUTHENTICATED", STATUS)
    assert body["message"].startswith("Send a token of a client: Authorization: Bearer")
    assert response.headers["www-authenticate"] == INVALID


async def test_token_that_is_sent_twice_is_401(trusting: Trusting) -> None:
    given = list(bearer(trusting.issuer.signed()).items())

    response = await trusting.http.get(STATUS, headers=given * 2)

    assert response.headers["www-authenticate"] == INVALID


@pytest.mark.parametrize(
    ("client", "scope"), [("app", "applications:read"), ("reader", "applications:read applications:write")]
)
async def test_scope_that_the_token_or_the_client_lacks_is_403(trusting: Trusting, client: str, scope: str) -> None:
    token = trusting.issuer.signed(client_id=client, scope=scope)

    response = await trusting.http.post("/applications", json=an_application(), headers=bearer(token))

    assert_error(response, 403, "FORBIDDEN")
    assert response.headers["www-authenticate"].endswith('error="insufficient_scope", scope="applications:write"')


async def test_scope_that_the_issuer_does_not_give_is_403(trusting: Trusting) -> None:
    trusting.issuer.clients["reader"] = RegisteredClient("reader", "applications:read")

    response = await trusting.http.post("/applications", headers=bearer(trusting.issuer.token("reader")))

    assert_error(response, 403, "FORBIDDEN")


async def test_sandbox_client_of_an_issuer_is_refused_where_there_is_no_sandbox(trusting: Trusting) -> None:
    assert_error(await trusting.ask(trusting.issuer.token("sandbox")), 403, "FORBIDDEN", STATUS)


async def test_eleventh_wrong_token_of_an_address_within_a_minute_is_429(
    trusting: Trusting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.core.refused_attempts.ATTEMPTS_MAX", 0)

    wrong, right = await trusting.ask(trusting.issuer.signed(aud="x")), await trusting.ask(trusting.issuer.signed())

    assert_error(wrong, 429, "RATE_LIMITED", STATUS)
    assert right.status_code == 404


# ── what changes while it runs ──────────────────────────────────────────────────────────────────────────────────


async def test_revoked_client_is_refused_within_5_seconds_though_its_token_lives(trusting: Trusting) -> None:
    token = trusting.issuer.token("leaving")
    await asyncio.to_thread(an_issuers_client, trusting.database, trusting.issuer.url, "leaving")
    await soon(lambda: _answers(trusting, token, 404), within=5)

    await asyncio.to_thread(administration.revoke, trusting.database.url, operator(), "leaving", None)

    await soon(lambda: _answers(trusting, token, 401), within=5)


async def test_new_key_is_fetched_once_it_is_named_and_the_old_one_serves_no_more(changing: Trusting) -> None:
    old = changing.issuer.signed()
    changing.issuer.rotate("second")
    new = changing.issuer.signed()
    seen = set()

    async def is_taken() -> bool:
        seen.add((await changing.ask(new)).status_code)
        return 404 in seen

    await soon(is_taken)

    assert seen <= {401, 503, 404}
    await soon(lambda: _answers(changing, old, 401), within=5)


async def test_while_the_issuer_is_away_its_last_keys_serve_on_and_an_unknown_key_is_503(
    changing: Trusting,
) -> None:
    changing.issuer.is_away = True
    strange = changing.issuer.signed(a_signing_key("strange"), header={"kid": "strange"})

    await soon(lambda: _answers(changing, strange, 503))

    refused = await changing.ask(strange)
    assert_unavailable(refused, STATUS)
    assert (await changing.ask(changing.issuer.signed())).status_code == 404
    changing.issuer.is_away = False
    await soon(lambda: _answers(changing, strange, 401))


async def test_unknown_keys_make_the_issuer_asked_seldom(trusting: Trusting) -> None:
    before, began = trusting.issuer.asked, time.monotonic()

    for number in range(50):
        await trusting.ask(
            trusting.issuer.signed(a_signing_key("x", "EC"), header={"alg": "ES256", "kid": f"k{number}"})
        )

    spared = issuer_keys.SPARED_SECONDS
    assert trusting.issuer.asked - before <= (time.monotonic() - began) / spared + 1
