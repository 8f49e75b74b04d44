"""`service.readiness` and `service.http_server`: what a process says of itself."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest

from prequal.core.circuit_breaker import FAILURES_MAX
from prequal.core.errors import Misconfigured, Transient
from prequal.core.topology import Service
from prequal.postgres.primary import ReadOnlyServer
from prequal.service import readiness as readiness_module
from prequal.service.http_server import bind, probes
from prequal.service.readiness import READ_ONLY, Readiness
from tests.builders import a_service


def a_readiness(
    *,
    database: bool = True,
    kafka: bool = True,
    started: bool = True,
    needs_kafka: bool = True,
    reason: str | None = None,
) -> Readiness:
    readiness = Readiness(Service.CREDIT, a_service(), lambda: reason, needs_kafka=needs_kafka)
    readiness.started = started
    readiness._record("database", up=database)
    readiness._record("kafka", up=kafka)
    return readiness


CLOSED = {"database": "closed", "kafka_producer": "closed"}
BOTH = {"database": "connected", "kafka": "connected", "breakers": CLOSED}
OF_THE_API = {"breakers": {"database": "closed"}}
NO_DATABASE = BOTH | {"database": "disconnected"}
NO_KAFKA = BOTH | {"kafka": "disconnected"}


def test_a_service_whose_dependencies_answer_is_ready() -> None:
    assert a_readiness().answer() == (200, {"status": "ready", **BOTH})


def test_a_worker_is_not_ready_without_either_dependency() -> None:
    assert a_readiness(database=False).answer() == (503, {"status": "not_ready", **NO_DATABASE})
    assert a_readiness(kafka=False).answer() == (503, {"status": "not_ready", **NO_KAFKA})


@pytest.mark.parametrize(("up", "seconds"), [(True, 2.0), (False, 1.0)])
async def test_who_answers_is_asked_less_often_than_who_does_not(
    monkeypatch: pytest.MonkeyPatch, up: bool, seconds: float
) -> None:
    pauses: list[float] = []

    async def pause(stop: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        stop.set()

    @contextlib.asynccontextmanager
    async def use() -> AsyncIterator[Any]:
        if not up:
            raise Transient("away")
        yield SimpleNamespace(fetchval=AsyncMock())

    readiness = a_readiness()
    monkeypatch.setattr(readiness.database, "use", use)
    monkeypatch.setattr(readiness_module, "pause", pause)

    await readiness._ask_database(asyncio.Event())

    assert pauses == [seconds]


def test_the_api_without_kafka_is_degraded_and_still_takes_applications() -> None:
    assert a_readiness(kafka=False, needs_kafka=False).answer() == (
        200,
        {"status": "degraded", **NO_KAFKA, **OF_THE_API},
    )


def test_the_api_without_the_database_is_not_ready() -> None:
    assert a_readiness(database=False, needs_kafka=False).answer() == (
        503,
        {"status": "not_ready", **NO_DATABASE, **OF_THE_API},
    )


def test_a_service_that_has_not_started_is_not_ready_and_says_so() -> None:
    readiness = a_readiness(started=False, reason="never asked")

    assert readiness.answer() == (503, {"status": "not_ready", **BOTH, "reason": "starting"})


def test_a_service_with_a_reason_of_its_own_is_not_ready() -> None:
    readiness = a_readiness(reason="1 partitions wait for an encryption key")

    assert readiness.answer()[0] == 503
    assert readiness.answer()[1]["reason"] == "1 partitions wait for an encryption key"


async def test_server_that_takes_no_writes_is_named_though_another_call_met_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def pause(stop: asyncio.Event, seconds: float) -> None:
        stop.set()

    monkeypatch.setattr(readiness_module, "pause", pause)
    settings = a_service().model_copy(update={"database_url": "postgresql://standby"})
    readiness = Readiness(Service.CREDIT, settings)
    for _ in range(FAILURES_MAX):
        with pytest.raises(ReadOnlyServer), readiness._breakers["database"].guarding(lambda _: True):
            raise ReadOnlyServer

    await readiness._ask_database(asyncio.Event())

    assert readiness.answer()[1]["breakers"]["database"] == "open"
    assert readiness.answer()[1]["reason"] == READ_ONLY


def test_nothing_is_taken_for_connected_before_it_answered() -> None:
    readiness = Readiness(Service.CREDIT, a_service())
    readiness.started = True

    assert readiness.answer() == (
        503,
        {"status": "not_ready", "database": "disconnected", "kafka": "disconnected", "breakers": CLOSED},
    )


async def asked(path: str, readiness: Readiness) -> httpx.Response:
    transport = httpx.ASGITransport(probes(Service.CREDIT, "credit-service", readiness))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        return await client.get(path)


async def test_a_process_that_lives_is_healthy_whatever_is_away() -> None:
    response = await asked("/health", a_readiness(database=False, kafka=False, started=False))

    assert (response.status_code, response.json()) == (200, {"status": "healthy"})


async def test_readiness_is_answered_as_status_and_body_and_never_cached() -> None:
    response = await asked("/ready", a_readiness(kafka=False))

    assert (response.status_code, response.json()) == (503, {"status": "not_ready", **NO_KAFKA})
    assert response.headers["cache-control"] == "no-store"


async def test_metrics_are_prometheus_text_of_this_service() -> None:
    response = await asked("/metrics", a_readiness())

    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'dependency_up{dependency="kafka",service="credit-service"} 1.0' in response.text


@pytest.fixture
def taken_port() -> Iterator[int]:
    with contextlib.closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_taken_port_is_a_sentence_that_says_what_to_do(taken_port: int) -> None:
    with pytest.raises(Misconfigured, match=f"Port {taken_port} on 127.0.0.1 cannot be used .* set PROMETHEUS_PORT"):
        bind("127.0.0.1", taken_port, "PROMETHEUS_PORT")


def test_a_free_port_is_bound() -> None:
    with contextlib.closing(bind("127.0.0.1", 0, "HTTP_PORT")) as listener:
        assert listener.getsockname()[1] > 0
