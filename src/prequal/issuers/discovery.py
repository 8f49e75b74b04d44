"""Asking an issuer: its own description, and any JSON at an address that it names.

Invariant: an answer is bounded in time and size, follows no redirect, and names only addresses as safe as the issuer's.
"""

import asyncio
import json
from typing import Annotated, Any, Final, TypeVar

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from prequal.core.errors import Transient
from prequal.core.proxies import DIRECT
from prequal.core.settings import checks

SECONDS: Final = 5.0
BYTES_MAX: Final = 256 * 1024
_PATH: Final = "/.well-known/openid-configuration"

Address = Annotated[str, AfterValidator(checks.issuer)]


class IssuerAway(Transient):
    """The issuer does not answer, or not as one."""


class RefusedByIssuer(IssuerAway):
    """The issuer answers that what it was sent is not taken."""


class Metadata(BaseModel):
    """What an issuer says of itself (OpenID Connect Discovery 1.0, 3)."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore", frozen=True)

    issuer: str
    jwks_uri: Address


class SignInMetadata(Metadata):
    """The same of an issuer that people sign in by."""

    authorization_endpoint: Address
    token_endpoint: Address


M = TypeVar("M", bound=Metadata)


def a_client() -> httpx.AsyncClient:
    """A client to ask an issuer with; to be closed.

    Raises:
        IssuerAway: the authorities that vouch for it, such as those of SSL_CERT_FILE, cannot be read.
    """
    try:
        return httpx.AsyncClient(timeout=SECONDS, mounts=DIRECT)
    except OSError as error:
        raise IssuerAway(f"the authorities of TLS cannot be read: {type(error).__name__}") from None


async def discover(http: httpx.AsyncClient, issuer: str, kind: type[M]) -> M:
    """What this issuer says of itself.

    Raises:
        IssuerAway: it does not answer, or speaks of another issuer, or names an address that is not safe.
    """
    try:
        found = kind.model_validate(await ask(http, "GET", issuer.rstrip("/") + _PATH))
    except ValidationError:
        raise IssuerAway("its description lacks something, or names an address without TLS") from None
    if found.issuer != issuer:
        raise IssuerAway("its description is of another issuer")
    return found


async def ask(http: httpx.AsyncClient, method: str, url: str, **content: Any) -> Any:
    """The JSON that an address answers with 200.

    Raises:
        RefusedByIssuer: it answers with a status of 4xx.
        IssuerAway: anything else came, or nothing.
    """
    try:
        async with asyncio.timeout(SECONDS), http.stream(method, url, **content) as response:
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > BYTES_MAX:
                    raise IssuerAway(f"its answer is over {BYTES_MAX // 1024} KiB")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise IssuerAway(f"it cannot be reached: {type(error).__name__}") from None
    if response.status_code != httpx.codes.OK:
        kind = RefusedByIssuer if response.is_client_error else IssuerAway
        raise kind(f"it answers with status {response.status_code}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise IssuerAway("its answer is no JSON") from None
