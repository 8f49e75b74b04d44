"""From the bytes of a body to a valid application, or to the error of its first wrong field.

Invariant: an amount is a decimal from its first digit on; no float is ever made.
"""

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, TypeVar

from prequal.api.errors import ApiError, ErrorCode, FieldIssue
from prequal.api.masking import shown_name
from prequal.core.nesting import is_deeper
from prequal.domain.application import LoanType
from prequal.domain.identity_detection import identity_in, spells
from prequal.domain.money import NotAnAmount, NotPositive, OutOfRange, amount, amount_from_text
from prequal.domain.pan import Pan

NUMBER_CHARACTERS_MAX = 100
DEPTH_MAX = 32
NAME_CHARACTERS_MAX = 255
KEY_CHARACTERS_MAX = 255
UNKNOWN_FIELDS_MAX = 20
"""So many unknown fields are named; the rest are counted."""
FIELDS = frozenset({"pan_number", "monthly_income_inr", "loan_amount_inr", "loan_type", "applicant_name"})

T = TypeVar("T")
Problems: TypeAlias = list[tuple[ErrorCode, FieldIssue]]
"""What is wrong, in the order of the fields: the code that each would give the answer, and the issue in words."""


@dataclass(frozen=True, slots=True)
class ApplicationRequest:
    """A body whose every field is valid."""

    pan: Pan
    applicant_name: str | None
    monthly_income_inr: Decimal
    loan_amount_inr: Decimal
    loan_type: LoanType

    def canonical(self) -> bytes:
        """The same bytes for the same validated fields: what "the same body" means."""
        money = [str(self.monthly_income_inr), str(self.loan_amount_inr)]
        return json.dumps([self.pan.reveal(), self.applicant_name, *money, self.loan_type]).encode()


class _FieldError(Exception):
    """One field breaks a rule: the code it would give the answer, and the issue in words."""

    def __init__(self, code: ErrorCode, issue: str) -> None:
        super().__init__(issue)
        self.code = code
        self.issue = issue


def parse(body: bytes, holder_types: frozenset[str] | None = None) -> ApplicationRequest:
    """Read a body; `holder_types` are the allowed fourth letters of a PAN, None for any.

    Raises:
        ApiError: `MALFORMED_REQUEST` when it is not well-formed; else the first wrong field's code, all in `details`.
    """
    fields = _load(body)
    if not isinstance(fields, dict):
        raise ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue("", "must be a JSON object")])
    problems: Problems = []
    pan = _read(fields, problems, "pan_number", _pan, holder_types)
    income = _read(fields, problems, "monthly_income_inr", _amount)
    loan = _read(fields, problems, "loan_amount_inr", _amount)
    loan_type = _read(fields, problems, "loan_type", _loan_type)
    name = _read(fields, problems, "applicant_name", _name)
    if pan and name and spells(name, pan):
        problems.append((ErrorCode.VALIDATION_ERROR, FieldIssue("applicant_name", "must not contain the PAN")))
    if not fields.keys() <= FIELDS:
        unknown = [each for each in fields if each not in FIELDS]
        problems += [(ErrorCode.VALIDATION_ERROR, issue) for issue in _unknown(unknown)]
    if problems or pan is None or income is None or loan is None or loan_type is None:
        raise ApiError(problems[0][0], [issue for _, issue in problems])
    return ApplicationRequest(pan, name, income, loan, loan_type)


def _read(fields: Mapping[str, Any], problems: Problems, name: str, rule: Callable[..., T], *more: Any) -> T | None:
    """A field's value by its rule, or None, and what is wrong with it among `problems`."""
    try:
        return rule(fields.get(name), *more)
    except _FieldError as error:
        problems.append((error.code, FieldIssue(name, error.issue)))
        return None


def _unknown(fields: Sequence[str]) -> Iterator[FieldIssue]:
    for field in fields[:UNKNOWN_FIELDS_MAX]:
        yield FieldIssue(shown_name(field)[:100], "is not a field of this request")
    if more := len(fields[UNKNOWN_FIELDS_MAX:]):
        yield FieldIssue("", f"has {more} more fields that are not of this request")


def checked_key(text: str | None) -> str | None:
    """An `Idempotency-Key` of 1–255 visible ASCII characters, or None when there is none.

    Raises:
        ApiError: it is there and not like that.
    """
    if text is not None and not (0 < len(text) <= KEY_CHARACTERS_MAX and all("!" <= letter <= "~" for letter in text)):
        issue = f"must be 1 to {KEY_CHARACTERS_MAX} visible ASCII characters"
        raise ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue("Idempotency-Key", issue)])
    return text


def _load(body: bytes) -> Any:
    try:
        fields = _decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ApiError(ErrorCode.MALFORMED_REQUEST) from None
    if is_deeper(fields, DEPTH_MAX):
        raise ApiError(ErrorCode.MALFORMED_REQUEST)
    return fields


def _number(text: str) -> Decimal:
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise ValueError("a number of over 100 characters")
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what decimals can hold: zero still is zero, the rest is out of range
        digits, _, exponent = text.lower().partition("e")
        sign = "-" if digits.startswith("-") else ""
        return Decimal(f"{sign}{1 if digits.strip('-0.') else 0}E{'-' if exponent.startswith('-') else '+'}1000")


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("duplicate keys")
    return fields


_decode = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=_no_constant, object_pairs_hook=_no_duplicates
).decode
"""One for all bodies: json.loads would make one for each."""


def _pan(value: object, holder_types: frozenset[str] | None) -> Pan:
    try:
        pan = Pan(_text(value))
    except ValueError:
        raise _FieldError(
            ErrorCode.INVALID_PAN_FORMAT, "must be 5 capital letters, 4 digits, 1 capital letter"
        ) from None
    if holder_types is not None and pan.holder_type not in holder_types:
        issue = f"must be the PAN of a holder of type {', '.join(sorted(holder_types))} (its fourth letter)"
        raise _FieldError(ErrorCode.INVALID_PAN_FORMAT, issue)
    if holder_types is not None and pan.serial == "0000":
        raise _FieldError(ErrorCode.INVALID_PAN_FORMAT, "must have a serial number from 0001 on: no PAN has 0000")
    return pan


def _amount(value: object) -> Decimal:
    try:
        if isinstance(value, Decimal):
            return amount(value)
        return amount_from_text(_text(value, "must be a number or a decimal string"))
    except NotPositive as error:
        raise _FieldError(ErrorCode.NEGATIVE_AMOUNT, str(error)) from None
    except (NotAnAmount, OutOfRange) as error:
        raise _FieldError(ErrorCode.VALIDATION_ERROR, str(error)) from None


def _loan_type(value: object) -> LoanType:
    try:
        return LoanType(_text(value))
    except ValueError:
        raise _FieldError(ErrorCode.INVALID_LOAN_TYPE, "must be PERSONAL, HOME or AUTO") from None


def _name(value: object) -> str | None:
    if value is None:
        return None
    name = _text(value).strip()
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise _FieldError(ErrorCode.VALIDATION_ERROR, f"must be 1 to {NAME_CHARACTERS_MAX} characters after trimming")
    if not name.isprintable() and any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise _FieldError(ErrorCode.VALIDATION_ERROR, "must not contain control characters")
    if found := identity_in(name):
        raise _FieldError(ErrorCode.VALIDATION_ERROR, f"must not contain {found}")
    return name


def _text(value: object, otherwise: str = "must be a string") -> str:
    if value is None:
        raise _FieldError(ErrorCode.VALIDATION_ERROR, "is required")
    if not isinstance(value, str):
        raise _FieldError(ErrorCode.VALIDATION_ERROR, otherwise)
    return value
