#!/usr/bin/env bash
# pydantic 2.14.4, msgspec 0.22.0 (PyPI)
#
# Done: a model with one Decimal field reads JSON text straight, with the amount once as a number and once as a string;
#   then the same with at most two decimals allowed.
# Expected: a parser that knows that the field is a Decimal reads the digits that stand there.
# Seen: pydantic reads a number by way of a double, also in model_validate_json: 90071992547409.93, sixteen digits, ends
#   on .94, the zero of 85000.10 is gone, and 85000.100000000001 passes for two decimals. As a string each is exact or
#   refused. msgspec reads the digits of numbers too. Let amounts be strings.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pydantic==2.14.4 msgspec==0.22.0

cat >"$work/read.py" <<'PYTHON'
from decimal import Decimal
from typing import Annotated

import msgspec
from pydantic import Field, TypeAdapter, ValidationError

plain = TypeAdapter(Decimal)
paise = TypeAdapter(Annotated[Decimal, Field(decimal_places=2)])


def by_pydantic(adapter, text):
    try:
        return adapter.validate_json(text)
    except ValidationError:
        return "refused"


for amount in "90071992547409.93", "85000.10", "85000.100000000001":
    number, string = amount, f'"{amount}"'
    print(
        by_pydantic(plain, number),
        by_pydantic(plain, string),
        msgspec.json.decode(number, type=Decimal),
        by_pydantic(paise, number),
        by_pydantic(paise, string),
    )
PYTHON
answers=$(python "$work/read.py")
[ "$answers" = "90071992547409.94 90071992547409.93 90071992547409.93 90071992547409.94 90071992547409.93
85000.1 85000.10 85000.10 85000.1 85000.10
85000.1 85000.100000000001 85000.100000000001 85000.1 refused" ] ||
    fail "number, string, number by msgspec; number and string of two decimals: $answers"

echo "expected: a Decimal field reads the digits of a JSON number"
echo "seen: in pydantic 90071992547409.93 ends on .94 and 85000.100000000001 has two decimals; msgspec reads the digits"
