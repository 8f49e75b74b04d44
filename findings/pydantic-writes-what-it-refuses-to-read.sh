#!/usr/bin/env bash
# pydantic 2.14.3
#
# Done: a model with a float is read from JSON that holds NaN, and from JSON that holds 1e400, which is a valid number;
#   each is written as JSON and read again.
# Expected: NaN is no JSON and 1e400 no double: both are refused. Or what is read can be written and read again.
# Seen: both are read, as nan and inf, written as null, and refused when they come back: the record can be stored and
#   not be read. allow_inf_nan=False refuses both at once.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pydantic==2.14.3

python - <<'PYTHON'
from typing import Annotated

from pydantic import AllowInfNan, BaseModel, ValidationError


class Reading(BaseModel):
    value: float


class FiniteReading(BaseModel):
    value: Annotated[float, AllowInfNan(False)]


def read(model, text):
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        return error.errors()[0]["type"]


TEXTS = ('{"value": NaN}', '{"value": 1e400}')
written = [read(Reading, text).model_dump_json() for text in TEXTS]
again = [read(Reading, text) for text in written]
finite = [read(FiniteReading, text) for text in TEXTS]

assert written == ['{"value":null}'] * 2, written
assert again == ["float_type"] * 2, again
assert finite == ["finite_number"] * 2, finite
print("expected: NaN and 1e400 are refused at once")
print(f"seen: both are read and written as {written[0]}, which is refused ({again[0]})")
PYTHON
