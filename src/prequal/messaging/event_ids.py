"""The ids of events.

Invariant: the same fact always has the same `event_id`, however often it is published, by any process.
"""

import functools
from typing import Final
from uuid import UUID

import uuid_utils

from prequal.domain.events import EventType
from prequal.postgres.ids import named_id

_NAMESPACE: Final = uuid_utils.UUID("6f0f5c6e-6d0f-5c39-9d3b-5f1d6f0c2a11")


@functools.lru_cache(4096)
def event_id(event_type: EventType, application_id: UUID, version: int | None = None) -> UUID:
    """The fact's own id: a version 5 UUID (RFC 9562) of the event's type and the application's id.

    Of what may happen to an application more than once, its decision, the application's `version` is a part of it too.
    Kept for a while: a process asks for the same one two or three times.
    """
    name = f"{event_type}:{application_id}"
    return named_id(_NAMESPACE, name if version is None else f"{name}:{version}")
