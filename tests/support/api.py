"""The API as its callers meet it: a real process, or the same wiring inside a test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from harness.database import Database
from harness.ports import free_port
from harness.system import ANYBODY, KEYS, PATIENCE
from harness.waiting import PATIENCE_SECONDS, soon
from prequal.api import service, submit
from prequal.core.settings import ApiSettings, load
from prequal.postgres import primary
from prequal.service import process

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Api:
    """A running API, and the database behind it."""

    client: httpx.Client
    database: Database

    def post(self, body: Mapping[str, Any], key: str | None = None, **headers: str) -> httpx.Response:
        """Post an application; underscores in header names stand for hyphens."""
        return self.client.post("/applications", json=body, headers=_headers(key, headers))

    def post_raw(self, content: bytes, **headers: str) -> httpx.Response:
        return self.client.post("/applications", content=content, headers=JSON | _headers(None, headers))

    def accepted(self, body: Mapping[str, Any], key: str | None = None) -> str:
        """Post an application that is to be accepted; its id."""
        response = self.post(body, key)
        assert response.status_code == 202, response.text
        return str(response.json()["application_id"])

    def status(self, application_id: str) -> httpx.Response:
        return self.client.get(f"/applications/{application_id}/status")


def _headers(key: str | None, others: Mapping[str, str]) -> dict[str, str]:
    keyed = {} if key is None else {"Idempotency-Key": key}
    return keyed | {name.replace("_", "-"): value for name, value in others.items()}


@asynccontextmanager
async def api_within(
    database_url: str,
    bootstrap_servers: str,
    *,
    admin_port: int | None = None,
    patient: bool = False,
    publish_own_events: bool = False,
    **settings: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """The API on a port of its own, in this event loop, as soon as it answers; ready it may still have to get.

    A `patient` one refuses nothing for want of time, however long the machine stands still. What it writes stays
    unpublished, unless it is to publish its own events.
    """
    port = free_port()
    loaded = load(
        ApiSettings,
        _env_file=None,
        database_url=database_url,
        kafka_bootstrap_servers=bootstrap_servers,
        http_port=port,
        admin_port=admin_port or free_port(),
        publish_own_events=publish_own_events,
        **{name.lower(): value for name, value in (KEYS | PATIENCE | ANYBODY).items()} | settings,
    )
    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "freeze_memory", lambda: None)  # this process is not the API's own
        if patient:
            patch.setattr(submit, "ANSWER_SECONDS", PATIENCE_SECONDS)
            patch.setattr(primary, "CONNECT_SECONDS", PATIENCE_SECONDS)
            loaded = loaded.model_copy(update={"write_within_seconds": PATIENCE_SECONDS})
        serving = asyncio.create_task(service._main(loaded, stop))
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, trust_env=False
            ) as client:
                await soon(lambda: _answers(client, serving))
                yield client
        finally:
            stop.set()
            await serving


async def _answers(client: httpx.AsyncClient, serving: "asyncio.Task[None]") -> bool:
    if serving.done():
        serving.result()
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.ConnectError:
        return False


async def ready(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Wait until the API takes applications."""

    async def answers_200() -> bool:
        return (await client.get("/ready")).status_code == 200

    await soon(answers_200)
    return client


def assert_error(response: httpx.Response, status: int, code: str, path: str = "/applications") -> dict[str, Any]:
    """See that an answer is this error in the one shape, whole; returns its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert list(body) == ["error_code", "message", "details", "request_id", "timestamp", "path"]
    assert body["error_code"] == code
    assert body["message"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)
    assert body["path"] == path
    return body


def assert_unavailable(response: httpx.Response, path: str = "/applications") -> None:
    """See that an answer is a 503 that says when to come again, and with which key where an application was posted."""
    body = assert_error(response, 503, "SERVICE_UNAVAILABLE", path)
    assert ("Idempotency-Key" in body["message"]) == (path == "/applications")
    assert int(response.headers["retry-after"]) >= 1


def fields_of(body: Mapping[str, Any]) -> list[str]:
    """The fields that an error's details name, in order."""
    return [detail["field"] for detail in body["details"]]
