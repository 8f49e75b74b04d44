"""The body of a form, read within bounds.

Invariant: no more bytes than a form of its page may have are held, and nothing of them is logged.
"""

from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.requests import Request

from prequal.core.errors import Refused
from prequal.domain.policy import reading
from prequal.service.http_requests import TooLarge, TooSlow, read_body

BYTES_MAX: Final = 64 * 1024
DOCUMENT_BYTES_MAX: Final = 3 * reading.BYTES_MAX + BYTES_MAX
"""Of a form with a policy document, each byte of which takes three; the rest is for other fields and line ends."""
FIELDS_MAX: Final = 500
DIGITS_MAX: Final = 9
SEVERAL: Final = "\n"
"""Between the values of a field that was sent several times."""


class BadForm(Refused):
    """The form is too large, did not come in time, or is none."""


def whole_number(text: str, least: int, most: int) -> int | None:
    """The number that was typed, in plain digits; None for anything else, and for one beyond these bounds."""
    if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX):
        return None
    return int(text) if least <= int(text) <= most else None


async def read_form(request: Request, most: int = BYTES_MAX) -> dict[str, str]:
    """The fields of a form of at most so many bytes, stripped.

    Raises:
        BadForm: it is too large, does not come in time, is no `application/x-www-form-urlencoded` in UTF-8, or has a
            NUL in it, which PostgreSQL does not store.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise BadForm
    try:
        body = await read_body(request, most)
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except (TooLarge, TooSlow, ValueError):
        raise BadForm from None
    if any("\0" in name or "\0" in sent for name, sent in pairs):
        raise BadForm
    fields: dict[str, str] = {}
    for name, sent in pairs:
        value = sent.replace("\r\n", "\n").strip()  # as a browser sends the lines of a text area
        fields[name] = f"{fields[name]}{SEVERAL}{value}" if name in fields else value
    return fields


def uuid_of(text: str) -> UUID | None:
    """The id that a text spells; None for any other text."""
    try:
        return UUID(text)
    except ValueError:
        return None
