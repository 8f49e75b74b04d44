"""An issuer of tokens that runs: authlib's authorization server, over HTTP on a port of its own.

It knows clients with secrets (client credentials, JWT by RFC 9068); `sign_in_issuer` adds people.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import flask
import httpx
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientCredentialsGrant, ClientMixin
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from werkzeug.serving import make_server

AUDIENCE = "https://prequal.example"
SECRET = "a secret that the issuer shares with its client"

Key = RSAKey | ECKey | OKPKey


def a_signing_key(key_id: str, kind: str = "RSA") -> Key:
    parameters: Any = {"kid": key_id}
    if kind == "EC":
        return ECKey.generate_key("P-256", parameters)
    return OKPKey.generate_key("Ed25519", parameters) if kind == "OKP" else RSAKey.generate_key(2048, parameters)


@dataclass
class RegisteredClient(ClientMixin):  # type: ignore[misc]  # authlib has no types
    """A client that is registered with the issuer."""

    name: str
    scope: str = "applications:read applications:write"

    def get_client_id(self) -> str:
        return self.name

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(each for each in scope.split() if each in self.scope.split())

    def check_client_secret(self, secret: str) -> bool:
        return secret == SECRET

    def check_endpoint_auth_method(self, method: str, _: str) -> bool:
        return method == "client_secret_basic"

    def check_grant_type(self, grant: str) -> bool:
        return grant == "client_credentials"


class _Anything(jws.JWSRegistry):
    """Takes every header: a stranger writes what he likes."""

    def check_header(self, _: Any) -> None:
        pass


class _AccessTokens(JWTBearerTokenGenerator):  # type: ignore[misc]
    def __init__(self, issuer: "Issuer") -> None:
        super().__init__(issuer.url)
        self._issuer = issuer

    def get_jwks(self) -> KeySet:
        return KeySet([self._issuer.keys[0]])

    def get_audiences(self, *_: Any) -> str:
        return AUDIENCE


@dataclass
class Issuer:
    """The issuer; the first of its keys signs, all of them are shown.

    Attributes:
        is_away: answers nothing but 503 while it is true.
        asked: how often its keys were asked for.
    """

    url: str
    keys: list[Key] = field(default_factory=lambda: [a_signing_key("first")])
    clients: dict[str, RegisteredClient] = field(default_factory=dict)
    is_away: bool = False
    asked: int = 0

    def token(self, client: str, scope: str = "applications:read applications:write") -> str:
        """An access token of a client, as it gets one: from the token endpoint, by its secret."""
        self.clients.setdefault(client, RegisteredClient(client))
        answer = httpx.post(
            f"{self.url}/token",
            auth=(client, SECRET),
            data={"grant_type": "client_credentials", "scope": scope},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def signed(self, key: Key | None = None, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with other claims (None leaves one out), header or key than the issuer gives by itself."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "client_id": "app", "sub": "app", "iat": now, "exp": now + 300}
        said = usual | {"scope": "applications:read applications:write"} | claims
        chosen = key or self.keys[0]
        return signed({"alg": "RS256", "kid": self.keys[0].kid} | (header or {}), chosen, said)

    def signed_by_its_public_key(self) -> str:
        """A token of HS256 whose shared secret is what everybody can read: the public key (CVE-2016-10555)."""
        head, body, _ = self.signed(header={"alg": "none", "typ": "JWT"}).split(".")
        head = _base64(json.dumps({"alg": "HS256", "kid": self.keys[0].kid}).encode())
        public = self.keys[0].as_pem(private=False)
        return f"{head}.{body}.{_base64(hmac.digest(public, f'{head}.{body}'.encode(), hashlib.sha256))}"

    def rotate(self, key_id: str) -> None:
        """Sign with a new key, and show no other."""
        self.keys = [a_signing_key(key_id)]

    def served(self) -> flask.Flask:
        """The issuer as an application."""
        app = flask.Flask(__name__)
        server = AuthorizationServer(app, query_client=self.clients.get, save_token=lambda *_: None)
        app.before_request(lambda: flask.Response(status=503) if self.is_away else None)
        self.serve(app, server)
        return app

    def serve(self, app: flask.Flask, server: AuthorizationServer) -> None:
        """Serve clients with secrets."""
        server.register_token_generator("client_credentials", _AccessTokens(self))
        server.register_grant(ClientCredentialsGrant)
        app.post("/token")(server.create_token_response)
        app.get("/.well-known/openid-configuration")(self.description)
        app.get("/jwks")(self._shown_keys)

    def description(self) -> dict[str, Any]:
        """What it says of itself."""
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", "token_endpoint": f"{self.url}/token"}

    def _shown_keys(self) -> Any:
        self.asked += 1
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """One that runs, in a thread."""
        app = flask.Flask(__name__)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        issuer = cls(f"http://127.0.0.1:{server.server_port}")
        server.app = issuer.served()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join(30)
            server.server_close()


def signed(header: dict[str, Any], key: Any, claims: Any) -> str:
    """A token of any header, key and claims; a None among them is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of `none`, and of `EdDSA`, which RFC 9864 gives another name
        return jws.serialize_compact(
            _said(header), json.dumps(_said(claims)), key, registry=_Anything(algorithms=[header["alg"]])
        )


def _said(claims: Any) -> Any:
    """Claims without those that are None."""
    is_object = isinstance(claims, dict)
    return {name: value for name, value in claims.items() if value is not None} if is_object else claims


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
