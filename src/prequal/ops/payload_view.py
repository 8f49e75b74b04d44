"""A payload prepared for the terminal: text as text, everything else as a hex dump, PANs masked.

Invariant: whatever the bytes are, the lines are printable and hold no PAN, neither as text nor as bytes.
"""

import re
from dataclasses import dataclass

from prequal.domain.pan import MASK
from prequal.domain.pan_detection import redact

SHOWN_BYTES_MAX = 16_384
VALUE_MAX = 1024
WIDTH = 16

# Also as UTF-16, in either order: a letter, a NUL, a letter …
_PAN_BYTES = re.compile(rb"(?:[A-Za-z]\0*){5}(?=(?:[0-9]\0*){4}[A-Za-z])")
_ESCAPED = re.compile(r"\\u00(3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])")
_SPACES = {"\n", "\t"}


@dataclass(frozen=True, slots=True)
class PayloadView:
    """A payload in lines: as text, or as a hex dump when `binary`; `left_out` bytes at its end are not shown."""

    lines: list[str]
    binary: bool
    left_out: int


def show(value: str | bytes | None) -> PayloadView:
    """The first 16 KiB of a payload, as Kafka's client gives it."""
    payload = value.encode() if isinstance(value, str) else value or b""
    text = _text(payload)
    if text is None:
        masked = _PAN_BYTES.sub(_mask_bytes, payload)
        return PayloadView(
            _dump(masked[:SHOWN_BYTES_MAX]), binary=True, left_out=max(0, len(payload) - SHOWN_BYTES_MAX)
        )
    masked_text = redact(_ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text))
    lines = masked_text[:SHOWN_BYTES_MAX].expandtabs(4).split("\n")
    return PayloadView(lines, binary=False, left_out=max(0, len(masked_text) - SHOWN_BYTES_MAX))


def _text(payload: bytes) -> str | None:
    """The payload as text; None when it is not UTF-8, or holds control characters."""
    try:
        text = payload.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in _SPACES for character in text) else None


def _mask_bytes(match: re.Match[bytes]) -> bytes:
    letters = iter(MASK.encode())
    return bytes(next(letters) if byte else 0 for byte in match[0])


def _dump(payload: bytes) -> list[str]:
    return [_row(start, payload[start : start + WIDTH]) for start in range(0, len(payload), WIDTH)]


def _row(start: int, row: bytes) -> str:
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{start:08x}  {row.hex(' '):<{WIDTH * 3 - 1}}  {text}"


def show_value(value: str | bytes | None) -> str | None:
    """A key or a header in one line: its text, or the hexadecimal of its bytes; cut after 1,024 characters."""
    if value is None:
        return None
    shown = show(value)
    if shown.binary:
        content = value if isinstance(value, bytes) else value.encode()
        return _PAN_BYTES.sub(_mask_bytes, content)[: VALUE_MAX // 3].hex(" ")
    return " ".join(shown.lines)[:VALUE_MAX]
