#!/usr/bin/env bash
# zen-engine 2.1.3, json-logic-qubit 0.9.1, rule-engine 5.1.0 (PyPI); SQLite of the standard library
#
# Done: one policy, a score below 650 is rejected, else 48 months of income over the amount are approved, else somebody
#   looks at it. It is asked about an applicant whose score is null, is absent, or is the text "640".
# Expected: an error, a review, or at the least a rejection: a rule that is about the score needs one.
# Seen: what is null or absent fails the comparison, the next rule is tried, and that approves: in zen, in JSON Logic
#   and in SQL's CASE alike. The text is approved by zen and SQLite, and read as a number by JSON Logic. rule-engine
#   alone raises. Check presence and type before the rules, or begin the table with a row for them.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages zen-engine==2.1.3 json-logic-qubit==0.9.1 rule-engine==5.1.0

cat >"$work/policy.py" <<'PYTHON'
import json
import sqlite3

import rule_engine
import zen
from json_logic import jsonLogic

COVERED = {">": [{"*": [{"var": "income"}, 48]}, {"var": "amount"}]}
LOGIC = {"if": [{"<": [{"var": "score"}, 650]}, "REJECTED", COVERED, "PRE_APPROVED", "MANUAL_REVIEW"]}
CASE = """
    SELECT CASE WHEN :score < 650 THEN 'REJECTED' WHEN :income * 48 > :amount THEN 'PRE_APPROVED'
           ELSE 'MANUAL_REVIEW' END
"""


def node(name, kind, **more):
    return {"id": name, "name": name, "type": kind, "position": {"x": 0, "y": 0}, **more}


TABLE = {
    "hitPolicy": "first",
    "inputs": [
        {"id": "score", "name": "score", "type": "expression", "field": "score"},
        {"id": "margin", "name": "margin", "type": "expression", "field": "income * 48 - amount"},
    ],
    "outputs": [{"id": "status", "name": "status", "type": "expression", "field": "status"}],
    "rules": [
        {"_id": "1", "score": "< 650", "margin": "", "status": '"REJECTED"'},
        {"_id": "2", "score": "", "margin": "> 0", "status": '"PRE_APPROVED"'},
        {"_id": "3", "score": "", "margin": "", "status": '"MANUAL_REVIEW"'},
    ],
}
GRAPH = {
    "nodes": [node("in", "inputNode"), node("policy", "decisionTableNode", content=TABLE), node("out", "outputNode")],
    "edges": [
        {"id": "1", "sourceId": "in", "targetId": "policy", "type": "edge"},
        {"id": "2", "sourceId": "policy", "targetId": "out", "type": "edge"},
    ],
}
database = sqlite3.connect(":memory:")
decision = zen.ZenEngine().create_decision(json.dumps(GRAPH))
below, covered = rule_engine.Rule("score < 650"), rule_engine.Rule("income * 48 > amount")


def by_rule_engine(facts):
    try:
        return "REJECTED" if below.matches(facts) else "PRE_APPROVED" if covered.matches(facts) else "MANUAL_REVIEW"
    except rule_engine.EngineError as error:
        return type(error).__name__


ENGINES = {
    "zen": lambda facts: decision.evaluate(facts)["result"]["status"],
    "json-logic": lambda facts: jsonLogic(LOGIC, facts),
    "sqlite": lambda facts: database.execute(CASE, {"score": None, **facts}).fetchone()[0],
    "rule-engine": by_rule_engine,
}
rest = {"income": 85_000, "amount": 100_000}
for name, engine in ENGINES.items():
    print(name, *(engine({**score, **rest}) for score in ({"score": 640}, {"score": None}, {}, {"score": "640"})))
PYTHON
answers=$(python "$work/policy.py")
[ "$answers" = "zen REJECTED PRE_APPROVED PRE_APPROVED PRE_APPROVED
json-logic REJECTED PRE_APPROVED PRE_APPROVED REJECTED
sqlite REJECTED PRE_APPROVED PRE_APPROVED PRE_APPROVED
rule-engine REJECTED EvaluationError SymbolResolutionError EvaluationError" ] ||
    fail "with the score 640, null, absent, as text: $answers"

echo "expected: an applicant without a score, or with a score as text, is not approved"
echo "seen: zen, JSON Logic and SQL's CASE approve null and absent, zen and SQLite the text; rule-engine raises"
