"""Settings of the consequences of a decision, apart from the processes that have them.

Invariant: they hold for what is decided from then on, and for the cases that are opened by it.
"""

from decimal import Decimal

from pydantic import Field
from pydantic_settings import BaseSettings


class ReviewSettings(BaseSettings):
    """By when people are to decide, and how many; whether decisions are published."""

    publish_decisions: bool = Field(
        False,
        description="Whether each decision, the policy's and people's, is published on the topic application_decided.",
    )
    review_target_hours: int = Field(
        24, ge=1, le=720, description="Hours within which people are to decide what the policy leaves to them."
    )
    review_two_people_above_inr: Decimal = Field(
        Decimal(1_000_000),
        ge=0,
        le=Decimal("9999999999.99"),
        description="Amount in rupees above which a case needs the votes of two different people.",
    )
