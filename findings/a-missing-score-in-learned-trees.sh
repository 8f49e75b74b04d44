#!/usr/bin/env bash
# scikit-learn 1.9.1, lightgbm 4.7.0 (PyPI)
#
# Done: three learners see 2,000 decided applications with nothing but the score: below 650 rejected, else approved, no
#   score missing. Then each is asked for an applicant whose score is NaN. Once 70 % of the history is approved, once
#   30 %.
# Expected: an error, since NaN was never seen; or the same careful answer from all.
# Seen: no error. scikit-learn's tree and its forest send a NaN down the side that most of the history took: approved
#   with certainty after the first history, rejected with certainty after the second. LightGBM takes it for 0 and
#   rejects both times. So one missing score is an approval, and whether it is depends on last year's share of
#   approvals. Refuse a missing score before the model.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages scikit-learn==1.9.1 lightgbm==4.7.0

cat >"$work/learn.py" <<'PYTHON'
import warnings

import numpy
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

warnings.simplefilter("ignore")
for share in 0.7, 0.3:
    approved = int(2000 * share)
    score = numpy.r_[numpy.linspace(650, 900, approved), numpy.linspace(300, 649, 2000 - approved)].reshape(-1, 1)
    for model in (
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(20, random_state=0),
        LGBMClassifier(n_estimators=20, random_state=0, verbose=-1),
    ):
        model.fit(score, score[:, 0] >= 650)
        approval = model.predict_proba([[numpy.nan]])[0, 1]
        print(f"{share:.0%} {type(model).__name__} {'approved' if approval > 0.5 else 'rejected'} {approval:.1f}")
PYTHON
answers=$(OMP_NUM_THREADS=1 python "$work/learn.py")
[ "$answers" = "70% DecisionTreeClassifier approved 1.0
70% RandomForestClassifier approved 1.0
70% LGBMClassifier rejected 0.1
30% DecisionTreeClassifier rejected 0.0
30% RandomForestClassifier rejected 0.0
30% LGBMClassifier rejected 0.0" ] || fail "share approved, model, answer, probability: $answers"

echo "expected: a score that is NaN, never seen in training, is an error or one careful answer"
echo "seen: scikit-learn approves it if most of the history was approved and rejects it if not; LightGBM always rejects"
