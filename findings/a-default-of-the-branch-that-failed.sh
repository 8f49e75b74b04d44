#!/usr/bin/env bash
# fastjsonschema 2.22.3, jsonschema 4.26.0 (PyPI)
#
# Done: an application for a personal loan, {"product": "personal"}, is validated by three schemas: in a oneOf with the
#   rates of gold loans and of personal ones as defaults; as the `if` of a schema whose `else` has the default of a
#   personal loan; and under `not`, as what is not a gold loan.
# Expected: the record is left as it is; or, as fastjsonschema fills in defaults, it gets 15.00, of the branch that is
#   valid, and none under `not`.
# Seen: fastjsonschema writes 9.50, the rate of the gold loan, into the record that it is given, and keeps it when that
#   branch, or the `if`, or what stands under `not`, turns out not to hold; the right default then finds the field
#   taken. When the rate stands behind the product in the schema it is 15.00, since the branch ends sooner. jsonschema
#   leaves the record as it is. Turn it off by use_default=False.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages fastjsonschema==2.22.3 jsonschema==4.26.0

cat >"$work/defaults.py" <<'PYTHON'
import fastjsonschema
import jsonschema


def branch(product, rate):
    return {"properties": {"rate": {"type": "string", "default": rate}, "product": {"const": product}}}


def turned(schema):
    return {"properties": dict(reversed(schema["properties"].items()))}


gold, personal = branch("gold", "9.50"), branch("personal", "15.00")
schemas = {
    "oneOf": {"oneOf": [gold, personal]},
    "if": {"if": gold, "then": gold, "else": personal},
    "not": {"not": gold},
    "turned oneOf": {"oneOf": [turned(gold), turned(personal)]},
}
for name, schema in schemas.items():
    records = [{"product": "personal"} for _ in range(3)]
    fastjsonschema.validate(schema, records[0])
    fastjsonschema.validate(schema, records[1], use_default=False)
    jsonschema.Draft7Validator(schema).validate(records[2])
    print(f"{name}:", *(record.get("rate") for record in records))
PYTHON
answers=$(python "$work/defaults.py")
[ "$answers" = "oneOf: 9.50 None None
if: 9.50 None None
not: 9.50 None None
turned oneOf: 15.00 None None" ] ||
    fail "the rate in the record by default, with use_default=False, by jsonschema: $answers"

echo "expected: a personal loan is given the default of its own branch of the schema, or none"
echo "seen: fastjsonschema leaves the 9.50 of the gold loan in it, for oneOf, if and not; jsonschema adds nothing"
