"""What a service does with a batch of events, and what may come of each message.

Invariant: a handler answers for every message it was given, and has committed what it calls done.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias, TypeVar

from prequal.core.errors import Invalid, UnknownKey
from prequal.messaging.events import Event
from prequal.messaging.messages import Received

E = TypeVar("E", bound=Event)


class Outcome(StrEnum):
    """How a message was settled."""

    DONE = "done"
    DUPLICATE = "duplicate"


HandlerResult: TypeAlias = Outcome | Invalid | UnknownKey | None
"""What a room says of one message: settled, dead, waiting for its key, or (None) to be looked at once more."""


class Handler(Protocol[E]):
    """What a service does with a batch of events."""

    event_class: type[E]

    async def settle(self, batch: Sequence[Received[E]]) -> Sequence[HandlerResult]:
        """One verdict a message, in order; every effect of those that are `DONE` is committed.

        No two messages of the batch have the same event id.

        Raises:
            Transient: nothing was settled; the surroundings failed.
            Exception: nothing was settled; some message of the batch is to blame.
        """

    async def close(self) -> None:
        """Let connections go."""
