#!/usr/bin/env bash
# scikit-learn 1.9.1, lightgbm 4.7.0 (PyPI)
#
# Done: a tree learns one border between two loans, 200,000.00 rupees and 200,000.01, kept as whole paise as is good
#   practice (20,000,000 and 20,000,001), as float64; then it is asked for the two it has seen. The same for 100,000.00
#   and 100,000.01.
# Expected: whole numbers below 2^53 are exact in float64, so the tree tells them apart as it does any two numbers.
# Seen: scikit-learn's trees turn every figure into float32 on the way in, in training and in answering, without a
#   word: above 16,777,216, that is 167,772.16 rupees in paise, neighbours are one number and both get one answer. Its
#   own histogram trees and LightGBM tell them apart. No rule at the paisa can live in such a tree.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages scikit-learn==1.9.1 lightgbm==4.7.0

cat >"$work/learn.py" <<'PYTHON'
import warnings

import numpy
from lightgbm import LGBMClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

warnings.simplefilter("ignore")
for model in (
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(5, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=1, random_state=0),
    LGBMClassifier(n_estimators=5, min_child_samples=1, random_state=0, verbose=-1),
):
    answers = []
    for paise in 100_000_00, 200_000_00:
        pair = numpy.array([[paise], [paise + 1]], dtype="float64")
        model.fit(numpy.tile(pair, (50, 1)), [0, 1] * 50)
        below, above = model.predict(pair)
        answers.append("apart" if below != above else "as one")
    print(type(model).__name__, *answers, sep=", ")
PYTHON
answers=$(OMP_NUM_THREADS=1 python "$work/learn.py")
[ "$answers" = "DecisionTreeClassifier, apart, as one
RandomForestClassifier, apart, as one
GradientBoostingClassifier, apart, as one
HistGradientBoostingClassifier, apart, apart
LGBMClassifier, apart, apart" ] || fail "model, at 100,000 rupees, at 200,000 rupees: $answers"

echo "expected: a tree tells a loan of 200,000.00 rupees from one of 200,000.01, both given as whole paise in float64"
echo "seen: three of scikit-learn's trees see one number; its histogram trees and LightGBM see two"
