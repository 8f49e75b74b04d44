"""Failures of work that is done again and again: the first of a row is logged, those that follow it are not."""

from types import TracebackType
from typing import Final

import structlog

log: Final = structlog.get_logger()


class LoggedOnce:
    """A block that is entered each time the work is done, and ends quietly when it fails in one of some ways.

    Attributes:
        has_failed: whether it failed the last time.
    """

    def __init__(self, event: str, *kinds: type[Exception], **fields: str) -> None:
        """Log the first failure of a row.

        Args:
            event: what is logged, with the failure as its reason.
            kinds: the failures that end here; all others are raised.
            fields: what is logged beside it.
        """
        self._event = event
        self._kinds = kinds
        self._fields = fields
        self.has_failed = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        if error is None:
            self.has_failed = False
            return False
        if not isinstance(error, self._kinds):
            return False
        if not self.has_failed:
            log.warning(self._event, **self._fields, reason=str(error))
        self.has_failed = True
        return True
