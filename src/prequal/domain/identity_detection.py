"""Identity numbers in free text: a PAN or an Aadhaar number that was typed where none belongs.

Invariant: only what keeps the number's own rules is found, so that a company with a year in its name is taken.
"""

import re
import unicodedata
from enum import StrEnum

from prequal.domain import sandbox
from prequal.domain.pan import Pan
from prequal.domain.pan_detection import contains_pan

HOLDER_TYPES = frozenset("ABCEFGHJKLPT")
"""The fourth letters of PANs: persons (P), companies (C), families (H), firms (F), trusts (T) and so on."""

_GAP = r"[\W_]"
_LETTERS = rf"(?:[A-Z]{{5}}|[A-Z](?:{_GAP}+[A-Z]){{4}})"
_DIGITS = rf"(?:[0-9]{{4}}|[0-9](?:{_GAP}+[0-9]){{3}})"
# No letter or digit stands beside a PAN, but for the word itself; its letters, digits and last letter may stand apart,
# or each by itself.
_PAN = re.compile(rf"(?<![^\W_])(?:PAN)?({_LETTERS}{_GAP}*{_DIGITS}{_GAP}*[A-Z])(?![^\W_])")
_TWELVE_DIGITS = re.compile(rf"(?<![0-9])[0-9](?:{_GAP}*[0-9]){{11}}(?![0-9])")
_DIGIT = re.compile(r"\d")
_GAPS = re.compile(rf"{_GAP}+")
_PUBLISHED = frozenset(pan.reveal() for pan in sandbox.SCORES)


class Identity(StrEnum):
    """What was found, in words that complete "must not contain"."""

    PAN = "a PAN"
    AADHAAR = "an Aadhaar number"


def identity_in(text: str) -> Identity | None:
    """What free text holds: any case, width or script of digits, and separators between the groups.

    A PAN has a fourth letter of `HOLDER_TYPES`, or is one that docs/sandbox.md publishes; an Aadhaar number has 12
    digits of which the last is Verhoeff's check digit (UIDAI).
    """
    if not (folded := _folded(text)):
        return None
    if any(_is_pan(_GAPS.sub("", found[1])) for found in _PAN.finditer(folded)):
        return Identity.PAN
    if any(_passes_verhoeff(_GAPS.sub("", found[0])) for found in _TWELVE_DIGITS.finditer(folded)):
        return Identity.AADHAAR
    return None


def spells(text: str, pan: Pan) -> bool:
    """Whether free text holds this PAN, in any case, width or script of digits, whatever stands in and beside it."""
    return pan.is_in(_GAPS.sub("", _folded(text)))


def holds_identity(text: str) -> bool:
    """Whether what staff typed, such as a note, holds an identity number, or anything PAN-shaped in one piece."""
    return identity_in(text) is not None or contains_pan(unicodedata.normalize("NFKC", text))


def _folded(text: str) -> str:
    """Text in capitals and plain digits; empty without a digit, as nearly every name, for the rest is slow."""
    plain = unicodedata.normalize("NFKC", text)
    if not _DIGIT.search(plain):
        return ""
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in plain.upper())


def _is_pan(number: str) -> bool:
    return number[3] in HOLDER_TYPES or number in _PUBLISHED


def _passes_verhoeff(digits: str) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes, 1969: a product in the group of a pentagon's symmetries is 0."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _product(check, _permuted(int(digit), place))
    return check == 0


def _product(i: int, j: int) -> int:
    """Of two symmetries: 0–4 turn the pentagon, 5–9 turn it over."""
    turned = i + j if i < 5 else i - j
    return turned % 5 + (5 if (i < 5) != (j < 5) else 0)


def _permuted(digit: int, times: int) -> int:
    for _ in range(times % 8):
        digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
    return digit
