"""Who is recognised by what is known, and how many wrong tokens an address may send; without a database."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.waiting import soon
from prequal.api.app import CLIENTS_NAMED_MAX, ClientRequests
from prequal.api.authentication import KeyAuthentication, NoAuthentication
from prequal.api.errors import ApiError
from prequal.api.known_clients import Caller, KnownClients, KnownSecret
from prequal.api_clients.tokens import fingerprint, new_token
from prequal.domain.api_client import LOCAL, ClientScope
from prequal.security.pan_encryption import PanHasher
from prequal.telemetry import metrics
from tests.builders import a_key

HASHER = PanHasher(a_key(2))
CLIENT = "k7m2xq9z"
TOKEN = new_token(CLIENT)
NOW = 1_000_000.0


class Known(KnownClients):
    """Clients as they were read once, at a time of the test's choice."""

    def __init__(self, *secrets: KnownSecret) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # nothing is read
        self.time = NOW
        self._secrets = {CLIENT: list(secrets)}

    def now(self) -> float:
        return self.time


def a_secret(
    token: str = TOKEN, not_before: float = 0.0, expires_at: float = float("inf"), *, sandbox: bool = False
) -> KnownSecret:
    caller = Caller(CLIENT, frozenset(ClientScope), sandbox, None)
    return KnownSecret(caller, 1, fingerprint(HASHER, token.encode()), not_before, expires_at)


def a_request(*authorization: str, address: str | None = "192.0.2.7") -> dict[str, Any]:
    headers = [(b"host", b"api"), *((b"authorization", each.encode()) for each in authorization)]
    return {"headers": headers, "client": address and (address, 4711)}


def refusal(authentication: KeyAuthentication, request: dict[str, Any], needed: ClientScope = ClientScope.WRITE) -> str:
    with pytest.raises(ApiError) as refused:
        authentication.caller_of(request, needed)
    return refused.value.code.name


def test_right_token_is_its_clients_every_time() -> None:
    authentication = KeyAuthentication(Known(a_secret()), HASHER, sandbox=False)
    request = a_request(f"Bearer {TOKEN}")

    callers = [authentication.caller_of(request, ClientScope.WRITE) for _ in range(3)]

    assert {caller.client for caller in callers} == {request["api_client"]} == {CLIENT}


@pytest.mark.parametrize(
    ("life", "time", "is_taken"),
    [
        ((NOW, NOW + 10), NOW - 0.001, False),
        ((NOW, NOW + 10), NOW, True),
        ((NOW, NOW + 10), NOW + 9.999, True),
        ((NOW, NOW + 10), NOW + 10, False),
    ],
)
def test_secret_lives_from_its_beginning_to_its_expiry_by_the_databases_clock(
    life: tuple[float, float], time: float, is_taken: bool
) -> None:
    known = Known(a_secret(TOKEN, *life))
    authentication = KeyAuthentication(known, HASHER, sandbox=False)
    known.time = NOW + 5
    authentication.caller_of(a_request(f"Bearer {TOKEN}"), ClientScope.WRITE)  # recognised from now on without its HMAC

    known.time = time

    if is_taken:
        assert authentication.caller_of(a_request(f"Bearer {TOKEN}"), ClientScope.WRITE).client == CLIENT
    else:
        assert refusal(authentication, a_request(f"Bearer {TOKEN}")) == "UNAUTHENTICATED"


def test_secret_is_remembered_once_however_its_header_is_written() -> None:
    known = Known(a_secret())
    authentication = KeyAuthentication(known, HASHER, sandbox=False)

    for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}", *(f"BEARER {' ' * n}{TOKEN}{' ' * n}" for n in range(50))):
        assert authentication.caller_of(a_request(header), ClientScope.READ).client == CLIENT

    assert len(known.verified) == 1


def test_both_secrets_of_a_client_are_taken() -> None:
    second = new_token(CLIENT)
    authentication = KeyAuthentication(Known(a_secret(), a_secret(second)), HASHER, sandbox=False)

    for token in (TOKEN, second, TOKEN):
        assert authentication.caller_of(a_request(f"Bearer {token}"), ClientScope.READ).client == CLIENT


def test_sandbox_client_is_let_in_where_the_sandbox_is_alone() -> None:
    known = Known(a_secret(sandbox=True))

    assert (
        KeyAuthentication(known, HASHER, sandbox=True).caller_of(a_request(f"Bearer {TOKEN}"), ClientScope.READ).sandbox
    )
    assert refusal(KeyAuthentication(known, HASHER, sandbox=False), a_request(f"Bearer {TOKEN}")) == "FORBIDDEN"


def test_token_of_another_hash_key_is_not_taken() -> None:
    authentication = KeyAuthentication(Known(a_secret()), PanHasher(a_key(3)), sandbox=False)

    assert refusal(authentication, a_request(f"Bearer {TOKEN}")) == "UNAUTHENTICATED"


@pytest.mark.parametrize("hasher", [PanHasher(a_key(3), [a_key(2)]), PanHasher(a_key(2), [a_key(3)])])
def test_token_of_a_hash_key_that_rotates_is_taken(hasher: PanHasher) -> None:
    authentication = KeyAuthentication(Known(a_secret()), hasher, sandbox=False)

    caller = authentication.caller_of(a_request(f"Bearer {TOKEN}"), ClientScope.READ)

    assert caller.client == a_secret().caller.client
    assert refusal(authentication, a_request(f"Bearer {TOKEN[:-1]}x")) == "UNAUTHENTICATED"


def test_caller_is_the_local_client_where_no_token_is_needed() -> None:
    request = a_request("Bearer anything", "twice")

    assert NoAuthentication().caller_of(request, ClientScope.WRITE).client == LOCAL == request["api_client"]


async def test_reading_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        uses = 0

        def use(self, _: str) -> Any:
            self.uses += 1
            raise TimeoutError

    monkeypatch.setattr("prequal.api.known_clients.REFRESH_SECONDS", 0.001)
    known, stop, pool = Known(a_secret()), asyncio.Event(), Away()
    known._read_pool = pool  # type: ignore[assignment]
    reading = asyncio.create_task(known.run(stop))

    await soon(lambda: pool.uses >= 3)

    stop.set()
    await reading
    assert known.secrets_of(CLIENT)


# ── wrong tokens ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        (None, None, True),
        ("no:address", "no:address", True),
    ],
)
def test_caller_is_known_by_a_network_that_he_cannot_leave_at_will(
    first: str | None, second: str | None, is_same: bool
) -> None:
    authentication = KeyAuthentication(Known(), HASHER, sandbox=False)
    for _ in range(10):
        assert refusal(authentication, a_request("Bearer x", address=first)) == "UNAUTHENTICATED"

    then = refusal(authentication, a_request("Bearer x", address=second))

    assert then == ("RATE_LIMITED" if is_same else "UNAUTHENTICATED")


def test_request_without_a_token_is_no_wrong_one() -> None:
    authentication = KeyAuthentication(Known(), HASHER, sandbox=False)

    assert {refusal(authentication, a_request()) for _ in range(20)} == {"UNAUTHENTICATED"}


# ── counting ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_hundred_clients_have_series_of_their_own() -> None:
    requests = ClientRequests()
    names: Callable[[], set[str]] = lambda: {  # noqa: E731
        sample.labels["client"] for family in metrics.CLIENT_REQUESTS.collect() for sample in family.samples
    }
    before = names()

    for number in range(CLIENTS_NAMED_MAX + 5):
        requests.count(f"client-{number}", 202)

    assert len(names() - before) == CLIENTS_NAMED_MAX + 1
    assert "other" in names()
