"""From TOML to a `Document`, strictly: every key known, every value of its type.

Invariant: what is read has no float, no text in a number's place, and nothing that is not understood.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import StrEnum
from hashlib import sha256
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from prequal.domain.policy.document import Between, Document, Pattern
from prequal.domain.policy.lines import lines_of
from prequal.domain.policy.problems import Fault, NotAPolicy, Place, Problem

BYTES_MAX: Final = 256 * 1024


def read(text: str) -> Document:
    """The document that `text` spells out; what it means is not checked yet.

    Raises:
        NotAPolicy: it is no TOML, too large, or a value is missing, unknown or of another type.
    """
    content = _toml(text)
    try:
        document: Document = _read(Document, content, ())
    except Fault as fault:
        raise NotAPolicy([fault.problem(lines_of(text))]) from None
    return document


def canonical(document: Document) -> bytes:
    """The document as JSON in one form: comments, order of keys, spaces and defaults make no difference."""
    return json.dumps(asdict(document), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def hash_of(document: Document) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return sha256(canonical(document)).hexdigest()


def _toml(text: str) -> dict[str, Any]:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise NotAPolicy([Problem(line, "", "This has a character that cannot be written as UTF-8.")]) from None
    if size > BYTES_MAX:
        raise NotAPolicy([Problem(None, "", "The document is over 256 KiB.")])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotAPolicy([_not_toml(str(error))]) from None
    except ValueError:  # of int(), which the reader of TOML leaves as it is
        raise NotAPolicy([Problem(None, "", "The document has a number of too many digits.")]) from None
    except RecursionError:
        raise NotAPolicy([Problem(None, "", "The document is nested too deeply.")]) from None


def _not_toml(words: str) -> Problem:
    found = re.search(r" \(at line (\d+), column \d+\)$", words)
    line = int(found[1]) if found else None
    return Problem(line, "", f"This is not TOML: {words[: found.start()] if found else words}.")


def _read(kind: Any, value: object, place: Place) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        return _ruled(get_args(kind), value, place)
    if origin is Literal:
        return _one_of(get_args(kind), value, place)
    if origin in (UnionType, Union):
        return _read(_option(get_args(kind), value, place), value, place)
    if origin is tuple:
        return tuple(_read(get_args(kind)[0], each, (*place, n)) for n, each in enumerate(_list(value, place), 1))
    if origin is Mapping:
        return {
            _read(get_args(kind)[0], name, (*place, name)): _read(get_args(kind)[1], each, (*place, name))
            for name, each in _table(value, place).items()
        }
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(_one_of(list(kind), value, place))
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, place)
    return _plain(kind, value, place)


def _ruled(annotation: Sequence[Any], value: object, place: Place) -> Any:
    kind, rule = annotation
    found = _read(kind, value, place)
    if isinstance(rule, Between) and not rule.least <= found <= rule.most:
        raise Fault(place, f"must be {rule.least} … {rule.most}.")
    if isinstance(rule, Pattern) and not re.fullmatch(rule.regex, found):
        raise Fault(place, f"must be {rule.meaning}.")
    return found


def _plain(kind: type[int] | type[str], value: object, place: Place) -> int | str:
    if type(value) is kind:
        return value
    if kind is str:
        raise Fault(place, "must be text in quotes.")
    if isinstance(value, str):
        raise Fault(place, "must be a number, and is text: leave the quotes out.")
    if isinstance(value, float):
        raise Fault(place, "must be a whole number, and is a float: use rupees and paise, or basis points.")
    raise Fault(place, "must be a whole number.")


def _one_of(words: Sequence[str], value: object, place: Place) -> str:
    if isinstance(value, str) and value in words:
        return value
    raise Fault(place, f"must be one of {', '.join(words)}.")


def _option(options: Sequence[Any], value: object, place: Place) -> Any:
    """The option whose first field `value` has; of an option and nothing, the option."""
    kinds = [kind for kind in options if kind is not NoneType]
    if len(kinds) == 1:
        return kinds[0]
    firsts = {fields(kind)[0].name: kind for kind in kinds}
    named = [name for name in firsts if name in _table(value, place)]
    if len(named) != 1:
        raise Fault(place, f"must have exactly one of {', '.join(firsts)}.")
    return firsts[named[0]]


def _list(value: object, place: Place) -> Sequence[object]:
    if isinstance(value, list):
        return value
    raise Fault(place, "must be a list.")


def _table(value: object, place: Place) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise Fault(place, "must be a table of named values.")


def _dataclass(kind: type, value: object, place: Place) -> Any:
    table, hints = _table(value, place), get_type_hints(kind, include_extras=True)
    if unknown := [name for name in table if name not in hints]:
        raise Fault((*place, unknown[0]), f"is not understood here; known are {', '.join(hints)}.")
    required = [field.name for field in fields(kind) if field.default is MISSING]
    if missing := [name for name in required if name not in table]:
        raise Fault(place, f"lacks {missing[0]}.")
    return kind(**{name: _read(hints[name], each, (*place, name)) for name, each in table.items()})
