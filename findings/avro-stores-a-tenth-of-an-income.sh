#!/usr/bin/env bash
# avro 1.12.2 (PyPI), the official Python package; fastavro 1.13.1 reads and writes the same schema beside it
#
# Done: a monthly income of 85,000.10 rupees, once with both decimals and once with the last zero dropped, as
#   `Decimal.normalize()`, JSON numbers and spreadsheets do, is written as Avro's logical type decimal(14, 2) and read.
# Expected: both writers store the value; a Decimal of fewer decimals than the scale is widened, as in SQL.
# Seen: avro stores the digits as they stand and forgets the exponent: 85000.1 becomes 8500.01, 85000 becomes 850.00 and
#   8.5E+4 becomes 0.85. No error, and avro's own reader agrees. Too many decimals are refused, too few are not.
#   fastavro is right. Quantize to the scale before writing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages avro==1.12.2 fastavro==1.13.1

cat >"$work/write.py" <<'PYTHON'
import io
import json
from decimal import Decimal

import avro.io
import avro.schema
import fastavro

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 14, "scale": 2}
SCHEMA = {"type": "record", "name": "Income", "fields": [{"name": "inr", "type": MONEY}]}
OFFICIAL, FAST = avro.schema.parse(json.dumps(SCHEMA)), fastavro.parse_schema(SCHEMA)


def through_avro(value):
    stored = io.BytesIO()
    avro.io.DatumWriter(OFFICIAL).write({"inr": value}, avro.io.BinaryEncoder(stored))
    stored.seek(0)
    return avro.io.DatumReader(OFFICIAL).read(avro.io.BinaryDecoder(stored))["inr"]


def through_fastavro(value):
    stored = io.BytesIO()
    fastavro.schemaless_writer(stored, FAST, {"inr": value})
    stored.seek(0)
    return fastavro.schemaless_reader(stored, FAST)["inr"]


for text in "85000.10", "85000.1", "85000", "8.5E+4":
    print(text, through_avro(Decimal(text)), through_fastavro(Decimal(text)))
PYTHON
answers=$(python "$work/write.py")
[ "$answers" = "85000.10 85000.10 85000.10
85000.1 8500.01 85000.10
85000 850.00 85000.00
8.5E+4 0.85 85000.00" ] || fail "written, avro, fastavro: $answers"

echo "expected: an income of 85000.1 rupees is stored as 85000.10"
echo "seen: avro stores 85000.1 as 8500.01 and 85000 as 850.00, without an error; fastavro stores 85000.10 and 85000.00"
