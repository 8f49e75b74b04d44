"""Sign-in by an issuer: the authorization code flow of OpenID Connect Core 1.0, with PKCE (RFC 7636), state and nonce.

Invariant: what an issuer sends is accepted of those alone who were sent there, once, and within ten minutes.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from prequal.core.circuit_breaker import Breaker
from prequal.core.errors import Refused
from prequal.core.settings.issuer import SignInIssuerSettings
from prequal.issuers import discovery
from prequal.issuers.discovery import IssuerAway, RefusedByIssuer, SignInMetadata
from prequal.issuers.keys import SignInKeys
from prequal.issuers.tokens import InvalidToken, Verified, verified

ATTEMPT_SECONDS: Final = 600
"""So long may a person take at the issuer."""
_KEY_FOR: Final = b"prequal console: sign-in by an issuer"


class AnotherBrowser(Refused):
    """What came back belongs to no sign-in that was begun there a moment ago."""


class NotVouched(Refused):
    """The issuer vouches for nobody: it refused, or its code or token is not taken."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that was begun, as who began it holds it: a random seed, its end, and where it leads on to."""

    seed: str
    ends_at: int
    wanted: str
    loopback: str = ""
    """The redirect URI of a command line that waits there; empty for a browser, which comes back to the console."""


class CodeFlow:
    """The console as a client of one issuer; it keeps nothing of an attempt, so that any console process ends it.

    Attributes:
        keys: the issuer's; they are to be run.
    """

    def __init__(self, settings: SignInIssuerSettings) -> None:
        """Describe it; nothing is asked yet."""
        self._settings = settings
        self.keys = SignInKeys(settings.oidc_issuer)
        self._breaker = Breaker("issuer")
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._mac_key = hmac.digest(self._secret.encode(), _KEY_FOR, "sha256")

    def begin(self, wanted: str, port: int | None = None) -> tuple[str, str]:
        """A new attempt, signed, that leads on to `wanted`, and the issuer's address that begins it.

        With a `port` it is one of a command line, which waits there on the browser's machine (RFC 8252, 7.3): who holds
        the attempt and what comes to that port ends it.

        Raises:
            IssuerAway: it has not said yet where that is.
        """
        loopback = "" if port is None else f"http://127.0.0.1:{port}/callback"
        attempt = Attempt(secrets.token_urlsafe(32), int(time.time()) + ATTEMPT_SECONDS, wanted, loopback)
        asked = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect_uri(attempt),
            "state": self._derived(attempt, "state"),
            "nonce": self._derived(attempt, "nonce"),
            "code_challenge": _base64(hashlib.sha256(self._derived(attempt, "verifier").encode()).digest()),
            "code_challenge_method": "S256",
        }
        if self._settings.oidc_required_acr:
            asked["acr_values"] = self._settings.oidc_required_acr
        address = f"{self._described().authorization_endpoint}?{urlencode(asked)}"
        return self._signed(attempt), address

    def verified_attempt(self, signed: str, given: Mapping[str, str], *, command_line: bool = False) -> Attempt:
        """The attempt that was signed, if it is one of a browser, or of a command line, and what came belongs to it.

        Raises:
            AnotherBrowser: it is not or does not, or `signed` is none of ours or too old.
        """
        body, _, mac = signed.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(body).encode()):
            raise AnotherBrowser
        attempt = Attempt(**json.loads(base64.urlsafe_b64decode(body)))
        state = self._derived(attempt, "state")
        if attempt.ends_at < time.time() or not hmac.compare_digest(state.encode(), given.get("state", "").encode()):
            raise AnotherBrowser
        if bool(attempt.loopback) is not command_line:
            raise AnotherBrowser
        return attempt

    async def finished(self, attempt: Attempt, given: Mapping[str, str]) -> Verified:
        """What the issuer says of the person, for its code; when that lives is for the caller to compare.

        Raises:
            NotVouched: it refused, or its code or token is not taken.
            IssuerAway, BreakerOpen: it does not answer.
            KeyNotKnown: its keys must be fetched again first.
        """
        if given.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer or not given.get("code"):
            raise NotVouched  # RFC 9207, 2.4
        answer = await self._exchanged(attempt, given["code"])
        token = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise NotVouched
        try:
            found = verified(token, self.keys, self._settings.oidc_issuer, self._settings.oidc_client_id)
        except InvalidToken:
            raise NotVouched from None
        if not self._is_for(attempt, found.claims):
            raise NotVouched
        return found

    async def _exchanged(self, attempt: Attempt, code: str) -> Any:
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri(attempt),
            "code_verifier": self._derived(attempt, "verifier"),
        }
        # RFC 6749, 2.3.1: both are encoded before they become name and password.
        known = httpx.BasicAuth(quote(self._settings.oidc_client_id, ""), quote(self._secret, ""))
        address = self._described().token_endpoint
        try:
            async with discovery.a_client() as http:
                with self._breaker.guarding(_is_away):
                    return await discovery.ask(http, "POST", address, data=sent, auth=known)
        except RefusedByIssuer as refusal:
            raise NotVouched(str(refusal)) from None

    def _is_for(self, attempt: Attempt, claims: Mapping[str, Any]) -> bool:
        """Whether a token is for this attempt, of us alone, and of a sign-in that is good enough (3.1.3.7)."""
        nonce, audience, acr = claims.get("nonce"), claims["aud"], self._settings.oidc_required_acr
        single = audience if isinstance(audience, str) else audience[0] if len(audience) == 1 else None
        return (
            isinstance(nonce, str)
            and hmac.compare_digest(nonce.encode(), self._derived(attempt, "nonce").encode())
            and claims.get("azp", single) == self._settings.oidc_client_id
            and acr in ("", claims.get("acr"))
        )

    def _described(self) -> SignInMetadata:
        if self.keys.described is None:
            raise IssuerAway("it has not described itself yet")
        return self.keys.described

    def _redirect_uri(self, attempt: Attempt) -> str:
        return attempt.loopback or self._settings.oidc_redirect_uri

    def _derived(self, attempt: Attempt, use: str) -> str:
        """State, nonce and verifier of an attempt: of its seed alone, and no browser can compute them."""
        return self._mac(f"{use}:{attempt.seed}")

    def _signed(self, attempt: Attempt) -> str:
        body = base64.urlsafe_b64encode(json.dumps(asdict(attempt)).encode()).decode()
        return f"{body}.{self._mac(body)}"

    def _mac(self, text: str) -> str:
        return _base64(hmac.digest(self._mac_key, text.encode(), "sha256"))


def _is_away(error: BaseException) -> bool:
    return isinstance(error, IssuerAway) and not isinstance(error, RefusedByIssuer)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
