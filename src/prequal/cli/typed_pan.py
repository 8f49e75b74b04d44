"""A PAN as a person types it.

Invariant: what is no PAN is not repeated, for most of it may be one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prequal.domain.pan import Pan


def typed_pan(text: str, what: str) -> "Pan":
    """The PAN, whatever its letters' case and the spaces around it.

    Raises:
        UsageError: it is none; `what` names it in the sentence.
    """
    from prequal.core.errors import UsageError
    from prequal.domain.pan import Pan

    try:
        return Pan(text.strip().upper())
    except ValueError as problem:
        raise UsageError(f"{what} is {problem}.") from None
