"""In which order a request is checked, and what stops a client that posts the same PANs again and again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from harness.applications import a_pan, an_application, an_idempotency_key
from harness.database import Database
from harness.waiting import soon
from prequal.api import rate_limits
from prequal.api.admission import AdmissionControl
from prequal.local.kafka import Kafka
from tests.support.api import JSON, api_within, assert_error, fields_of, ready
from tests.support.api_clients import a_client, bearer

TEXT = {"Content-Type": "text/plain"}
BAD_KEY = {"Idempotency-Key": "a b"}


@asynccontextmanager
async def an_api(database: Database, kafka: Kafka, repeats: int = 100) -> AsyncIterator[httpx.AsyncClient]:
    """An API that asks for tokens, and lets a client repeat itself so often within an hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limits, "REPEATS", repeats)
        patch.setattr(rate_limits, "REPEATS_SECONDS", 3600)
        async with api_within(database.url, kafka.bootstrap_servers, api_authentication="keys") as client:
            yield await ready(client)


async def test_request_is_checked_in_one_order_from_its_route_to_its_duplicate(
    database: Database, kafka: Kafka
) -> None:
    token, slow = [bearer((await asyncio.to_thread(a_client, database, *each)).token) for each in [("app",), ("slow",)]]
    database.execute("UPDATE api_clients SET requests_per_second = 1 WHERE name = 'slow'")
    body = an_application()
    async with an_api(database, kafka) as client:
        assert (await client.post("/applications", json=body, headers=token)).status_code == 202

        async def refused(status: int, code: str, method: str = "POST", **sent: Any) -> httpx.Response:
            response = await client.request(method, "/applications", **sent)
            assert_error(response, status, code)
            return response

        # Each request has every fault of those below it.
        worst: Mapping[str, Any] = {"headers": TEXT | BAD_KEY, "content": b"x" * 17_000}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AdmissionControl, "has_room", lambda *_: False)
            await refused(405, "METHOD_NOT_ALLOWED", "PUT", **worst)
            await refused(503, "SERVICE_UNAVAILABLE", **worst)
        await refused(401, "UNAUTHENTICATED", **worst)

        async def is_limited() -> bool:
            answer = await client.post("/applications", headers=slow | worst["headers"], content=worst["content"])
            return answer.status_code == 429

        await soon(is_limited)
        await refused(413, "PAYLOAD_TOO_LARGE", headers=token | TEXT | BAD_KEY, content=b"x" * 17_000)
        await refused(415, "UNSUPPORTED_MEDIA_TYPE", headers=token | TEXT | BAD_KEY, content=b"{")
        await refused(400, "MALFORMED_REQUEST", headers=token | JSON | BAD_KEY, content=b"{")
        await refused(422, "INVALID_LOAN_TYPE", headers=token | BAD_KEY, json=body | {"loan_type": "BOAT"})
        by_key = await refused(422, "VALIDATION_ERROR", headers=token | BAD_KEY, json=body)
        await refused(
            409, "DUPLICATE_APPLICATION", headers=token | {"Idempotency-Key": an_idempotency_key()}, json=body
        )
    assert fields_of(by_key.json()) == ["Idempotency-Key"]


async def test_repeats_of_a_rejected_pan_stop_its_clients_posts_whatever_their_pan(
    database: Database, kafka: Kafka
) -> None:
    prober, other = [bearer((await asyncio.to_thread(a_client, database, name)).token) for name in ("prober", "other")]
    pan = a_pan()
    async with an_api(database, kafka, repeats=2) as client:

        async def post(token: dict[str, str], pan_number: str) -> httpx.Response:
            answer = await client.post("/applications", json=an_application(pan_number=pan_number), headers=token)
            database.execute(
                "UPDATE applications SET status = 'REJECTED', cibil_score = 640, decision_rule = 'r', "
                "decision_measures = '{}', policy_version = 'v1'"
            )
            return answer

        first = await post(prober, pan)
        repeats = [await post(prober, pan) for _ in range(2)]
        again, unrelated = await post(prober, pan), await post(prober, a_pan())
        others = await post(other, pan)
        read = await client.get(first.headers["location"], headers=prober)

    assert [answer.status_code for answer in (first, *repeats)] == [202] * 3
    for refused in (again, unrelated):
        assert assert_error(refused, 429, "RATE_LIMITED")["message"] == rate_limits.REPEATS_WORDS
        assert refused.headers["ratelimit-policy"] == '"repeats";q=2;w=3600'
        assert 1700 < int(refused.headers["retry-after"]) <= 1800
    assert (others.status_code, read.status_code) == (202, 200)


async def test_duplicate_is_a_repeat_and_a_replay_or_yesterdays_pan_is_none(database: Database, kafka: Kafka) -> None:
    token = bearer((await asyncio.to_thread(a_client, database)).token)
    body, key = an_application(), {"Idempotency-Key": an_idempotency_key()}
    async with an_api(database, kafka, repeats=1) as client:

        async def post(headers: dict[str, str] = {}) -> int:  # noqa: B006
            return (await client.post("/applications", json=body, headers=token | headers)).status_code

        first = [await post(key) for _ in range(5)]
        database.execute("UPDATE pan_claims SET expires_at = now()")
        next_day = await post()
        duplicate, after = await post(), await post()

    assert (first, next_day, duplicate, after) == ([202] * 5, 202, 409, 429)
