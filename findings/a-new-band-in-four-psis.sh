#!/usr/bin/env bash
# toad 0.1.7, feature-engine 1.9.4, scorecardpy 0.1.9.7, on pandas 2.3.3 (PyPI)
#
# Done: the population stability index of 1,000 applicants in grades 1 to 4 and of 1,000 later ones, 5 % of them in a
#   grade 5 that nobody had before, by each library's own function and its defaults.
# Expected: one index, as there is one formula. By custom under 0.1 is stable, and over 0.25 calls for a new model.
# Seen: 0.0035 in toad, which leaves the new grade out; in feature-engine 0.0381 when grades are numbers, as it counts
#   grade 5 with grade 4, and 0.3136 when they are categories, as it puts a small share for none; 0.2007 in scorecardpy,
#   which puts 0.9 of a row for none, so that its index depends on the count. Say what a band without rows counts as.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages toad==0.1.7 feature-engine==1.9.4 scorecardpy==0.1.9.7 pandas==2.3.3 scikit-learn==1.9.1 \
    setuptools==80.9.0

cat >"$work/psi.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import numpy
import pandas
import scorecardpy
import toad
from feature_engine.selection import DropHighPSIFeatures

before = numpy.repeat([1, 2, 3, 4], [500, 300, 150, 50])
after = numpy.repeat([1, 2, 3, 4, 5], [475, 275, 150, 50, 50])


def by_feature_engine(kind):
    grades = numpy.concatenate([before, after]).astype(kind)
    table = pandas.DataFrame({"grade": grades, "later": [0] * len(before) + [1] * len(after)})
    selection = DropHighPSIFeatures(split_col="later", cut_off=0.5, variables=["grade"])
    return selection.fit(table).psi_values_["grade"]


def by_scorecardpy():
    scores = {name: pandas.DataFrame({"grade": grades}) for name, grades in (("one", before), ("two", after))}
    labels = {name: pandas.DataFrame({"bad": frame["grade"] % 2}) for name, frame in scores.items()}
    return scorecardpy.perf_psi(score=scores, label=labels, show_plot=False)["psi"]["PSI"][0]


print(f"toad {toad.metrics.PSI(pandas.Series(after), pandas.Series(before)):.4f}")
print(f"feature-engine {by_feature_engine(float):.4f} {by_feature_engine(object):.4f}")
print(f"scorecardpy {by_scorecardpy():.4f}")
PYTHON
answers=$(MPLBACKEND=agg python "$work/psi.py" 2>"$work/psi.log") || fail "the indexes" "$work/psi.log"
[ "$answers" = "toad 0.0035
feature-engine 0.0381 0.3136
scorecardpy 0.2007" ] || fail "indexes; feature-engine's by numbers and by categories: $answers"

echo "expected: three libraries have one stability index for two samples"
echo "seen: 5 % in a new grade are 0.0035 in toad, 0.0381 or 0.3136 in feature-engine and 0.2007 in scorecardpy"
