"""More applications than can be written: the refusal comes at once, and what is written was not refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from harness.applications import an_application
from harness.database import Database
from prequal.api import submit
from prequal.api.admission import AdmissionControl
from prequal.local.kafka import Kafka
from tests.support.api import api_within, assert_unavailable, ready
from tests.support.edge import a_request, an_answer

PATH = "POST /applications"


@asynccontextmanager
async def a_full_api(database: Database, kafka: Kafka) -> AsyncIterator[httpx.AsyncClient]:
    """An API that takes applications and has no room for one (`tests/unit/api` tries when that is so)."""
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AdmissionControl, "has_room", lambda *_: False)
            yield client


async def connected(client: httpx.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", client.base_url.port or 0)


async def test_without_room_the_body_is_not_waited_for_and_health_is_answered(database: Database, kafka: Kafka) -> None:
    async with a_full_api(database, kafka) as client:
        reader, writer = await connected(client)
        writer.write(a_request(PATH, body=b"x" * 100)[:-100])

        status, _ = await asyncio.wait_for(an_answer(reader), 10)

        writer.close()
        refused = await client.post("/applications", json=an_application())
        health = await client.get("/health")
    assert status == 503
    assert_unavailable(refused)
    assert 1 <= int(refused.headers["retry-after"]) <= 26
    assert health.status_code == 200


async def test_connection_goes_on_after_a_refusal_with_a_late_body(database: Database, kafka: Kafka) -> None:
    body = json.dumps(an_application()).encode()
    request = a_request(PATH, body=body)
    async with a_full_api(database, kafka) as client:
        reader, writer = await connected(client)
        for packet in (request[: -len(body)], request[-len(body) :], a_request("GET /health")):
            writer.write(packet)
            await asyncio.sleep(0.02)

        first, second = await an_answer(reader), await an_answer(reader)

        writer.close()
    assert (first[0], second[0]) == (503, 200)


async def test_body_that_looks_like_an_application_is_the_body_of_the_refused_one(
    database: Database, kafka: Kafka
) -> None:
    inner = a_request(PATH, body=json.dumps(an_application()).encode())
    request = a_request(PATH, body=inner)
    async with a_full_api(database, kafka) as client:
        reader, writer = await connected(client)
        for packet in (request[: -len(inner)], inner, a_request("GET /health")):
            writer.write(packet)
            await asyncio.sleep(0.02)

        first, second = await an_answer(reader), await an_answer(reader)

        writer.close()
    assert (first[0], second[0]) == (503, 200)


@pytest.mark.parametrize(
    ("further", "closes"),
    [(b"Connection: keep-alive", False), (b"Connection: close", True), (b"X-Other: \xff", False)],
    ids=["goes on", "closes", "not plain"],
)
async def test_refused_connection_ends_as_its_client_says(
    database: Database, kafka: Kafka, further: bytes, closes: bool
) -> None:
    request = a_request(PATH, [further], json.dumps(an_application()).encode())
    async with a_full_api(database, kafka) as client:
        reader, writer = await connected(client)
        writer.write(request)
        first = (await an_answer(reader))[0]
        writer.write(request + a_request(PATH, [b"Connection: close"]))

        rest = await asyncio.wait_for(reader.read(), 10)

        writer.close()
    assert (first, rest.count(b"HTTP/1.1 503 ")) == (503, 0 if closes else 2)


async def test_refusal_before_the_body_is_counted_and_keeps_its_request_id(database: Database, kafka: Kafka) -> None:
    sample = 'http_requests_total{method="POST",route="/applications",service="prequal-api",status="503"} '
    async with a_full_api(database, kafka) as client:
        before = await counted(client, sample)

        refused = await client.post("/applications", json=an_application(), headers={"X-Request-ID": "mine-1"})

        assert await counted(client, sample) == before + 1
    assert refused.headers["x-request-id"] == refused.json()["request_id"] == "mine-1"


async def test_shed_request_is_counted_once_also_behind_another_request(database: Database, kafka: Kafka) -> None:
    sample, body = 'applications_shed_total{service="prequal-api"} ', json.dumps(an_application()).encode()
    async with a_full_api(database, kafka) as client:
        before = await counted(client, sample)
        reader, writer = await connected(client)
        writer.write(a_request("GET /health") + a_request(PATH, body=body))
        writer.write(a_request(PATH, body=body))

        statuses = [(await an_answer(reader))[0] for _ in range(3)]

        writer.close()
        assert await counted(client, sample) == before + 2
    assert statuses == [200, 503, 503]


async def counted(client: httpx.AsyncClient, sample: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))


async def test_client_that_asks_before_it_sends_is_refused_and_hung_up_on(database: Database, kafka: Kafka) -> None:
    async with a_full_api(database, kafka) as client:
        reader, writer = await connected(client)
        writer.write(a_request(PATH, [b"Expect: 100-continue"], b"x" * 100)[:-100])

        answer = await asyncio.wait_for(reader.read(), 10)

        writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close" in answer


async def test_application_with_less_than_a_second_left_is_refused_and_not_written(
    database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "ANSWER_SECONDS", submit.LEFT_SECONDS)  # nobody has more from the start
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)

        refused = await client.post("/applications", json=an_application())

    assert_unavailable(refused)
    assert database.count("applications") == 0
