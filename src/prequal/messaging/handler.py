"""What a service does with a batch of events, and what may come of each event.

Invariant: a handler answers for every event of its batch, and has committed what it calls done.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID

from prequal.core.errors import Invalid, UnknownKey
from prequal.messaging.events import Event
from prequal.messaging.messages import Received

E = TypeVar("E", bound=Event)


class Outcome(StrEnum):
    """What became of an event that was handled."""

    DONE = "done"
    """Its effect is committed."""
    DUPLICATE = "duplicate"
    """It was applied before."""
    LOST_RACE = "lost_race"
    """Another consumer changed the same rows in between: nothing was committed, handle it again."""


ACKNOWLEDGED = (Outcome.DONE, Outcome.DUPLICATE)
"""The outcomes that end a message."""


@dataclass(frozen=True, slots=True)
class Awaiting:
    """An answer from elsewhere is on its way: the event is handled again, with it, once it is done or cancelled.

    Only for an event whose application is undecided, and which is therefore published again should it be postponed.
    """

    answer: asyncio.Future[Any]


HandlerResult: TypeAlias = Outcome | Invalid | UnknownKey | Awaiting
"""What comes of one event: an outcome, a dead letter, a wait for its key, or one for an answer."""


class Handler(Protocol[E]):
    """What a service does with a batch of events."""

    event_class: type[E]

    async def handle(self, batch: Sequence[Received[E]]) -> Mapping[UUID, HandlerResult]:
        """The result of each event, by its event id; the effects of all that are `DONE` are committed.

        No two messages of the batch have the same event id.

        Raises:
            Transient: nothing was committed; the database, the broker or the network failed.
            Exception: nothing was committed; some message of the batch is to blame.
        """

    async def close(self) -> None:
        """Close its connections."""
