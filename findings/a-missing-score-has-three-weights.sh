#!/usr/bin/env bash
# optbinning 1.0.0, scorecardpy 0.1.9.7, toad 0.1.7, on pandas 2.3.3 (PyPI)
#
# Done: 2,000 loans with a bureau's score, missing for 300, of whom half defaulted. Each library bins the score and
#   gives the weight of evidence of a missing score, with its defaults.
# Expected: the weight of those without a score, ln of their odds to all odds: 0.777, with the sign of the library.
# Seen: 0.777 in scorecardpy alone. optbinning lists -0.777 for them in its table and then transforms a missing score to
#   0, the average applicant; with metric_missing="empirical" it gives -0.777. toad puts them into the lowest band,
#   whose weight then is that of the mixture; with empty_separate=True it gives 0.777.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages optbinning==1.0.0 scorecardpy==0.1.9.7 toad==0.1.7 pandas==2.3.3 scikit-learn==1.9.1 setuptools==80.9.0

cat >"$work/weights.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import numpy
import pandas
import scorecardpy
import toad
from optbinning import OptimalBinning

# Of 1,700 with a score two in three defaulted at 600 and one in 20 at 760; of 300 without one, every other.
scores = [600 + 40 * band for band in range(5) for _ in range(340)] + [None] * 300
shares = [0.66, 0.4, 0.2, 0.1, 0.05]
bad = [int(row < 340 * share) for share in shares for row in range(340)] + [row % 2 for row in range(300)]
loans = pandas.DataFrame({"score": pandas.Series(scores, dtype=float), "bad": bad})
asked = pandas.DataFrame({"score": [numpy.nan, 600.0]})

binning = OptimalBinning(name="score").fit(loans["score"].to_numpy(), loans["bad"].to_numpy())
table = binning.binning_table.build()
listed = table.loc[table["Bin"] == "Missing", "WoE"].item()
given, empirical = (
    binning.transform(asked["score"].to_numpy(), metric="woe", **more)[0]
    for more in ({}, {"metric_missing": "empirical"})
)
print(f"optbinning {listed:.3f} {given:.3f} {empirical:.3f}")

bins = scorecardpy.woebin(loans, y="bad")
print(f"scorecardpy {scorecardpy.woebin_ply(asked.assign(bad=0), bins)['score_woe'][0]:.3f}")

weights = []
for separate in False, True:
    combiner = toad.transform.Combiner()
    combiner.fit(loans, y="bad", method="chi", min_samples=0.05, empty_separate=separate)
    transformer = toad.transform.WOETransformer()
    transformer.fit(combiner.transform(loans), loans["bad"], exclude=["bad"])
    weights.append(transformer.transform(combiner.transform(asked))["score"].tolist())
(mixed, lowest), (separated, _) = weights
assert mixed == lowest
print(f"toad {mixed:.3f} {separated:.3f}")
PYTHON
answers=$(python "$work/weights.py" 2>"$work/weights.log" | grep -v INFO) || fail "the weights" "$work/weights.log"
[ "$answers" = "optbinning -0.777 0.000 -0.777
scorecardpy 0.777
toad 1.124 0.777" ] || fail "weights by default and when asked for, in optbinning after that of its table: $answers"

echo "expected: a missing score weighs what those without a score have shown: 0.777"
echo "seen: 0 in optbinning, though its table lists -0.777; 1.124 in toad, with the lowest band; 0.777 in scorecardpy"
