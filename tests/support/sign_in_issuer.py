"""The issuer of the tests as people sign in by it: authlib's code flow with PKCE and ID tokens (OpenID Connect)."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo

from tests.support.issuer import SECRET, Issuer, RegisteredClient

CLIENT = "prequal console"
SUBJECT = "5f2c9a7e"
SETTINGS = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET}


@dataclass
class ConsoleClient(RegisteredClient):
    """The console, as it is registered."""

    redirect_uri: str = ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        """The registered one, or that of a command line, with any port (RFC 8252, 7.3)."""
        return uri == self.redirect_uri or re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", uri) is not None

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, grant: str) -> bool:
        return grant == "authorization_code"


@dataclass(frozen=True)
class Code:
    """What a code stands for."""

    code: str
    client: str
    subject: str
    redirect_uri: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return "openid"

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class SignInIssuer(Issuer):
    """The issuer, with one person at it.

    Attributes:
        subject: who signs in there; nobody gets past it without.
        said: what it says of itself otherwise than it should.
        forged: makes the ID token of the claims that it should have; None for the issuer's own.
    """

    subject: str | None = SUBJECT
    forged: Callable[[dict[str, Any]], str] | None = None
    said: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)

    def knows_the_console_at(self, redirect_uri: str) -> None:
        """Register it."""
        self.clients[CLIENT] = ConsoleClient(CLIENT, redirect_uri=redirect_uri)

    def serve(self, app: flask.Flask, server: AuthorizationServer) -> None:
        super().serve(app, server)
        server.register_grant(_grant(self), [CodeChallenge(required=True), _IdTokens(self)])

        @app.get("/authorize")
        def authorize() -> Any:
            grant = server.get_consent_grant(end_user=self.subject)
            return server.create_authorization_response(grant_user=self.subject, grant=grant)

    def description(self) -> dict[str, Any]:
        return super().description() | {"authorization_endpoint": f"{self.url}/authorize"} | self.said


def _grant(issuer: SignInIssuer) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]  # authlib has no types
        def save_authorization_code(self, code: str, request: Any) -> None:
            given = request.payload.data
            asked = [given[name] for name in ("redirect_uri", "nonce", "code_challenge", "code_challenge_method")]
            issuer.codes[code] = Code(code, request.client.name, request.user, *asked)

        def query_authorization_code(self, code: str, client: RegisteredClient) -> Code | None:
            found = issuer.codes.get(code)
            return found if found and found.client == client.name else None

        def delete_authorization_code(self, code: Code) -> None:
            del issuer.codes[code.code]

        def authenticate_user(self, code: Code) -> str:
            return code.subject

    return Grant


class _IdTokens(OpenIDCode):  # type: ignore[misc]
    def __init__(self, issuer: SignInIssuer) -> None:
        super().__init__(require_nonce=True)
        self._issuer = issuer

    def exists_nonce(self, nonce: str, _: Any) -> bool:
        return any(code.nonce == nonce for code in self._issuer.codes.values())

    def resolve_client_private_key(self, _: Any) -> Any:
        return self._issuer.keys[0]

    def get_client_algorithm(self, _: Any) -> str:
        return "RS256"

    def get_encode_header(self, _: Any) -> dict[str, Any]:
        return {"alg": "RS256", "kid": self._issuer.keys[0].kid}

    def get_client_claims(self, client: RegisteredClient) -> dict[str, Any]:
        return {"iss": self._issuer.url, "aud": [client.name]}

    def generate_user_info(self, user: str, _: str) -> UserInfo:
        return UserInfo(sub=user)

    def encode_id_token(self, token: Any, request: Any) -> str:
        if self._issuer.forged is None:
            return str(super().encode_id_token(token, request))
        said = {"aud": CLIENT, "sub": request.user, "nonce": request.authorization_code.nonce}
        return self._issuer.forged(said)
