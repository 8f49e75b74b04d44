#!/usr/bin/env bash
# pydantic 2.14.3
#
# Done: a datetime is read from texts and numbers, in the default mode and, from JSON, with strict=True.
# Expected: an ISO 8601 date without hyphens is that date, or is refused; neighbouring numbers are neighbouring times.
# Seen: "20261128" is a day in August 1970: a text of digits counts seconds, strict or not. And from 20,000,000,001 on
#   a number counts milliseconds, so the step there goes from the year 2603 back to 1970.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pydantic==2.14.3

python - <<'PYTHON'
from datetime import datetime

from pydantic import TypeAdapter, ValidationError


def read(value, **options):
    try:
        return f"{TypeAdapter(datetime).validate_json(value, **options):%Y-%m-%d}"
    except ValidationError as error:
        return error.errors()[0]["type"]


texts = [read(text) for text in ('"2026-11-28"', '"20261128"', '"2026"')]
strict = [read(text, strict=True) for text in ('"20261128"', "1795824000")]
numbers = [read(number) for number in ("20000000000", "20000000001")]

assert texts == ["2026-11-28", "1970-08-23", "1970-01-01"], texts
assert strict == ["1970-08-23", "datetime_type"], strict
assert numbers == ["2603-10-11", "1970-08-20"], numbers
print('expected: "20261128" is 2026-11-28 or an error; 20000000001 is a second after 20000000000')
print(f'seen: "20261128" is {texts[1]}, with strict=True as well; {numbers[0]} is followed by {numbers[1]}')
PYTHON
