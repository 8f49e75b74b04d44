"""The settings of what people review, apart from the processes that have them.

Invariant: they hold for cases that are opened from then on.
"""

from decimal import Decimal

from pydantic import Field
from pydantic_settings import BaseSettings


class ReviewSettings(BaseSettings):
    """By when people are to decide, and how many."""

    review_target_hours: int = Field(
        24, ge=1, le=720, description="Hours within which people are to decide what the policy leaves to them."
    )
    review_two_people_above_inr: Decimal = Field(
        Decimal(1_000_000),
        ge=0,
        le=Decimal("9999999999.99"),
        description="Amount in rupees above which a case needs the votes of two different people.",
    )
