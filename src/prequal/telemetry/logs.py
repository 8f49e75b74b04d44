"""JSON logs on stdout, one object a line, with PAN-shaped text masked last before it is written.

Invariant: whatever is logged, by whomever, passes `redact` on its way out.
"""

import logging
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from time import monotonic

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from prequal.domain.pan_detection import redact
from prequal.telemetry.log_handler import NonBlockingHandler
from prequal.telemetry.repeats import RepeatedWarnings

RATE_LIMIT_SECONDS = 10.0

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
    handler = NonBlockingHandler(sys.stdout)
    handler.setFormatter(_formatter(shared))
    handler.addFilter(RepeatedWarnings(handler.handle))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.WARNING)
    kafka = logging.getLogger("librdkafka")
    kafka.filters = [RateLimitFilter()]


class RateLimitFilter(logging.Filter):
    """Of what librdkafka says, one line a kind each ten seconds, with the number of those that were left out.

    While a broker is away it says so at each attempt of each connection, forty times a second.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._next_at: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        message = record.getMessage()
        kind = message.partition(" ")[0]  # librdkafka's own word for it, such as FAIL
        if self._clock() < self._next_at.get(kind, 0.0):
            self._left_out[kind] += 1
            return False
        self._next_at[kind] = self._clock() + RATE_LIMIT_SECONDS
        if count := self._left_out.pop(kind, 0):
            record.msg, record.args = f"{message} (and {count} more {kind} since)", ()
        return True


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
