#!/usr/bin/env bash
# opentelemetry-api 1.45.2 (PyPI); @opentelemetry/core 2.12.1 and @opentelemetry/api 1.9.1 (npm); needs Node
#
# Done: W3C baggage goes from a Python service to a Node service and back, each with OpenTelemetry's own propagator;
#   then a valid header with a plain + in a value, where it is an ordinary character, reaches both.
# Expected: the value "Bharat Home Loans" arrives as it was sent, and so does +911234500000.
# Seen: Python writes spaces as +, as in forms; the W3C format only knows percent signs, so Node reads
#   "Bharat+Home+Loans". Node's own %20 arrives well in Python. A plain + is a + in Node; in Python it is a space, and
#   at the front of a value it vanishes: 911234500000. Encode values yourself, or keep to letters and digits.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

needs node npm
packages opentelemetry-api==1.45.2
npm_packages @opentelemetry/core@2.12.1 @opentelemetry/api@1.9.1

cat >"$work/baggage.py" <<'PYTHON'
import sys

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator

propagator = W3CBaggagePropagator()
verb, text = sys.argv[1:]
if verb == "write":
    headers = {}
    propagator.inject(headers, context=baggage.set_baggage("value", text))
    print(headers["baggage"])
else:
    print(baggage.get_baggage("value", propagator.extract({"baggage": text})))
PYTHON
cat >"$work/baggage.js" <<'JS'
const { propagation, ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter } = require("@opentelemetry/api");
const { W3CBaggagePropagator } = require("@opentelemetry/core");
const propagator = new W3CBaggagePropagator();
const [verb, text] = process.argv.slice(2);
if (verb === "write") {
  const headers = {};
  const context = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ value: { value: text } }));
  propagator.inject(context, headers, defaultTextMapSetter);
  console.log(headers.baggage);
} else {
  const context = propagator.extract(ROOT_CONTEXT, { baggage: text }, defaultTextMapGetter);
  console.log(propagation.getBaggage(context).getEntry("value").value);
}
JS
node=$(node "$work/baggage.js" read "$(python "$work/baggage.py" write "Bharat Home Loans")")
python=$(python "$work/baggage.py" read "$(node "$work/baggage.js" write "Bharat Home Loans")")
plus="$(node "$work/baggage.js" read value=+911234500000) $(python "$work/baggage.py" read value=+911234500000)"
[ "$node, $python, $plus" = "Bharat+Home+Loans, Bharat Home Loans, +911234500000 911234500000" ] ||
    fail "Python to Node, Node to Python, a + in both: $node, $python, $plus"

echo "expected: baggage arrives as it was sent, from Python to Node and back"
echo "seen: Node reads \"$node\" where Python sent spaces; of +911234500000 Python reads 911234500000"
