"""The switch by which writers publish their own events: the same for writers and publisher.

Invariant: an event is published whatever these say.
"""

from pydantic import Field
from pydantic_settings import BaseSettings


class WriterSettings(BaseSettings):
    """The settings of a service whose commits have events, and of the publisher."""

    publish_own_events: bool = Field(
        True,
        description="Whether the API and credit-service publish their own events after each commit, and the publisher "
        "what is left for a second. Without it the publisher publishes all of them, at once. The same for all three.",
    )
