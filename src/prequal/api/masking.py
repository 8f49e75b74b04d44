"""What a client chose to send, made fit to be shown to it again: paths, names of unknown fields, request ids.

Invariant: no PAN leaves here, however it was spelled, separated or percent-encoded; well-formed ids stay whole.
"""

import re
from urllib.parse import unquote

from prequal.domain.pan import MASK
from prequal.domain.pan_detection import contains_pan, looks_like_pan, redact

DECODINGS_MAX = 4
"""What is still percent-encoded after so many times is not worth showing."""
SEGMENTS_MAX = 100
"""The rest of a longer path counts as one segment."""
NORMALISED_CHARACTERS_MAX = 256
"""Longer text beyond ASCII is not shown: normalising it (Unicode) takes time that grows with its square."""

# By chance a random UUID spells a PAN across its hyphens: one in about a hundred.
_IDS = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![0-9a-z])[0-9a-f]{16,64}(?![0-9a-z])", re.IGNORECASE
)
_IN_NO_PAN = "É"
"""A letter, so that it is not taken for a separator, that no PAN has."""


def shown_path(path: str) -> str:
    """`path` with PANs masked; of a segment that hides one behind separators or encoding nothing is shown."""
    return "/".join(map(_shown, path.split("/", SEGMENTS_MAX)))


def shown_name(name: str) -> str:
    """`name` with PANs masked, or the mask alone when it hides one behind separators."""
    return _shown(name)


def is_safe_id(text: str) -> bool:
    """Whether an id that a client chose holds no PAN, so that it may be logged and sent on."""
    return not contains_pan(text) and not _hides_pan(text)


def _shown(text: str) -> str:
    redacted = form = redact(text)
    for _ in range(DECODINGS_MAX):
        if contains_pan(form) or _hides_pan(form):
            return MASK
        decoded = unquote(form)
        if decoded == form:
            return redacted
        form = decoded
    return MASK


def _hides_pan(text: str) -> bool:
    """Whether a person would read a PAN in `text` where `redact` finds none; what is masked or an id is passed over.

    Of long text beyond ASCII it is assumed.
    """
    if len(text) > NORMALISED_CHARACTERS_MAX and not text.isascii():
        return True
    return looks_like_pan(_IDS.sub(_IN_NO_PAN, text.replace(MASK, _IN_NO_PAN)))
