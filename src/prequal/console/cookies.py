"""The cookies, and the tokens that forms carry against other sites' requests.

Invariant: every cookie is HttpOnly, and Secure where the console speaks TLS or listens beyond this machine; all are
SameSite=Strict but that of an attempt to sign in by an issuer, whose site leads back here.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from prequal.people.sessions import new_token

FIELD: Final = "csrf"
"""The field of a form that carries its token."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """How the cookies are set; `__Host-` binds a Secure one to this host (RFC 6265bis, 4.1.3.2)."""

    secure: bool

    @property
    def session(self) -> str:
        """The name of the cookie that holds a session's token."""
        return self._named("console_session")

    @property
    def visitor(self) -> str:
        """The name of the cookie of one who is not signed in: it binds the form to sign in with to the browser."""
        return self._named("console_visitor")

    @property
    def attempt(self) -> str:
        """The name of the cookie of one who signs in by an issuer."""
        return self._named("console_attempt")

    def of(self, request: Request, name: str) -> str:
        """The value of a cookie; empty without one."""
        return request.cookies.get(name, "")

    def set(self, response: Response, name: str, value: str) -> None:
        """Set a cookie that lives as long as the browser."""
        response.set_cookie(name, value, secure=self.secure, httponly=True, samesite="strict", path="/")

    def set_attempt(self, response: Response, value: str, seconds: int) -> None:
        """Set the cookie of an attempt to sign in by an issuer, which comes along when that leads back."""
        response.set_cookie(self.attempt, value, seconds, secure=self.secure, httponly=True, samesite="lax", path="/")

    def clear(self, response: Response, name: str) -> None:
        """Take a cookie away."""
        response.delete_cookie(name, secure=self.secure, httponly=True, samesite="strict", path="/")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name


def form_token(cookie: str) -> str:
    """What a form carries for this cookie: nobody without the cookie can make it."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


def is_own(cookie: str, form: Mapping[str, str]) -> bool:
    """Whether a form was shown to the holder of this cookie."""
    return bool(cookie) and hmac.compare_digest(form_token(cookie).encode(), form.get(FIELD, "").encode())


def new_visitor() -> str:
    """The value of a visitor's cookie."""
    return new_token()
