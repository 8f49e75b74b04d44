"""A real OTLP endpoint over HTTP, which takes traces, hangs, or is too busy, as a test likes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from harness.ports import free_port

Place: TypeAlias = tuple[str, str]
"""A trace and a span of it, in hexadecimal."""


@dataclass(frozen=True)
class Span:
    """A span as it arrived; `parent` is empty for the first of a trace."""

    service: str
    name: str
    kind: str
    place: Place
    parent: str
    links: frozenset[Place]
    attributes: dict[str, str | int]
    failed: bool
    nanoseconds: tuple[int, int]

    @property
    def traceparent(self) -> str:
        return "00-{}-{}-01".format(*self.place)


@dataclass
class Receiver:
    """What has arrived.

    Attributes:
        url: the endpoint's, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
        bodies: every request's, as it came.
        spans: of all of them.
        senders: the services that sent something, also to one that hangs or refuses.
        status: what it answers.
        answers: cleared while it hangs.
    """

    port: int
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    senders: set[str] = field(default_factory=set)
    status: int = 200
    answers: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, trace_id: str) -> dict[str, Span]:
        """The spans of one trace, by name."""
        return {span.name: span for span in list(self.spans) if span.place[0] == trace_id}

    def named(self, name: str) -> list[Span]:
        return [span for span in list(self.spans) if span.name == name]

    def take(self, path: str, body: bytes) -> int:
        """Take a request; the status it is answered with."""
        request = ExportTraceServiceRequest.FromString(body)
        self.senders |= {_service(resource) for resource in request.resource_spans}
        self.answers.wait()
        if self.status == 200:
            assert path == "/v1/traces"
            self.bodies.append(body)
            self.spans += _spans(request)
        return self.status


@contextmanager
def a_receiver(port: int = 0, *, hangs: bool = False, status: int = 200) -> Iterator[Receiver]:
    """One that listens for as long as the block."""
    receiver = Receiver(port or free_port(), status=status)
    if not hangs:
        receiver.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(receiver.take(self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.status = 503
        receiver.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = _service(resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(service, span)


def _service(resource: trace_pb2.ResourceSpans) -> str:
    about = {each.key: each.value.string_value for each in resource.resource.attributes}
    return str(about["service.name"])


def _span(service: str, span: trace_pb2.Span) -> Span:
    return Span(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        place=(span.trace_id.hex(), span.span_id.hex()),
        parent=span.parent_span_id.hex(),
        links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes={each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        nanoseconds=(span.start_time_unix_nano, span.end_time_unix_nano),
    )
