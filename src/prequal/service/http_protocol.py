"""HTTP as every process speaks it: uvicorn's protocol, and what the open network needs beyond it.

Invariant: what a connection can make us hold is bounded before anybody is asked who it is; an offer to change the
protocol is declined by answering the message it rides on (RFC 9110, 7.8).
"""

import asyncio
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from prequal.service.http_answers import ANSWERED, WORDS, Flow, HeadWithBody, nothing, refusal
from prequal.service.http_connections import Connections
from prequal.service.http_requests import size, without_offer

HEAD_BYTES_MAX: Final = 16 * 1024
FIELDS_MAX: Final = 100
"""Of a head, and of what follows a body in chunks: a short field takes thirty times as much memory as bytes."""
TARGET_BYTES_MAX: Final = 2 * 1024
PIPELINE_MAX: Final = 8
"""So many requests wait on a connection; no more are read until half of them are answered."""
LINGER_SECONDS: Final = 1.0
PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
"""What every process answers: also on a connection for which there is no room."""

_HEAD_END: Final = b"\r\n\r\n"


class _Refused(Exception):
    """The request is refused with a status before it is one; raised out of the parser."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection."""

    transport: asyncio.Transport
    flow: Flow

    only_probes = False

    def __init__(
        self, waits: Connections, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._waits = waits
        self._parsing = self._head_bytes = self._before_head = self._since_body = 0
        self._has_ended_one = False
        self._answering: RequestResponseCycle | None = None
        self._buffered = b""
        self._is_reading_buffered = False
        self._refusal: int | None = None

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection."""
        super().connection_made(transport)
        self.flow = Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what has come and is not served, and tell the request that is: uvicorn tells the last one alone."""
        self._buffered = b""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
            self._answering = None
        self._waits.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come, or buffer it while requests enough wait."""
        first = data.find(_HEAD_END)
        if self._buffered or self.pipeline or (first >= 0 and data.find(_HEAD_END, first + 4) >= 0):
            self._buffered += data
            self._read_buffered()
        else:
            self._read(data)

    def _read_buffered(self) -> None:
        """Read one request after the other while there is room for them, and nothing more from the client before."""
        if self._is_reading_buffered:  # one of them was answered at once
            return
        self._is_reading_buffered, position = True, 0
        while position < len(self._buffered) and self._takes_more():
            end = self._buffered.find(_HEAD_END, position)
            after = len(self._buffered) if end < 0 else end + 4
            self._read(self._buffered[position:after])
            position = after
        self._is_reading_buffered, self._buffered = False, self._buffered[position:]
        self.flow.is_full = bool(self._buffered)
        if self.flow.is_full:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()

    def _takes_more(self) -> bool:
        return len(self.pipeline) < PIPELINE_MAX and self._refusal is None and not self.flow.write_paused

    def _read(self, data: bytes) -> None:
        """Parse what holds the end of one head at most."""
        if self._refusal is not None:
            return
        self._parsing, self._has_ended_one = len(data), False
        self._since_body += self._parsing
        try:
            self.parser.feed_data(data)
            if self.scope is not None:
                self._measure()
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(error.__context__.status if isinstance(error.__context__, _Refused) else 400)
        except _Refused as refused:
            self._refuse(refused.status)

    def _decline(self, rest: bytes) -> None:
        """Parse the message whose head has just come again, without its offer, and what there is of its body."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # an offer by its method
            self._refuse(400)
            return
        version = self.parser.get_http_version().encode()
        fields = [b"%b: %b\r\n" % field for field in without_offer(self.headers)]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._read(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(fields)))
        self._read(rest)

    def _measure(self) -> None:
        """See that a head that is not whole yet, or what comes of a message and is no body, is within its bounds.

        Raises:
            _Refused: it is not.
        """
        if "method" not in self.scope:
            self._measure_head()
        elif self._since_body > HEAD_BYTES_MAX:
            raise _Refused(431)
        if len(self.headers) > FIELDS_MAX:
            raise _Refused(431)

    def _measure_head(self) -> None:
        if self in self._waits.beginning:
            self._head_bytes += self._parsing
        else:
            self._waits.idle.pop(self, None)
            self._waits.note(self._waits.beginning, self)
            self._head_bytes = self._parsing
            self._before_head = self._parsing if self._has_ended_one else 0  # or less: the parser does not say where
        if len(self.url) > TARGET_BYTES_MAX:
            raise _Refused(414)
        if self._head_bytes - self._before_head > HEAD_BYTES_MAX:
            raise _Refused(431)

    def on_message_begin(self) -> None:
        """Measure it from here."""
        self._since_body = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body for its reader."""
        self._since_body = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too large or the message comes a second time, without its offer."""
        if len(self.url) > TARGET_BYTES_MAX:
            raise _Refused(414)
        if self._head_bytes + self._parsing > HEAD_BYTES_MAX and size(self.headers) > HEAD_BYTES_MAX:
            raise _Refused(431)
        if len(self.headers) > FIELDS_MAX:
            raise _Refused(431)
        if self.parser.should_upgrade():
            return
        if self.only_probes and self.url.decode("latin-1").partition("?")[0] not in PROBES:
            raise _Refused(503)
        self._head_bytes = self._since_body = 0
        self.headers = []  # what follows the body is none of the request's
        self._waits.idle.pop(self, None)
        self._waits.beginning.pop(self, None)
        if self.is_all_answered:
            answer = self.answer_at_once(self.parser.get_method(), self.url.partition(b"?")[0], self.scope)
            if answer is not None:
                self._answer_now(answer)
                return
        HttpToolsProtocol.on_headers_complete(self)
        if self.scope["method"] != "HEAD":  # the head of its answer is all of it
            self.cycle.transport = HeadWithBody(self.transport)  # type: ignore[assignment]
        if self.only_probes:
            self.cycle.keep_alive = False

    @property
    def is_all_answered(self) -> bool:
        """Whether each request whose head has come is answered."""
        return self.cycle is None or self.cycle.response_complete

    def answer_at_once(self, method: bytes, path: bytes, scope: Any) -> bytes | None:
        """The whole answer to a request whose turn has come, if its body need not be read; otherwise None.

        Its turn is when its head has come and all before it on the connection are answered.
        """
        return None

    def _answer_now(self, answer: bytes) -> None:
        """Answer the request whose head has just come, and pass over its body."""
        self.scope["method"] = ""
        self.cycle = ANSWERED
        self._answer_whole(answer, self.only_probes or self.expect_100_continue or not self.parser.should_keep_alive())

    def answer_in_turn(self, cycle: RequestResponseCycle, answer: bytes) -> None:
        """Answer a request that has waited for its turn, and pass over what of its body is still to come."""
        cycle.response_complete = True
        cycle.on_response = nothing  # the two would refer to each other
        self._answer_whole(answer, not cycle.keep_alive or cycle.waiting_for_100_continue)

    def _answer_whole(self, answer: bytes, is_last: bool) -> None:
        self.send_whole(answer, is_last)
        if not is_last:
            self.on_response_complete()

    def send_whole(self, answer: bytes, is_last: bool) -> None:
        """Send a whole answer; hang up behind it where the body might not come."""
        if is_last:
            self._answer_last(503, answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        else:
            self.transport.write(answer)

    def on_message_complete(self) -> None:
        """Note that the body is whole; an offer's seems to be, before it was read."""
        self._has_ended_one = True
        if not (self.parser.should_upgrade() or self.cycle.response_complete):
            self.cycle.more_body = False
            self.cycle.scope["state"]["is_body_whole"] = True
            self.cycle.message_event.set()

    # ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self._answering is not None and self.transport.is_closing():  # its answer broke off
            self._waits.hang_up(self)

    def on_response_complete(self) -> None:
        """Go on with the next request that waits, or wait for one."""
        self.server_state.total_requests += 1
        self._answering = None
        if self.cycle.response_complete:
            self.cycle.body.clear()  # what of it was not read yet
        if self.transport.is_closing():
            self._waits.hang_up(self)
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._begin_next()
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._waits.note(self._waits.idle, self)
        if self._buffered and len(self.pipeline) <= PIPELINE_MAX // 2:
            self._read_buffered()

    def _begin_next(self) -> None:
        """Begin to answer the request that waits longest."""
        cycle, app = self.pipeline.pop()
        answer = self.answer_at_once(cycle.scope["method"].encode(), cycle.scope["raw_path"], cycle.scope)
        if answer is None:
            self._start_asgi_task(cycle, app)
        else:
            self.answer_in_turn(cycle, answer)

    def pause_writing(self) -> None:
        """Wait until the client has read something, for a while, and read nothing of it meanwhile."""
        super().pause_writing()
        self.flow.pause_reading()
        self._waits.note(self._waits.unread, self)

    def resume_writing(self) -> None:
        """Go on with what has come: the answers have been sent."""
        self._waits.unread.pop(self, None)
        super().resume_writing()
        self._read_buffered()

    def shutdown(self) -> None:
        """Hang up, because the process is to end, or behind the answer that is on its way."""
        super().shutdown()
        if self.transport.is_closing():
            self._waits.hang_up(self)

    def late(self) -> None:
        """Refuse the request whose head is not whole yet, unless it is we who do not read it."""
        if self.flow.read_paused:
            self._waits.note(self._waits.beginning, self)
        else:
            self._waits.count(self, "head")
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Refuse what cannot be a request, behind the answers to those before it, and hang up."""
        self._refusal, self._buffered, self.flow.is_full = status, b"", False
        if self.headers:
            self.headers.clear()  # they take much more memory than they came with
        self._waits.beginning.pop(self, None)
        if self.transport.is_closing():
            return
        if self._waits_for_an_answer():
            self.flow.pause_reading()
        else:
            self._answer_last(status, self.refusal(status))

    def _waits_for_an_answer(self) -> bool:
        """Whether a request is to be answered still; one whose body cannot become whole any more is given up."""
        cycle = self.cycle
        if self.is_all_answered:
            return False
        if not cycle.more_body or cycle.response_started:
            return True
        if self.pipeline:  # it is the last of these, and has not begun
            self.pipeline.popleft()
            return True
        cycle.disconnected, cycle.waiting_for_100_continue = True, False
        cycle.message_event.set()
        return False

    def _answer_last(self, status: int, answer: bytes) -> None:
        """Answer and hang up. Closed while more comes, a connection is reset and the answer lost: that is dropped."""
        self._refusal = status
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        self.transport.write(answer)
        if self.transport.can_write_eof():  # not with TLS
            self.transport.write_eof()
        self.flow.resume_reading()

    def refusal(self, status: int) -> bytes:
        """The bytes of the answer with which a connection ends."""
        return refusal(status, WORDS[status].encode(), {"Content-Type": "text/plain"})
