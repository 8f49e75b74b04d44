"""The post of an application, as plain ASGI: the framework's layers cost more than all of it.

Invariant: the PAN leaves this file encrypted, hashed, or as a `Pan`, of which only the masked form is written.
"""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive, Scope, Send

from prequal.api import queries
from prequal.api.authentication import Authentication
from prequal.api.batch_write import Accepted, Answer
from prequal.api.errors import ApiError, ErrorCode, FieldIssue
from prequal.api.json_answers import Headers, send_json
from prequal.api.known_clients import Caller
from prequal.api.rate_limits import RateLimits
from prequal.api.request import ApplicationRequest, checked_key, parse
from prequal.api.submit import Submissions
from prequal.core.errors import KeysUnavailable
from prequal.domain.api_client import LOCAL, ClientScope
from prequal.domain.application import LoanApplication
from prequal.domain.sandbox import is_free_of_claims
from prequal.domain.times import rfc3339
from prequal.postgres.ids import new_id
from prequal.security.pan_encryption import KeyRing, PanHasher
from prequal.service.http_requests import BODY_SECONDS, combined, is_json
from prequal.telemetry import metrics, tracing
from prequal.telemetry.metrics import SUBMIT_ROUTE
from prequal.telemetry.spans import Span

BODY_BYTES_MAX = 16 * 1024
_ACCEPTED = '{"application_id": "%s", "status": "PENDING", "created_at": "%s", "request_id": "%s"}'
"""A body of ids and a time, none of which holds what JSON escapes."""


class SubmitApplication:
    """`POST /applications`."""

    def __init__(
        self,
        submissions: Submissions,
        keys: KeyRing,
        hasher: PanHasher,
        holder_types: frozenset[str] | None,
        authentication: Authentication,
        limits: RateLimits,
        sandbox: bool = False,
    ) -> None:
        self._submissions = submissions
        self._keys = keys
        self._hasher = hasher
        self._holder_types = holder_types
        self._authentication = authentication
        self._limits = limits
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = combined(scope["headers"])
        span = tracing.begin(f"POST {SUBMIT_ROUTE}", "SERVER", _traceparent(headers), root=True)
        if tracing.is_on():
            span.note({"prequal.request_id": scope["request_id"]})
        try:
            answer = await self._answer(scope, headers, receive, span)
        except ApiError as refusal:
            span.note({"http.response.status_code": refusal.code.status})
            span.end(refusal.code.name if refusal.code.status >= 500 else None)
            raise
        if tracing.is_on():
            span.note({"http.response.status_code": 202, "prequal.application_id": str(answer.application_id)})
        span.end()
        await _accept(send, answer)

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, span: Span) -> Accepted:
        caller = self._authentication.caller_of(scope, ClientScope.WRITE)
        self._limits.take_post(caller)
        body = await _body(headers, receive, scope.get("state", {}).get("is_body_whole", False))
        # Asked again: since the request's turn came the queue may have filled, while its body was on its way.
        if self._submissions.is_full():
            metrics.SHED.inc()
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        request = parse(body, self._holder_types)
        key = _key(scope["headers"])
        try:
            new = self._prepare(request, key, caller, scope["request_id"], span.traceparent)
        except KeysUnavailable:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE) from None
        answer = await self._submissions.submit(new)
        if _is_repeat(answer):
            self._limits.note_repeat(caller)
        if isinstance(answer, ErrorCode):
            raise ApiError(answer)
        if isinstance(answer, queries.Holder):
            raise _duplicate(answer)
        return answer

    def _prepare(
        self, request: ApplicationRequest, key: str | None, caller: Caller, request_id: str, traceparent: str | None
    ) -> queries.NewApplication:
        application = LoanApplication(
            new_id(),
            request.pan,
            request.applicant_name,
            request.monthly_income_inr,
            request.loan_amount_inr,
            request.loan_type,
        )
        pan_number_hash = self._hasher.hash(application.pan)
        return queries.NewApplication(
            application=application,
            encrypted_pan=self._keys.encrypt(application.pan, application.id),
            pan_number_hash=pan_number_hash,
            request_id=request_id,
            fingerprints=(
                self._fingerprints(self._hasher, pan_number_hash, request, key, caller),
                *(
                    self._fingerprints(each, each.hash(request.pan), request, key, caller)
                    for each in self._hasher.retired
                ),
            ),
            client=caller.client,
            traceparent=traceparent,
        )

    def _fingerprints(
        self, hasher: PanHasher, pan_number_hash: str, request: ApplicationRequest, key: str | None, caller: Caller
    ) -> queries.Fingerprints:
        """The request's fingerprints under one hash key; no claim for a PAN that is free of the 24-hour rule."""
        claim = None
        if not (self._sandbox and is_free_of_claims(request.pan)):
            claim = pan_number_hash if caller.client == LOCAL else hasher.claim(request.pan, caller.client)
        if key is None:
            return queries.Fingerprints(hasher.key_id, None, None, claim)
        owned = hasher.fingerprint("idempotency key", _owned(key, caller))
        return queries.Fingerprints(
            hasher.key_id, owned, hasher.fingerprint("request body", request.canonical()), claim
        )


def _owned(key: str, caller: Caller) -> bytes:
    """An `Idempotency-Key` among those of all clients: the space between the two cannot be in a key."""
    return (key if caller.client == LOCAL else f"{caller.client} {key}").encode()


def _is_repeat(answer: Answer) -> bool:
    """Whether the client posted a PAN again within 24 hours, as it would to probe."""
    if isinstance(answer, Accepted):
        return answer.is_repeat
    return isinstance(answer, queries.Holder) or answer is ErrorCode.DUPLICATE_APPLICATION


def _duplicate(earlier: queries.Holder) -> ApiError:
    details = [
        FieldIssue("application_id", str(earlier.application_id)),
        FieldIssue("created_at", rfc3339(earlier.created_at)),
    ]
    words = "An application of yours for this PAN was accepted less than 24 hours ago; details has its id and time."
    return ApiError(ErrorCode.DUPLICATE_APPLICATION, details, words=words)


async def _accept(send: Send, answer: Accepted) -> None:
    application_id = str(answer.application_id)
    headers: Headers = [(b"location", b"/applications/%b/status" % application_id.encode())]
    if answer.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    body = _ACCEPTED % (application_id, rfc3339(answer.created_at), answer.request_id)
    await send_json(send, 202, body, headers)


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _key(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The `Idempotency-Key`, checked; the same one twice is one."""
    given = {value for name, value in headers if name == b"idempotency-key"}
    if len(given) > 1:
        raise ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue("Idempotency-Key", "must be given once")])
    return checked_key(given.pop().decode("latin-1") if given else None)


def _traceparent(headers: Mapping[bytes, bytes]) -> str | None:
    """The caller's trace context (W3C), if it is one."""
    value = _header(headers, b"traceparent")
    return value if value is not None and tracing.TRACEPARENT.fullmatch(value) else None


async def _body(headers: Mapping[bytes, bytes], receive: Receive, is_whole: bool) -> bytes:
    """The request's body, if it is small enough, of the right type, and comes in time.

    Nearly every body is there before its request is looked at (`is_whole`): no clock is set for it.

    Raises:
        ApiError: it is not; size is checked before type.
    """
    if int(headers.get(b"content-length", b"0")[:10]) > BODY_BYTES_MAX:
        raise ApiError(ErrorCode.PAYLOAD_TOO_LARGE)
    if is_whole:
        body = await _read(receive)
    else:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive)
        except TimeoutError:
            raise ApiError(ErrorCode.REQUEST_TIMEOUT, headers={"Connection": "close"}) from None
    if not is_json(headers):
        raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE)
    return body


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            raise ApiError(ErrorCode.PAYLOAD_TOO_LARGE, headers={"Connection": "close"})
        if not message.get("more_body", False):
            return b"".join(parts)


class ClientGone(Exception):
    """The client hung up before its request was whole: nobody is there to be answered."""
