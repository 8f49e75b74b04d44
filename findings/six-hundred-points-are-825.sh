#!/usr/bin/env bash
# optbinning 1.0.0, toad 0.1.7, scorecardpy 0.1.9.7, on scikit-learn 1.9.1 and pandas 2.3.3 (PyPI)
#
# Done: a scorecard on 3,020 loans in four grades, with one logistic regression that is not penalised, by each library:
#   600 points at odds of 50, and 20 points to double them. The best grade has 1,000 repaid loans and 20 in default.
# Expected: the best grade, whose odds are 50 to 1, has 600 points in each library.
# Seen: 600 in optbinning and toad, 825 in scorecardpy, for its odds0 are those of a default, 1 to 50, and nothing
#   warns of 50. With 1 / 50 it has 600, and the others 826. The ranks, the Gini and the distance of any two grades are
#   the same, so that only a cut-off shows it: at 650 points every one of the grades passes. Check one known grade.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages optbinning==1.0.0 toad==0.1.7 scorecardpy==0.1.9.7 pandas==2.3.3 scikit-learn==1.9.1 setuptools==80.9.0

cat >"$work/points.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import contextlib
import io
import math

import pandas
import scorecardpy
import toad
from optbinning import BinningProcess, Scorecard
from sklearn.linear_model import LogisticRegression

LOANS = {1: (1000, 20), 2: (950, 50), 3: (450, 50), 4: (400, 100)}  # repaid and in default
rows = [(grade, bad) for grade, counts in LOANS.items() for bad, count in enumerate(counts) for _ in range(count)]
table = pandas.DataFrame(rows, columns=["grade", "bad"])
grades = pandas.DataFrame({"grade": list(LOANS)})


def by_optbinning(odds):
    bands = BinningProcess(["grade"], binning_fit_params={"grade": {"user_splits": [1.5, 2.5, 3.5]}})
    scale = {"pdo": 20, "odds": odds, "scorecard_points": 600}
    model = LogisticRegression(C=math.inf)
    card = Scorecard(bands, model, scaling_method="pdo_odds", scaling_method_params=scale)
    return card.fit(table[["grade"]], table["bad"]).score(grades)


def by_toad(odds):
    bands = toad.transform.Combiner()
    bands.set_rules({"grade": [2, 3, 4]})
    weights = toad.transform.WOETransformer()
    training = weights.fit_transform(bands.transform(table[["grade"]]), table["bad"])
    card = toad.ScoreCard(combiner=bands, transer=weights, base_score=600, base_odds=odds, pdo=20, rate=2, C=math.inf)
    return card.fit(training, table["bad"]).predict(grades)


def by_scorecardpy(odds):
    bands = scorecardpy.woebin(table, y="bad", breaks_list={"grade": [2, 3, 4]})
    training = scorecardpy.woebin_ply(table, bands)
    model = LogisticRegression(C=math.inf).fit(training[["grade_woe"]], training["bad"])
    card = scorecardpy.scorecard(bands, model, ["grade_woe"], points0=600, odds0=odds, pdo=20)
    return scorecardpy.scorecard_ply(grades, card)["score"]


for compute in by_optbinning, by_toad, by_scorecardpy:
    found = []
    for odds in 50, 1 / 50:
        with contextlib.redirect_stdout(io.StringIO()):
            points = [float(score) for score in compute(odds)]
        distances = zip(points, points[1:], [28, 22, 23], strict=False)
        assert all(abs(better - worse - distance) < 2 for better, worse, distance in distances), points
        found.append((round(points[0]), sum(score >= 650 for score in points)))
    print(compute.__name__.removeprefix("by_"), *found)
PYTHON
answers=$(MPLBACKEND=agg python "$work/points.py" 2>"$work/points.log") || fail "the points" "$work/points.log"
[ "$answers" = "optbinning (600, 0) (826, 4)
toad (600, 0) (826, 4)
scorecardpy (825, 4) (600, 0)" ] ||
    fail "with odds of 50 and of 1 / 50: points of the best grade, and how many of the four have 650: $answers"

echo "expected: 600 points at odds of 50 are 600 points for a grade with 50 repaid loans to one in default"
echo "seen: 600 in optbinning and toad and 825 in scorecardpy, where all four grades pass a cut-off of 650"
