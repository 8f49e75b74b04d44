"""PANs in text of unknown origin: found, and masked.

Invariant: text that passed `redact` holds nothing PAN-shaped in one piece; ids stay whole.
"""

import re
import unicodedata
from collections.abc import Iterator

from prequal.domain.pan import MASK, SHAPE

# Ids are kept as they are: a random UUID or trace id holds five letters, four digits and a letter by chance
# once in some hundreds, and an id that is masked in places is of no use to the person on call.
_IDS_OR_PAN = re.compile(
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![0-9A-Za-z])[0-9a-f]{16,64}(?![0-9A-Za-z]))"
    r"|[A-Za-z]{5}(?=[0-9]{4}[A-Za-z])"
)


_SEPARATORS = re.compile(r"[\W_]+")


def redact(text: str) -> str:
    """`text` with everything PAN-shaped in it masked, in either case; UUIDs and hexadecimal ids stay whole."""
    return _IDS_OR_PAN.sub(_mask_unless_id, text)


def contains_pan(text: str) -> bool:
    """Whether `redact` would change `text`."""
    return redact(text) != text


def pan_positions(text: str) -> Iterator[int]:
    """Where in `text` each PAN begins that `redact` would mask; one that is masked already is none."""
    return (match.start() for match in _IDS_OR_PAN.finditer(text) if not match["id"] and match[0] != MASK)


def looks_like_pan(text: str) -> bool:
    """Whether free text holds something a person would read as a PAN: any case, width or separators."""
    return SHAPE.search(_SEPARATORS.sub("", unicodedata.normalize("NFKC", text).upper())) is not None


def _mask_unless_id(match: re.Match[str]) -> str:
    return match["id"] or MASK
