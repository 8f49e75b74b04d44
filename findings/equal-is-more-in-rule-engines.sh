#!/usr/bin/env bash
# zen-engine 2.1.3, json-logic-qubit 0.9.1, common-expression-language 0.10.0 (PyPI)
#
# Done: a policy approves if 48 months of income are more than the amount. It is asked about 2,001 pairs in which both
#   are equal to the paisa, as floats and as Decimals; and about an income of 85,000.75 rupees and an amount that is
#   6 rupees less than 48 months of it.
# Expected: of the first none is approved, though floats may be off by a little; the last is approved. Decimals are the
#   safe way in.
# Seen: as floats JSON Logic and CEL approve 315 of the 2,001; zen, which reads a float by its shortest decimal, none.
#   As Decimals CEL makes doubles of them without a word and approves the same 315; JSON Logic cuts the paise off and
#   refuses the last; zen raises a TypeError, and amounts as text, its way round, match no comparison and are refused
#   without an error. None of the three calculates with the Decimals that it is given.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages zen-engine==2.1.3 json-logic-qubit==0.9.1 common-expression-language==0.10.0

cat >"$work/border.py" <<'PYTHON'
import json
from decimal import Decimal

import cel
import zen
from json_logic import jsonLogic

LOGIC = {">": [{"*": [{"var": "income"}, 48]}, {"var": "amount"}]}


def node(name, kind, **more):
    return {"id": name, "name": name, "type": kind, "position": {"x": 0, "y": 0}, **more}


TABLE = {
    "hitPolicy": "first",
    "inputs": [{"id": "margin", "name": "margin", "type": "expression", "field": "income * 48 - amount"}],
    "outputs": [{"id": "approved", "name": "approved", "type": "expression", "field": "approved"}],
    "rules": [
        {"_id": "more", "margin": "> 0", "approved": "true"},
        {"_id": "else", "margin": "", "approved": "false"},
    ],
}
GRAPH = {
    "nodes": [
        node("in", "inputNode"),
        node("policy", "decisionTableNode", content=TABLE),
        node("out", "outputNode"),
    ],
    "edges": [
        {"id": "1", "sourceId": "in", "targetId": "policy", "type": "edge"},
        {"id": "2", "sourceId": "policy", "targetId": "out", "type": "edge"},
    ],
}
decision = zen.ZenEngine().create_decision(json.dumps(GRAPH))
ENGINES = {
    "zen": lambda facts: decision.evaluate(facts)["result"]["approved"],
    "json-logic": lambda facts: jsonLogic(LOGIC, facts),
    "cel": lambda facts: cel.evaluate("income * 48.0 > amount", facts),
}
equal = [(income, income * 48) for income in (Decimal(1 + 37 * n) / 100 for n in range(2001))]
more = (Decimal("85000.75"), Decimal("4080030.00"))


def approved(engine, kind, pairs):
    try:
        return sum(engine({"income": kind(income), "amount": kind(amount)}) for income, amount in pairs)
    except TypeError:
        return "TypeError"


for name, engine in ENGINES.items():
    print(name, *(approved(engine, kind, equal) for kind in (float, Decimal)), approved(engine, Decimal, [more]))
print("zen, as text", approved(ENGINES["zen"], str, [more]))
PYTHON
answers=$(python "$work/border.py")
[ "$answers" = "zen 0 TypeError TypeError
json-logic 315 0 0
cel 315 315 1
zen, as text 0" ] || fail "approved of 2,001 equal pairs as floats, as Decimals, and of one with more income: $answers"

echo "expected: income and amount that are equal are not approved, and Decimals are calculated exactly"
echo "seen: as floats JSON Logic and CEL approve 315, CEL also as Decimals; JSON Logic cuts paise off, zen refuses them"
