#!/usr/bin/env bash
# jsonschema 4.26.0, fastjsonschema 2.22.3, jsonschema-rs 0.60.3, pydantic 2.14.4 (PyPI)
#
# Done: the schema {"type": "string", "pattern": "^\\d{1,10}$"} is asked about an income of 85,000 rupees in the digits
#   that a Hindi keyboard types, and so is the same pattern in pydantic. Then the text is turned into a number.
# Expected: JSON Schema names ECMA-262 for its patterns, where \d is 0 to 9 and nothing else, so all refuse it.
# Seen: jsonschema, fastjsonschema and pydantic match it, jsonschema-rs does not. Behind them Decimal and int make
#   85000 of it, and a pydantic field of Decimal does so too, while one of int refuses it. So what a browser or gateway
#   refuses is valid inside, and is then stored as text in other digits than the number. Write [0-9].
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages jsonschema==4.26.0 fastjsonschema==2.22.3 jsonschema-rs==0.60.3 pydantic==2.14.4

cat >"$work/match.py" <<'PYTHON'
from decimal import Decimal
from typing import Annotated

import fastjsonschema
import jsonschema
import jsonschema_rs
from pydantic import Field, TypeAdapter, ValidationError

INCOME = "".join(chr(0x966 + int(digit)) for digit in "85000")
PATTERN = r"^\d{1,10}$"
SCHEMA = {"type": "string", "pattern": PATTERN}


def answer(check):
    try:
        return check(INCOME)
    except (fastjsonschema.JsonSchemaException, ValidationError):
        return "refused"


print("jsonschema", answer(jsonschema.Draft202012Validator(SCHEMA).is_valid))
print("fastjsonschema", answer(fastjsonschema.compile(SCHEMA)) == INCOME)
print("jsonschema-rs", answer(jsonschema_rs.validator_for(SCHEMA).is_valid))
print("pydantic", answer(TypeAdapter(Annotated[str, Field(pattern=PATTERN)]).validate_python) == INCOME)
print("numbers", Decimal(INCOME), int(INCOME))
print("pydantic's", answer(TypeAdapter(Decimal).validate_python), answer(TypeAdapter(int).validate_python))
PYTHON
answers=$(python "$work/match.py")
[ "$answers" = "jsonschema True
fastjsonschema True
jsonschema-rs False
pydantic True
numbers 85000 85000
pydantic's 85000 refused" ] || fail "matched: $answers"

echo "expected: \\d of a JSON Schema matches 0 to 9, as in ECMA-262"
echo "seen: Devanagari digits match in jsonschema, fastjsonschema and pydantic and become 85000; not in jsonschema-rs"
