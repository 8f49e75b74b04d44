"""HTTP as the API speaks it: what cannot be a request has the one shape, and applications without room wait their turn.

Invariant: an application without room has no task. It waits for its refusal only once all before it on its connection
are answered, and nothing behind it is answered before.
"""

from time import thread_time
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from prequal.api.errors import ApiError, ErrorCode, error_response
from prequal.postgres.ids import new_text
from prequal.service import http_answers, http_protocol
from prequal.telemetry.metrics import SUBMIT_ROUTE

WAITING_BYTES_MAX: Final = 4 * 1024
"""What comes in larger pieces is refused at once, so that those who wait take little memory."""

_SUBMIT_TARGET: Final = SUBMIT_ROUTE.encode()
_SUBMISSION: Final = (b"POST", _SUBMIT_TARGET)
_LIVENESS: Final = (b"GET", b"/health")
_POSTS: Final = tuple(b"POST %b%b" % (_SUBMIT_TARGET, end) for end in (b" ", b"?"))
_CODES: Final = {
    400: ErrorCode.MALFORMED_REQUEST,
    408: ErrorCode.REQUEST_TIMEOUT,
    414: ErrorCode.URI_TOO_LONG,
    431: ErrorCode.HEADERS_TOO_LARGE,
    503: ErrorCode.SERVICE_UNAVAILABLE,
}


class Protocol(http_protocol.Protocol):
    """HTTP as every process speaks it, with the API's refusals."""

    _is_between = True
    """Whether no message has begun that is not whole."""
    _refusing_since: float | None = None
    """The thread's CPU time when it was known that an application here is refused, in seconds."""
    _is_waiting = False
    """Whether an application waits here until it is refused."""
    _waited: float | None = None
    """How long the application that is read now has waited for its refusal, in seconds; None if it may be admitted."""
    _held: RequestResponseCycle | None = None
    """The application that waits, where its head was read before it was known that it must."""
    _is_ending = False
    """Whether the process is to end, which waits for nobody's turn."""

    def data_received(self, data: bytes) -> None:
        """Read what has come, unless it is an application without room that must wait until it is refused."""
        self._refusing_since = None
        if data.startswith(_POSTS) and self._may_wait(data) and self.app.submissions.is_full():
            self._refusing_since = thread_time()
            if not self._is_due():
                self._waits.idle.pop(self, None)
                self._buffered, self.flow.is_full, self._is_waiting = data, True, True
                self.flow.pause_reading()
                self.app.refusals.wait(self)
                return
        super().data_received(data)

    def _may_wait(self, data: bytes) -> bool:
        return (
            self._is_between
            and len(data) <= WAITING_BYTES_MAX
            and self._refusal is None
            and not (self._buffered or self.only_probes or self.flow.write_paused)
            and self.is_all_answered
        )

    def _is_due(self) -> bool:
        is_due: bool = self._is_ending or self.app.refusals.are_due()
        return is_due

    def _takes_more(self) -> bool:
        return not self._is_waiting and super()._takes_more()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._is_waiting:
            self._held = cycle
            self.app.refusals.wait(self)
        else:
            super()._start_asgi_task(cycle, app)

    def refuse_now(self, waited_seconds: float) -> None:
        """Refuse the application for which this connection waits, and go on with what came behind it."""
        if not self._is_waiting or self.transport.is_closing():
            return
        self._is_waiting, self._refusing_since = False, thread_time()
        held, self._held = self._held, None
        if held is None:
            self._waited = waited_seconds
            self._read_buffered()
        elif not held.disconnected:
            self.answer_in_turn(held, self._refused(held.scope, waited_seconds))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the application that waits."""
        if self._held is not None:
            self._held.on_response, self._held = http_answers.nothing, None
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Note that a message is on its way."""
        self._is_between = False
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Pass over the body of an application that waits: it is never admitted."""
        if self._held is not None and self._held is self.cycle:
            self._since_body = 0
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that it is whole."""
        self._is_between = True
        super().on_message_complete()

    def answer_at_once(self, method: bytes, path: bytes, scope: Any) -> bytes | None:
        """The 503 of an application for which there is no room, and that the process lives: each without a task."""
        asked = method, path
        if asked == _LIVENESS:
            alive: bytes = self.app.alive({**scope, "method": "GET", "path": "/health"})
            return alive
        if asked != _SUBMISSION:
            return None
        waited, self._waited = self._waited, None
        if waited is None and self.app.submissions.admit():
            return None
        if waited is None and self._refusing_since is None and not (self._is_large() or self._is_due()):
            self._is_waiting = True
            return None
        self._refusing_since = self._refusing_since or thread_time()
        return self._refused(scope, waited or 0.0)

    def _is_large(self) -> bool:
        """Whether what came on a connection where nothing waited is more than may wait."""
        return self.is_all_answered and not self._is_reading_buffered and self._parsing > WAITING_BYTES_MAX

    def _refused(self, scope: Any, seconds: float) -> bytes:
        refused: bytes = self.app.refuse({**scope, "method": "POST", "path": SUBMIT_ROUTE}, seconds)
        return refused

    def send_whole(self, answer: bytes, is_last: bool) -> None:
        """Send a whole answer; what a refusal took is charged."""
        super().send_whole(answer, is_last)
        if self._refusing_since is not None:
            self.app.refusals.took(thread_time() - self._refusing_since)
            self._refusing_since = None

    def refusal(self, status: int) -> bytes:
        """The answer with which the connection ends, counted and recorded."""
        request_id = new_text()
        error = ApiError(_CODES[status], words=http_answers.WORDS[status])
        answer = error_response(error, request_id, "")
        self.app.refused_unread(status, request_id, self.client)
        return http_answers.refusal(status, bytes(answer.body), {**answer.headers, "X-Request-ID": request_id})

    def shutdown(self) -> None:
        """End, because the process is to; whom it has kept waiting is refused before."""
        self._is_ending = True
        self.refuse_now(0.0)
        super().shutdown()
