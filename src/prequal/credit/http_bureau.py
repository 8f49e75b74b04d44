"""A bureau that is asked over HTTP: JSON, one POST an application, however slow or away it is.

Invariant: the PAN stands in the body of the request alone; and there is a score, or none on file, only where the bureau
said so of this very request.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal, Self
from uuid import UUID
from weakref import WeakValueDictionary

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prequal.core.backoff import Backoff
from prequal.core.circuit_breaker import Breaker, State
from prequal.core.errors import Transient
from prequal.core.proxies import DIRECT
from prequal.core.settings.bureau import BureauSettings
from prequal.credit.bureau import Score
from prequal.credit.daily_calls import DailyCalls
from prequal.domain.events import EventType
from prequal.domain.pan import Pan
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted
from prequal.telemetry import metrics

log = structlog.get_logger()

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.2, 60.0
LOOK_SECONDS = 0.1
"""How often a request that has its turn looks whether the breaker lets it through."""
REFUSALS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Answers of a bureau that works, and does not take this request."""

Pause = Callable[[float], Awaitable[None]]


class BureauFailed(Transient):
    """The bureau did not answer, or not as agreed."""


class _Answer(BaseModel):
    """What a bureau answers with 200."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore")

    request_id: UUID
    outcome: Literal["SCORE", "NO_FILE"]
    score: int | None = Field(None, strict=True, ge=300, le=900)

    @model_validator(mode="after")
    def _score_or_no_file(self) -> Self:
        if (self.score is None) != (self.outcome == "NO_FILE"):
            raise ValueError("a score, or the outcome NO_FILE")
        return self


class HttpBureau:
    """Asks the bureau at `BUREAU_URL` about many applications at once, and about each until it has answered."""

    def __init__(
        self,
        settings: BureauSettings,
        breaker: Breaker,
        calls: DailyCalls | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """Describe the connection; `calls` allows each request, and `pause` is what waits between its tries."""
        token = settings.bureau_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(headers=headers, timeout=settings.bureau_timeout_seconds, mounts=DIRECT)
        self._seconds = settings.bureau_timeout_seconds
        self._url = settings.bureau_url
        self._breaker = breaker
        self._calls = calls
        self._pause = pause
        self._turns = asyncio.Semaphore(settings.bureau_requests_max)
        self._asked: WeakValueDictionary[UUID, asyncio.Task[Score]] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Score]] = set()

    def ask(self, event: ApplicationSubmitted, pan: Pan) -> asyncio.Future[Score]:
        asked = self._asked.get(event.application_id)
        if asked is None or asked.cancelled():
            asked = asyncio.create_task(self._score(event, pan))
            self._asked[event.application_id] = asked
            self._tasks.add(asked)
            asked.add_done_callback(self._forget)
            metrics.BUREAU_AWAITED.set(len(self._tasks))
        return asked

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        # Before the client: a request that is cancelled while it connects closes its connection itself.
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()
        if self._calls is not None:
            await self._calls.close()

    def _forget(self, task: asyncio.Task[Score]) -> None:
        self._tasks.discard(task)
        metrics.BUREAU_AWAITED.set(len(self._tasks))

    async def _score(self, event: ApplicationSubmitted, pan: Pan) -> Score:
        """Ask until there is an answer, once it is allowed, however long the bureau is away."""
        if self._calls is not None:
            await self._calls.allowed()
        pauses = Backoff(FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS)
        request_id = event_id(EventType.CREDIT_REPORT_GENERATED, event.application_id)
        ids = {"application_id": str(event.application_id), "request_id": str(request_id)}
        while True:
            try:
                async with self._turns:
                    return await self._try(request_id, event, pan)
            except BureauFailed as error:
                metrics.BUREAU_REQUESTS.labels("failed").inc()
                log.warning("retrying", target="bureau", reason=str(error), **ids)
                # While the breaker is not closed it sets the pace, and this application's pauses do not grow.
                is_closed = self._breaker.state is State.CLOSED
                await self._pause(pauses.next() if is_closed else FIRST_PAUSE_SECONDS)

    async def _try(self, request_id: UUID, event: ApplicationSubmitted, pan: Pan) -> Score:
        while not self._breaker.try_enter():
            await self._pause(LOOK_SECONDS * random.uniform(0.8, 1.2))
        answer = _read(await self._post(request_id, event, pan))
        if answer.request_id != request_id:
            raise BureauFailed("the bureau answered another request")
        metrics.BUREAU_REQUESTS.labels(answer.outcome.lower()).inc()
        return answer.score

    async def _post(self, request_id: UUID, event: ApplicationSubmitted, pan: Pan) -> httpx.Response:
        """The bureau's answer, whatever it says; tells the breaker how it went."""
        body = {
            "request_id": str(request_id),
            "pan": pan.reveal(),
            "purpose": event.loan_type.value,
            "amount_inr": str(event.loan_amount_inr),
        }
        try:
            # The client's own timeout bounds each step, and not the whole.
            with metrics.BUREAU_SECONDS.time():
                async with asyncio.timeout(self._seconds):
                    response = await self._http.post(self._url, json=body, headers={"Idempotency-Key": str(request_id)})
        except (httpx.HTTPError, TimeoutError) as error:
            self._breaker.failed()
            raise BureauFailed(f"the bureau did not answer: {type(error).__name__}") from None
        if response.status_code in REFUSALS or response.status_code == HTTPStatus.OK:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
        return response


def _read(response: httpx.Response) -> _Answer:
    if response.status_code != HTTPStatus.OK:
        raise BureauFailed(f"the bureau answered with status {response.status_code}")
    try:
        return _Answer.model_validate_json(response.content)
    except ValidationError:
        raise BureauFailed("the bureau's answer is not as agreed") from None
