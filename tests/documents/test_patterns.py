"""Every regular expression of the descriptions by RE2, which Go's clients and gateways use: it has no lookaround."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import re2

DOCS = Path(__file__).parents[2] / "docs"


def patterns(value: Any) -> Iterator[str]:
    """Every `pattern` of a schema, and the names of `patternProperties`."""
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        yield from value.get("patternProperties", {})
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from patterns(each)


@pytest.mark.parametrize("name", ["openapi.json", "console-openapi.json", "asyncapi.json", "policy.schema.json"])
def test_every_pattern_is_one_of_re2(name: str) -> None:
    found = set(patterns(json.loads((DOCS / name).read_text(encoding="utf-8"))))

    assert found
    for pattern in found:
        re2.compile(pattern)
