"""Tokens of an issuer as the API takes them: which client sends one, and what both its row and the token allow.

Invariant: a token is taken only for a client that is known by this issuer and subject, and is not revoked.
"""

from hashlib import blake2b
from typing import Final

from prequal.api.known_clients import Caller, KnownClients, KnownSecret
from prequal.core.settings.issuer import ApiIssuerSettings
from prequal.issuers.keys import SigningKeys
from prequal.issuers.tokens import InvalidToken, Verified, verified

TOKENS_MAX: Final = 10_000
"""Of so many tokens the signature is remembered; then the oldest is forgotten."""


class IssuedTokens:
    """The tokens of one issuer."""

    def __init__(self, settings: ApiIssuerSettings, keys: SigningKeys, clients: KnownClients) -> None:
        self.keys = keys
        self._settings = settings
        self._clients = clients
        self._verified: dict[bytes, Verified] = {}
        self._changes = keys.changes

    def matching(self, token: bytes) -> KnownSecret | None:
        """What a token proves, as if it were a secret of its client; None when it is not taken, whenever it lives.

        Raises:
            KeyNotKnown: the issuer's keys must be fetched first.
        """
        try:
            found = self._once_verified(token)
        except InvalidToken:
            return None
        subject = found.claims.get(self._settings.api_jwt_client_claim)
        client = self._clients.of_subject(subject) if isinstance(subject, str) else None
        if client is None:
            return None
        may = client.scopes & _scopes(found)
        caller = Caller(client.client, may, client.sandbox, client.requests_per_second)
        return KnownSecret(caller, None, b"", found.not_before, found.expires_at)

    def _once_verified(self, token: bytes) -> Verified:
        """A signature costs as much as the rest of a request: it is looked at once a token and set of keys."""
        if self._changes != self.keys.changes:
            self._verified, self._changes = {}, self.keys.changes
        digest = blake2b(token).digest()
        found = self._verified.get(digest)
        if found is None:
            settings = self._settings
            found = verified(token, self.keys, settings.api_jwt_issuer, settings.api_jwt_audience)
            self._verified[digest] = found
            if len(self._verified) > TOKENS_MAX:
                self._verified.pop(next(iter(self._verified)))
        return found


def _scopes(token: Verified) -> frozenset[str]:
    """The scopes of a token: `scope` (RFC 9068, 2.2.3), or `scp` as some issuers call it, as words or as a list."""
    given = token.claims.get("scope", token.claims.get("scp", ""))
    words = given.split() if isinstance(given, str) else given if isinstance(given, list) else ()
    return frozenset(word for word in words if isinstance(word, str))
