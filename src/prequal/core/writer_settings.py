"""Whether the processes that write events publish them themselves.

Invariant: an event is published whatever these say.
"""

from pydantic import Field
from pydantic_settings import BaseSettings


class WriterSettings(BaseSettings):
    """The settings of a service whose commits have events."""

    publish_own_events: bool = Field(
        True,
        description="Whether the API and credit-service publish their own events after each commit; without it the "
        "publisher does, a second to one and a half later.",
    )
