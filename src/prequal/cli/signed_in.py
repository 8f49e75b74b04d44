"""The person who signed in by `prequal login`, and the console's JSON API as that person.

Invariant: the token is in a file that its owner alone may read, and goes to the address that it came from, by TLS
unless that is this machine.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from prequal.core.errors import Misconfigured, Refused, Transient, UsageError
from prequal.core.proxies import DIRECT
from prequal.core.settings.checks import is_loopback
from prequal.postgres import paging

FOR_OTHERS: Final = 0o077
SECONDS: Final = 15.0
BACKTEST_SECONDS: Final = 900.0
_PREFIX: Final = "/api/v1"


class SessionOver(Refused):
    """Your session has ended: `prequal login` begins a new one, `prequal logout` works beside the database again."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who signed in, where, and the session's token."""

    url: str
    person: str
    token: str = field(repr=False)

    def call(self, method: str, path: str, content: Any = None, seconds: float = SECONDS, **query: Any) -> Any:
        """What the API answers as this person; raises as `call`, and `SessionOver`."""
        return call(self.url, method, path, content, seconds, token=self.token, **query)

    def listed(self, path: str, rows: str, key: str) -> list[dict[str, Any]]:
        """Every row of a list that the API answers in pages; a row's `key` is what the next page goes on behind."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1][key] if found else None
            page: list[dict[str, Any]] = self.call("GET", path, limit=paging.PAGE, after=after)[rows]
            found += page
            if len(page) < paging.PAGE:
                return found


def file() -> Path:
    """Where the login is kept: in the user's own folder of configuration."""
    folder = os.environ.get("XDG_CONFIG_HOME") or ""
    return (Path(folder) if Path(folder).is_absolute() else Path.home() / ".config") / "prequal" / "login.json"


def current() -> Login | None:
    """The login that is kept; None without one.

    Raises:
        Misconfigured: others may read the file, or it is not one of ours.
    """
    path = file()
    try:
        mode = path.stat().st_mode
        if mode & FOR_OTHERS:
            raise Misconfigured(f"{path} can be read by others: `chmod 600` it, or remove it and sign in again.")
        content = json.loads(path.read_text("utf-8"))
        return Login(require_safe(content["url"]), content["person"], content["token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise Misconfigured(f"{path} is no login of ours: remove it, and sign in again.") from None


def keep(login: Login) -> None:
    """Keep a login in place of the one before, mode 0600."""
    from prequal.core import files

    path = file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(path, json.dumps(asdict(login)) + "\n")
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}.") from None


def forget() -> None:
    """Keep no login any more."""
    file().unlink(missing_ok=True)


def require_safe(url: str) -> str:
    """An address without a path; `http` is for this machine alone.

    Raises:
        UsageError: it is not such an address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.path.strip("/") or parts.query:
        raise UsageError("The address must look like https://console.lender.example or http://127.0.0.1:8004.")
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError("http is for this machine alone: a password and a token need https.")
    return f"{parts.scheme}://{parts.netloc}"


def call(
    url: str,
    method: str,
    path: str,
    content: Any = None,
    seconds: float = SECONDS,
    token: str | None = None,
    **query: Any,
) -> Any:
    """What the console at `url` answers; None for an answer without a body.

    Raises:
        SessionOver: the token's session has ended.
        Refused: the console refuses it; the message says why.
        Transient: the console, or a store behind it, does not answer.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    sent = {name: value for name, value in query.items() if value is not None}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=seconds, mounts=DIRECT) as http:
            response = http.request(method, _PREFIX + path, json=content, params=sent)
            answer = response.json() if response.content else None
    except httpx.HTTPError as failure:
        raise Transient(f"The console at {url} cannot be reached: {failure or type(failure).__name__}") from None
    except ValueError:
        raise Transient(f"What is at {url} does not answer as a console does.") from None
    if response.is_success:
        return answer
    raise _refusal(response.status_code, answer, signed_in=token is not None)


def _refusal(status: int, answer: Any, *, signed_in: bool) -> Exception:
    if status == httpx.codes.UNAUTHORIZED and signed_in:
        return SessionOver()
    body = answer if isinstance(answer, dict) else {}
    text = "\n".join(
        [
            str(body.get("message", f"The console answers {status}.")),
            *(f"  {each['field']}: {each['issue']}" for each in body.get("details") or []),
        ]
    )
    return Transient(text) if status >= httpx.codes.INTERNAL_SERVER_ERROR else Refused(text)
