"""JSON logs on stdout, one object a line, with PAN-shaped text masked last before it is written.

Neighbours: `kernel.process` sets this up before anything else happens; everybody logs through structlog or logging.
Invariant: whatever is logged, by whomever, passes `redact` on its way out.
"""

import logging
import sys
import traceback
from contextvars import ContextVar
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from prequal.domain.pan import redact

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def configure(service: str, level: str) -> None:
    """Send every logger of the process (ours, uvicorn's, librdkafka's) to stdout as JSON lines."""

    def common(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        if (request_id := correlation_id.get()) is not None:
            event.setdefault("correlation_id", request_id)
        return event

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        common,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_formatter(shared))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.WARNING)


def where(error: BaseException) -> str:
    """An unexpected error's kind and the line it came from: enough to find it, and nothing of what it was about."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return type(error).__name__ + place


def _formatter(shared: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(),
        ],
    )


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {redact(str(name)): _redacted(value) for name, value in event.items()}


def _redacted(value: object) -> object:
    """`value` as JSON can hold it, every text in it masked; whatever is no plain data is shown by its `repr`."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact(value)
        case dict():
            return {redact(str(name)): _redacted(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(inner) for inner in value]
    return redact(repr(value))
