"""A token of an issuer (JWT, RFC 7519): its signature, its audience and its lifetime.

Invariant: no claim is trusted, nor looked at but to refuse, before the signature was found right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import jwt

from prequal.core.errors import Refused, Transient
from prequal.issuers.keys import ALGORITHMS, SigningKeys

LEEWAY_SECONDS: Final = 30.0
"""So far may the clocks of issuer and database differ."""
_ALGORITHMS: Final = frozenset(chain.from_iterable(ALGORITHMS.values()))
_SECONDS_MAX: Final = 1e12
_OPTIONS: Final[Any] = {
    "require": ["iss", "aud", "exp", "iat"],
    "enforce_minimum_key_length": True,
    # By the clock of this machine; who asks compares with the database's.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class InvalidToken(Refused):
    """The token is none of this issuer's, or not for us."""


class KeyNotKnown(Transient):
    """The token names a key that is not among those that were last fetched, which may be old."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says, and between which seconds since 1970 it is valid."""

    claims: Mapping[str, Any]
    not_before: float
    expires_at: float


def verified(token: str | bytes, keys: SigningKeys, issuer: str, audience: str) -> Verified:
    """What a token of this issuer says to this audience, whenever it lives.

    Raises:
        InvalidToken: it is no such token; the message does not say why.
        KeyNotKnown: that cannot be said before the issuer's keys are fetched again.
    """
    try:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        header, payload = unverified["header"], unverified["payload"]
        if header.get("alg") not in _ALGORITHMS or payload.get("iss") != issuer:
            raise InvalidToken
        key = keys.get(header.get("kid"))
        if key is None:
            raise InvalidToken if keys.are_current() or "kid" not in header else KeyNotKnown
        claims = jwt.decode(token, key.key, key.algorithms, _OPTIONS, issuer=issuer, audience=audience)
        begins = max(_seconds(claims["iat"]), _seconds(claims.get("nbf", 0)))
        return Verified(claims, begins - LEEWAY_SECONDS, _seconds(claims["exp"]) + LEEWAY_SECONDS)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise InvalidToken from None


def _seconds(value: Any) -> float:
    """A NumericDate (RFC 7519, 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _SECONDS_MAX:
        raise InvalidToken
    return float(value)
