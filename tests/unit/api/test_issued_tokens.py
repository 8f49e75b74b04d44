"""How long a token of an issuer is accepted without another look at its signature; without a database or an issuer."""

from typing import Any

import pytest

from prequal.api import issued_tokens
from prequal.api.authentication import KeyAuthentication
from prequal.api.issued_tokens import IssuedTokens
from prequal.api.known_clients import Caller
from prequal.core.settings.issuer import ApiIssuerSettings
from prequal.domain.api_client import ClientScope
from prequal.issuers.keys import SigningKeys
from prequal.issuers.tokens import LEEWAY_SECONDS, Verified, verified
from tests.support.issuer import AUDIENCE, Issuer, Key, a_signing_key
from tests.unit.api.test_authentication import CLIENT, HASHER, NOW, Known, a_request, refusal

ISSUER = Issuer("https://issuer.example", [a_signing_key("first")])
SETTINGS = ApiIssuerSettings.model_validate({"api_jwt_issuer": ISSUER.url, "api_jwt_audience": AUDIENCE})


class Taken(KeyAuthentication):
    """An authentication that knows the client `app` of the issuer, and its keys."""

    def __init__(self, known: Known) -> None:
        known._subjects = {"app": Caller(CLIENT, frozenset(ClientScope), False, None)}
        self.keys = SigningKeys(ISSUER.url)
        self.tokens = IssuedTokens(SETTINGS, self.keys, known)
        super().__init__(known, HASHER, sandbox=False, issued=self.tokens)
        self.show(*ISSUER.keys)

    def show(self, *keys: Key) -> None:
        """Let the issuer have shown these keys."""
        self.keys._take({"keys": [key.as_dict(private=False) for key in keys]})


def a_token(**claims: Any) -> str:
    return f"Bearer {ISSUER.signed(**{'iat': NOW, 'exp': NOW + 60} | claims)}"


@pytest.mark.parametrize(
    ("seconds", "is_taken"),
    [
        (-LEEWAY_SECONDS - 1, False),
        (-LEEWAY_SECONDS, True),
        (60 + LEEWAY_SECONDS - 1, True),
        (60 + LEEWAY_SECONDS, False),
    ],
)
def test_token_lives_with_leeway_by_the_databases_clock_however_often_it_is_sent(
    seconds: float, is_taken: bool
) -> None:
    known = Known()
    authentication, request = Taken(known), a_request(a_token())
    known.time = NOW + 1
    authentication.caller_of(request, ClientScope.READ)

    known.time = NOW + seconds

    if is_taken:
        assert authentication.caller_of(request, ClientScope.READ).client == CLIENT
    else:
        assert refusal(authentication, request) == "UNAUTHENTICATED"


def test_signature_is_looked_at_once_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look(*given: Any) -> Verified:
        looks.append(given)
        return verified(*given)

    monkeypatch.setattr(issued_tokens, "verified", look)
    authentication, request = Taken(Known()), a_request(a_token())

    for _ in range(3):
        authentication.caller_of(request, ClientScope.READ)

    assert len(looks) == 1


def test_token_of_a_key_that_the_issuer_shows_no_more_is_forgotten() -> None:
    authentication, request = Taken(Known()), a_request(a_token())
    authentication.caller_of(request, ClientScope.READ)

    authentication.show(a_signing_key("second"))

    assert refusal(authentication, request) == "UNAUTHENTICATED"


def test_no_more_tokens_are_remembered_than_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issued_tokens, "TOKENS_MAX", 3)
    known = Known()
    authentication = Taken(known)

    for number in range(5):
        authentication.caller_of(a_request(a_token(jti=str(number))), ClientScope.READ)

    assert (len(authentication.tokens._verified), len(known.verified)) == (3, 0)


@pytest.mark.parametrize(
    "entry",
    [
        {"use": "enc"},
        {"kid": None},
        {"kid": 7},
        {"alg": "HS256"},
        {"alg": "RSA-OAEP"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "P-384"},
        {"n": "!"},
        {"d": "AQAB"},
        {"n": "AQAB"},
    ],
    ids=str,
)
def test_key_that_signs_nothing_for_us_is_left_out(entry: dict[str, object]) -> None:
    keys = SigningKeys(ISSUER.url)
    good, bad = a_signing_key("good").as_dict(private=False), ISSUER.keys[0].as_dict(private=False) | entry

    keys._take({"keys": [good, {name: value for name, value in bad.items() if value is not None}, "nonsense"]})

    assert keys.get("good") is not None
    assert keys.get("first") is None


def test_key_with_an_algorithm_serves_no_other() -> None:
    authentication = Taken(Known())
    keys = SigningKeys(ISSUER.url)
    keys._take({"keys": [ISSUER.keys[0].as_dict(private=False) | {"alg": "PS256"}]})
    authentication.tokens.keys = keys

    assert refusal(authentication, a_request(a_token())) == "UNAUTHENTICATED"
