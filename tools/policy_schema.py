"""The JSON Schema of a policy document, from the types that its reader follows.

Invariant: nothing is said here that `prequal.domain.policy.document` does not say.
"""

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from prequal.domain.policy.document import Between, Document

Schema = dict[str, Any]


def document() -> Schema:
    """The JSON Schema (2020-12) of a policy document."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Credit policy"} | _schema(Document)


def _schema(kind: Any) -> Schema:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _schema(parts[0]) | _rule(parts[1])
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (UnionType, Union):
        options = [_schema(part) for part in parts if part is not NoneType]
        return options[0] if len(options) == 1 else {"oneOf": options}
    if origin is tuple:
        return {"type": "array", "items": _schema(parts[0])}
    if origin is Mapping:
        return {"type": "object", "propertyNames": _schema(parts[0]), "additionalProperties": _schema(parts[1])}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": list(kind)}
    if isinstance(kind, type) and is_dataclass(kind):
        return _object(kind)
    return {"type": {int: "integer", str: "string"}[kind]}


def _rule(rule: Any) -> Schema:
    if isinstance(rule, Between):
        return {"minimum": rule.least, "maximum": rule.most}
    return {"pattern": f"^(?:{rule.regex})$", "description": rule.meaning}


def _object(kind: type) -> Schema:
    hints = get_type_hints(kind, include_extras=True)
    return {
        "type": "object",
        "description": inspect.getdoc(kind),
        "properties": {name: _schema(hint) for name, hint in hints.items()},
        "required": [field.name for field in fields(kind) if field.default is MISSING],
        "additionalProperties": False,
    }
