"""A lender's app in small: posts an application and watches until it is decided.

Invariant: the PAN goes into the request's body and nowhere else.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

from prequal.core.errors import Refused, Transient

PENDING = "PENDING"
POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Status:
    """What the API says about an application."""

    application_id: str
    status: str
    cibil_score: int | None
    pan_number_masked: str
    created_at: datetime
    updated_at: datetime

    @property
    def final(self) -> bool:
        """Whether it is decided."""
        return self.status != PENDING

    @property
    def milliseconds(self) -> float:
        """From the application to its decision, by the database's clock."""
        return (self.updated_at - self.created_at).total_seconds() * 1000


class ApiClient:
    """A connection to the API at `url`."""

    def __init__(self, url: str, timeout_seconds: float = 10.0) -> None:
        """Describe the connection; proxies of the environment are used, except to this machine itself."""
        direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds, mounts=direct)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, application: dict[str, Any], idempotency_key: str | None = None) -> str:
        """Post an application and return its id.

        Raises:
            Refused: the API does not take it; the message lists what it said about each field.
            Transient: the API cannot be reached, or cannot take it now.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._ask("POST", "/applications", json=application, headers=headers)
        return str(answer["application_id"])

    def status(self, application_id: str) -> Status:
        """How the application stands. Raises what `submit` does."""
        answer = self._ask("GET", f"/applications/{application_id}/status")
        return Status(
            application_id=answer["application_id"],
            status=answer["status"],
            cibil_score=answer["cibil_score"],
            pan_number_masked=answer["pan_number_masked"],
            created_at=datetime.fromisoformat(answer["created_at"]),
            updated_at=datetime.fromisoformat(answer["updated_at"]),
        )

    def watch(self, application_id: str, timeout_seconds: float) -> Iterator[Status]:
        """How it stands, again and again, until it is decided or the time is over. Raises what `submit` does."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            status = self.status(application_id)
            yield status
            if status.final or time.monotonic() > deadline:
                return
            time.sleep(POLL_SECONDS)

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **content)
            answer = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise Transient(f"{self._url} cannot be reached: {failure or type(failure).__name__}") from None
        except ValueError:
            raise Transient(f"{self._url} does not answer as the API does (status {response.status_code})") from None
        if response.is_success and isinstance(answer, dict):
            return answer
        raise _refusal(response.status_code, answer)


def _refusal(status: int, answer: Any) -> Refused | Transient:
    error = answer if isinstance(answer, dict) else {}
    issues = [f"{detail['field']}: {detail['issue']}" for detail in error.get("details") or []]
    words = "; ".join([f"{error.get('error_code', status)}: {error.get('message', 'no word about it')}", *issues])
    return Transient(words) if status >= httpx.codes.INTERNAL_SERVER_ERROR else Refused(words)
