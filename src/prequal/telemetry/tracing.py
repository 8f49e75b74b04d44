"""Traces: each sampled application is one, from its POST to its decision, in whatever processes its steps are taken.

Invariant: without an endpoint nothing of OpenTelemetry is imported; nobody ever waits for the endpoint.

    POST /applications ──► publish loan_applications_submitted ──► process loan_applications_submitted
                       ──► publish credit_reports_generated ──► process credit_reports_generated

What is done for many at once (a write, an archiving) is a span of a trace of its own, linked to those it was done for.
"""

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prequal.core.settings import ServiceSettings
from prequal.telemetry.spans import Kind, Span

if TYPE_CHECKING:
    from prequal.telemetry.otlp_exporter import Recorder

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context: version, trace, the caller's span, flags."""

UNTRACED = Span(None)

_recorder: "Recorder | None" = None


def start(settings: ServiceSettings) -> None:
    """Record from now on, when there is an endpoint to send to."""
    global _recorder
    if settings.otel_exporter_otlp_endpoint:
        from prequal.telemetry.otlp_exporter import Recorder

        _recorder = Recorder(
            settings.otel_exporter_otlp_endpoint, settings.service_name, settings.otel_traces_sampler_arg
        )


def stop() -> bool:
    """Send what is recorded, for a second at most; whether nothing is left behind that would keep the process."""
    return _recorder is None or _recorder.stop()


def is_on() -> bool:
    """Whether spans are recorded at all: who must look for a `traceparent` first can save that."""
    return _recorder is not None


def begin(name: str, kind: Kind, parent: str | None, *, root: bool = False) -> Span:
    """Begin a step after that of `parent`, whose caller decided whether the trace is sampled.

    Args:
        name: of a closed set of ours.
        kind: what the step is to its neighbours.
        parent: a `traceparent`; what is none is handed on as it is.
        root: whether a trace may begin here, by chance, when there is no parent.
    """
    if _recorder is None or not (_is_sampled(parent) if parent else root and random.random() < _recorder.ratio):
        return Span(parent)
    return _recorder.begin(name, kind, parent)


@contextmanager
def batch(name: str, members: Sequence[str | None]) -> Iterator[None]:
    """A step that is taken for many at once; it is recorded when one of them, by its `traceparent`, is sampled."""
    sampled = [member for member in members if member and _is_sampled(member)] if _recorder else []
    if _recorder is None or not sampled:
        yield
        return
    recorded = _recorder.begin_batch(name, sampled)
    recorded.note({"messaging.batch.message_count": len(members)})
    try:
        yield
    except Exception as error:
        recorded.end(type(error).__name__)
        raise
    recorded.end()


def _is_sampled(traceparent: str) -> bool:
    return TRACEPARENT.fullmatch(traceparent) is not None and bool(int(traceparent[-2:], 16) & 1)
