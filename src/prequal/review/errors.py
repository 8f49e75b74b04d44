"""Why a case does not move: each a sentence, for a command line and for an API's 409.

Invariant: where one of these is raised, nothing was written.
"""

from datetime import datetime

from prequal.core.errors import Refused
from prequal.domain.times import to_the_second


class NoSuchCase(Refused):
    """There is no case of this application: the policy did not leave it to people."""


class UnfitText(Refused):
    """A note or a reason does not fit: an API answers 422."""


class CaseNotMoved(Refused):
    """The case does not allow this: an API answers 409."""


class AlreadyDecided(CaseNotMoved):
    """The case is decided already, and is decided once."""


class ClaimedByAnother(CaseNotMoved):
    """Another person has claimed the case: it says who, and until when."""

    def __init__(self, person: str, until: datetime) -> None:
        super().__init__(
            f"Another person has claimed the case: {person}, until {to_the_second(until)}. "
            "Wait until the claim ends, or until it is decided."
        )


class NotClaimed(CaseNotMoved):
    """You have not claimed the case: claim it first."""


class LeaseOver(CaseNotMoved):
    """Your claim of the case has ended: claim it again."""


class SamePersonTwice(CaseNotMoved):
    """You have voted on this case already: the second vote is another person's."""


class SecondPersonNeeded(CaseNotMoved):
    """The case waits for a second person, and you have voted on it already."""
