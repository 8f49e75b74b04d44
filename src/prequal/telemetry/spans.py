"""A step of an application's trace, for the code that takes the step.

Invariant: what is noted of a step holds nothing of what an applicant wrote.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int]
"""Ids, counts and statuses; of what an applicant wrote, nothing."""
Kind: TypeAlias = Literal["SERVER", "PRODUCER", "CONSUMER"]


class Span:
    """One step of one application; this one is not recorded, and only keeps what was handed on, to be handed on."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def note(self, attributes: Attributes) -> None:
        """Add to what the span says."""

    def end(self, error: str | None = None) -> None:
        """The step is over; `error` is the kind of its failure, never its words. From any thread."""
