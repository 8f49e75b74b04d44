"""Who sends a request: `Authorization: Bearer` and a secret of ours or an issuer's token, checked asking nobody.

Invariant: a secret is compared in constant time, and an answer says nothing of why a token is not taken.
"""

import asyncio
import hmac
from hashlib import blake2b
from typing import Final, Protocol

from starlette.types import Scope

from prequal.api.errors import ApiError, ErrorCode
from prequal.api.issued_tokens import IssuedTokens
from prequal.api.known_clients import Caller, KnownClients, KnownSecret
from prequal.api_clients import tokens
from prequal.core.lifecycle import together
from prequal.core.refused_attempts import RefusedAttempts, address_of
from prequal.domain.api_client import LOCAL, ClientScope
from prequal.issuers.tokens import KeyNotKnown
from prequal.postgres.connections import Connection
from prequal.security.pan_encryption import PanHasher
from prequal.telemetry import metrics

_BEARER: Final = b"bearer "
_REALM: Final = 'Bearer realm="prequal"'
_WORDS_WITH_ISSUER: Final = (
    "Send a token of a client: Authorization: Bearer, and pq_<id>_<secret> or a JWT of its issuer."
)

_NOBODY: Final = KnownSecret(Caller("", frozenset(), False, None), 0, bytes(32), float("inf"), 0.0)
"""What a token of an unknown client is compared with."""


class Authentication(Protocol):
    """Tells who sends a request."""

    async def load(self, connection: Connection) -> None:
        """Read who is known, for the first time."""

    async def run(self, stop: asyncio.Event) -> None:
        """Keep that up to date until `stop`."""

    def caller_of(self, request: Scope, needed: ClientScope) -> Caller:
        """Who sends it; his id is then in `request`, as `api_client`.

        Raises:
            ApiError: he is not known, or may not do what is `needed`.
        """


class NoAuthentication:
    """Nobody is asked: for a loopback address alone."""

    def __init__(self) -> None:
        self._caller = Caller(LOCAL, frozenset(ClientScope), sandbox=True, requests_per_second=None)

    async def load(self, connection: Connection) -> None:
        pass

    async def run(self, stop: asyncio.Event) -> None:
        pass

    def caller_of(self, request: Scope, needed: ClientScope) -> Caller:
        """The local client."""
        request["api_client"] = LOCAL
        return self._caller


class KeyAuthentication:
    """Each client has a token."""

    def __init__(
        self,
        clients: KnownClients,
        hasher: PanHasher,
        sandbox: bool,
        issued: IssuedTokens | None = None,
    ) -> None:
        """Take what tokens are compared with.

        Args:
            clients: the known ones.
            hasher: what their secrets are hashed with.
            sandbox: whether clients of the sandbox are let in.
            issued: the tokens of an issuer, where they are taken.
        """
        self._clients = clients
        self._hasher = hasher
        self._sandbox = sandbox
        self._wrong = RefusedAttempts()
        self._issued = issued
        self._words = None if issued is None else _WORDS_WITH_ISSUER

    async def load(self, connection: Connection) -> None:
        await self._clients.load(connection)

    async def run(self, stop: asyncio.Event) -> None:
        async with together() as group:
            group.create_task(self._clients.run(stop))
            if self._issued:
                group.create_task(self._issued.keys.run(stop))

    def caller_of(self, request: Scope, needed: ClientScope) -> Caller:
        """The client whose token it is; raises what `Authentication` says, and SERVICE_UNAVAILABLE at first."""
        if not self._clients.are_known:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        given = [value for name, value in request["headers"] if name == b"authorization"]
        if not given:
            raise _refusal("missing", _REALM, self._words)
        try:
            secret = self._secret_of(given)
        except KeyNotKnown:
            raise self._not_taken(request, ApiError(ErrorCode.SERVICE_UNAVAILABLE)) from None
        if secret is None:
            raise self._not_taken(request)
        caller = secret.caller
        request["api_client"] = caller.client
        self._clients.note_use(secret)
        if caller.sandbox and not self._sandbox:
            raise _forbidden("This client is one of the sandbox, and there is none here.", needed)
        if needed not in caller.scopes:
            raise _forbidden(f"This client lacks the scope {needed}.", needed)
        return caller

    def _secret_of(self, given: list[bytes]) -> KnownSecret | None:
        """The living secret that the one header holds."""
        if len(given) > 1 or given[0][: len(_BEARER)].lower() != _BEARER:
            return None
        secret = self._once_matched(given[0][len(_BEARER) :].strip(b" "))
        return secret if secret and secret.not_before <= self._clients.now() < secret.expires_at else None

    def _once_matched(self, token: bytes) -> KnownSecret | None:
        """The secret of a token, whenever it lives; for one of ours a hash saves a busy client the HMAC."""
        client = tokens.client_of(token)
        if client is None:
            return self._issued.matching(token) if self._issued else None
        digest = blake2b(token).digest()
        secret = self._clients.verified.get(digest) or self._matching(client, token)
        if secret is not None:
            self._clients.verified[digest] = secret
        return secret

    def _matching(self, client: str, token: bytes) -> KnownSecret | None:
        """The secret of a client that a token of ours is."""
        found = [tokens.fingerprint(each, token) for each in self._hasher.every]
        secrets = self._clients.secrets_of(client) or (_NOBODY,)
        return next(
            (each for each in secrets for one in found if hmac.compare_digest(each.secret_hmac, one)),
            None,
        )

    def _not_taken(self, request: Scope, unless_too_many: ApiError | None = None) -> ApiError:
        """The refusal of a token, counted by its address.

        A right token is taken at any time: a stranger who shares an address with callers, as behind an ingress, cannot
        lock them out, and 256 random bits are not guessed.
        """
        seconds = self._wrong.note(_address(request))
        if seconds is None:
            return unless_too_many or _refusal("invalid", f'{_REALM}, error="invalid_token"', self._words)
        metrics.AUTHENTICATION_FAILURES.labels("limited").inc()
        return ApiError(
            ErrorCode.RATE_LIMITED, headers={"Retry-After": str(seconds)}, words="Too many tokens that are not taken."
        )


def _refusal(reason: str, challenge: str, words: str | None) -> ApiError:
    metrics.AUTHENTICATION_FAILURES.labels(reason).inc()
    return ApiError(ErrorCode.UNAUTHENTICATED, headers={"WWW-Authenticate": challenge}, words=words)


def _forbidden(words: str, needed: ClientScope) -> ApiError:
    metrics.AUTHENTICATION_FAILURES.labels("forbidden").inc()
    challenge = f'{_REALM}, error="insufficient_scope", scope="{needed}"'
    return ApiError(ErrorCode.FORBIDDEN, headers={"WWW-Authenticate": challenge}, words=words)


def _address(request: Scope) -> str:
    return address_of(request["client"][0]) if request.get("client") else ""
