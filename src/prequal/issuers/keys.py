"""The keys that an issuer signs with: fetched beside the requests, and kept while it is away.

Invariant: no request waits for the issuer; a key serves the algorithms of its own kind alone.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import httpx
import jwt
import structlog

from prequal.core.lifecycle import first_of, pause
from prequal.issuers import discovery
from prequal.issuers.discovery import IssuerAway, Metadata, SignInMetadata
from prequal.telemetry.failures import LoggedOnce

log = structlog.get_logger()

ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By a key's type and curve. Neither `none` nor a shared secret is among them (RFC 8725, 3.1 and 3.2)."""
REFETCH_SECONDS: Final = 300.0
"""Keys are fetched so often without need."""
SPARED_SECONDS: Final = 10.0
"""The issuer is asked no more often, whatever keys are named to us."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and what it may have signed with."""

    key: Any
    algorithms: tuple[str, ...]


class SigningKeys:
    """The keys of one issuer, by their ids, as they were last fetched.

    Attributes:
        changes: how often other keys came than were there.
    """

    def __init__(self, issuer: str, jwks_url: str = "") -> None:
        """Describe them.

        Args:
            issuer: whose they are.
            jwks_url: where they are; found by discovery if empty.
        """
        self.changes = 0
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._documents: list[Any] | None = None
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at = float("-inf")
        self._wanted = asyncio.Event()
        self._failures = LoggedOnce("issuer_keys_not_read", IssuerAway, issuer=issuer)

    def get(self, key_id: str | None) -> SigningKey | None:
        """The key of this id, if it is known."""
        return None if key_id is None else self._keys.get(key_id)

    def are_current(self) -> bool:
        """Whether they were fetched a moment ago; if not, they are fetched as soon as the issuer may be asked."""
        if monotonic() - self._fetched_at < SPARED_SECONDS:
            return True
        self._wanted.set()
        return False

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch them, again and again, until `stop`; what fails is logged once, and changes nothing."""
        while not stop.is_set():
            self._wanted.clear()
            await self._fetch()
            await pause(stop, SPARED_SECONDS)
            await first_of(REFETCH_SECONDS, stop, self._wanted)

    async def _fetch(self) -> None:
        with self._failures:
            async with discovery.a_client() as http:
                self._take(await discovery.ask(http, "GET", await self._url(http)))

    async def _url(self, http: httpx.AsyncClient) -> str:
        return self._jwks_url or (await discovery.discover(http, self._issuer, Metadata)).jwks_uri

    def _take(self, document: Any) -> None:
        entries = document.get("keys") if isinstance(document, dict) else None
        found = {each["kid"]: key for each in entries if (key := _key(each))} if isinstance(entries, list) else {}
        if not found:
            raise IssuerAway("no key that it names can be used")
        self._fetched_at = monotonic()
        if entries != self._documents:
            self._documents, self._keys = entries, found
            self.changes += 1
            log.info("issuer_keys_changed", issuer=self._issuer, keys=len(found))


class SignInKeys(SigningKeys):
    """The keys of an issuer that people sign in by, with what it says of itself.

    Attributes:
        described: that, as it was last read; None before the first time.
    """

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer)
        self.described: SignInMetadata | None = None

    async def _url(self, http: httpx.AsyncClient) -> str:
        self.described = await discovery.discover(http, self._issuer, SignInMetadata)
        return self.described.jwks_uri


def _key(entry: Any) -> SigningKey | None:
    """The key of a JSON Web Key (RFC 7517); None for one that is not for signatures, or that we do not know."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    kind, curve, algorithm = entry.get("kty"), entry.get("crv"), entry.get("alg")
    known = ALGORITHMS.get((str(kind), None if curve is None else str(curve)), ())
    algorithms = tuple(each for each in known if algorithm in (None, each))
    if not algorithms or "d" in entry:
        return None
    try:
        return SigningKey(jwt.PyJWK(entry, algorithms[0]).key, algorithms)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
