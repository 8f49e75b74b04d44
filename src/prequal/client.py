"""A client of the API: posts an application and waits for its decision.

Invariant: the PAN goes into the request's body and nowhere else.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

from prequal.core.errors import Refused, Transient
from prequal.core.proxies import DIRECT
from prequal.domain.application import Status

POLL_SECONDS = 0.005


@dataclass(frozen=True)
class ApplicationStatus:
    """The status of an application, as the API gives it."""

    application_id: str
    status: str
    cibil_score: int | None
    pan_number_masked: str
    created_at: datetime
    updated_at: datetime

    @property
    def is_final(self) -> bool:
        """Whether it is decided."""
        return self.status != Status.PENDING

    @property
    def milliseconds(self) -> float:
        """From the application to its decision, by the database's clock."""
        return (self.updated_at - self.created_at).total_seconds() * 1000


class ApiClient:
    """A connection to the API at `url`."""

    def __init__(self, url: str, token: str | None = None, timeout_seconds: float = 10.0) -> None:
        """Describe the connection; proxies of the environment are used, except to this machine itself.

        Args:
            url: where the API is.
            token: the client's, where one is asked for.
            timeout_seconds: for one answer.
        """
        self._url = url
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds, mounts=DIRECT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, application: dict[str, Any], idempotency_key: str | None = None) -> str:
        """Post an application and return its id.

        Raises:
            Refused: the API refuses it; the message lists the issue of each field.
            Transient: the API cannot be reached, or cannot accept it now.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._request("POST", "/applications", json=application, headers=headers)
        return str(answer["application_id"])

    def status(self, application_id: str) -> ApplicationStatus:
        """The application's status. Raises what `submit` does."""
        answer = self._request("GET", f"/applications/{application_id}/status")
        return ApplicationStatus(
            application_id=answer["application_id"],
            status=answer["status"],
            cibil_score=answer["cibil_score"],
            pan_number_masked=answer["pan_number_masked"],
            created_at=datetime.fromisoformat(answer["created_at"]),
            updated_at=datetime.fromisoformat(answer["updated_at"]),
        )

    def decision(self, application_id: str, language: str = "en") -> dict[str, Any]:
        """How and why it was decided, with sentences in `language`. Raises what `submit` does."""
        return self._request("GET", f"/applications/{application_id}/decision", headers={"Accept-Language": language})

    def watch(self, application_id: str, timeout_seconds: float) -> Iterator[ApplicationStatus]:
        """Its status, polled until it is decided or the time is over. Raises what `submit` does."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            status = self.status(application_id)
            yield status
            if status.is_final or time.monotonic() > deadline:
                return
            time.sleep(POLL_SECONDS)

    def _request(self, method: str, path: str, **content: Any) -> dict[str, Any]:
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
    message = str(error.get("message", "no message")).removesuffix("." if issues else "")
    text = "; ".join([f"{error.get('error_code', status)}: {message}", *issues])
    return Transient(text) if status >= httpx.codes.INTERNAL_SERVER_ERROR else Refused(text)
