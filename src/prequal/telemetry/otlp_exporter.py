"""Spans as OpenTelemetry records them, and their way out: a bounded queue, a thread, an OTLP endpoint over HTTP.

Invariant: an endpoint that hangs or is away costs spans and nothing else, and is logged once.
"""

import logging
import threading
from collections.abc import Sequence

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from prequal import __version__
from prequal.domain.pan_detection import redact
from prequal.telemetry.spans import Attributes, Kind, Span

log = structlog.get_logger()

WAITING_MAX = 2048
"""Spans that wait to be sent; of more, the oldest go."""
SEND_EVERY_SECONDS = 2.0
SEND_SECONDS = 2.0
"""How long the endpoint may take for one batch."""
LAST_SECONDS = 1.0
"""How long the end of the process waits for what is still to be sent."""

_PROPAGATOR = TraceContextTextMapPropagator()


class RecordedSpan(Span):
    """A span that is being recorded."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        place = span.get_span_context()
        super().__init__(f"00-{trace.format_trace_id(place.trace_id)}-{trace.format_span_id(place.span_id)}-01")
        self._span = span

    def note(self, attributes: Attributes) -> None:
        """Add to what the span says; text passes `redact` on its way out, whatever it is."""
        for name, value in attributes.items():
            self._span.set_attribute(name, redact(value) if isinstance(value, str) else value)

    def end(self, error: str | None = None) -> None:
        """Hand the span over to be sent."""
        if error is not None:
            self._span.set_status(trace.StatusCode.ERROR)
            self.note({"error.type": error})
        self._span.end()


class Recorder:
    """Records spans and has them sent by a thread of its own.

    Attributes:
        ratio: the share of applications whose trace begins here.
    """

    def __init__(self, endpoint: str, service: str, ratio: float) -> None:
        self.ratio = ratio
        resource = Resource.create({"service.name": service, "service.version": __version__})
        # What is to be sampled is decided before a span is begun: those that are not cost nothing.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        exporter = LogOnceExporter(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=SEND_SECONDS))
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, WAITING_MAX, schedule_delay_millis=SEND_EVERY_SECONDS * 1000)
        )
        self._tracer = self._provider.get_tracer("prequal", __version__)

    def begin(self, name: str, kind: Kind, parent: str | None) -> RecordedSpan:
        """A span that follows `parent`, or begins a trace."""
        return RecordedSpan(self._tracer.start_span(name, _after(parent), trace.SpanKind[kind]))

    def begin_batch(self, name: str, members: Sequence[str]) -> RecordedSpan:
        """A span of a trace of its own, linked to its members."""
        links = [trace.Link(trace.get_current_span(_after(member)).get_span_context()) for member in members]
        return RecordedSpan(self._tracer.start_span(name, Context(), links=links))

    def stop(self) -> bool:
        """Send what waits, for `LAST_SECONDS` at most; whether that was all."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(LAST_SECONDS)
        return not last.is_alive()


class LogOnceExporter(SpanExporter):
    """Sends by `exporter`; says when that begins to fail, with the client's own message, and when it ends."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = 0
        self._client_log = _LastMessage()
        client = logging.getLogger("opentelemetry")
        client.handlers, client.propagate = [self._client_log], False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                log.warning("traces_not_sent", reason=self._client_log.last)
            self._lost += len(spans)
        elif self._lost:
            log.info("traces_sent_again", at_least_lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _LastMessage(logging.Handler):
    """Keeps what the client said last, which it would repeat at each try."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def _after(parent: str | None) -> Context:
    return _PROPAGATOR.extract({"traceparent": parent}, Context()) if parent else Context()
