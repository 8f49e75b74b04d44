#!/usr/bin/env bash
# optbinning 1.0.0, scorecardpy 0.1.9.7, toad 0.1.7, scipy 1.17.1, on pandas 2.3.3 (PyPI)
#
# Done: 1,000 loans in five grades, each grade with one predicted rate of default. Each library computes the KS of one
#   and the same table, once with the repaid loans first, once with the defaulted ones first.
# Expected: KS is a distance of two distributions: 36.57 % in each library, whatever the order of the rows.
# Seen: toad and scipy say so. optbinning's plot and scorecardpy step through rows of one grade one by one, as if they
#   were ranked: more than 36.57 %, and another number by the order of the rows, and by NumPy's sort for the processor.
#   So a scorecard with few grades looks better than it is. Group by the grade before.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages optbinning==1.0.0 scorecardpy==0.1.9.7 toad==0.1.7 scipy==1.17.1 pandas==2.3.3 scikit-learn==1.9.1 \
    setuptools==80.9.0

cat >"$work/ks.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import matplotlib.pyplot
import numpy
import scorecardpy
import toad
from optbinning.scorecard.plots import plot_ks
from scipy.stats import ks_2samp

DEFAULTS = {0.3: 60, 0.15: 30, 0.1: 20, 0.05: 10, 0.025: 5}  # of 200 each
loans = [(rate, int(row < bad)) for rate, bad in DEFAULTS.items() for row in range(200)]


def by_optbinning(bad, rate):
    matplotlib.pyplot.close("all")
    plot_ks(bad, rate)
    text = matplotlib.pyplot.gca().texts[0].get_text()
    return round(float(text.split()[1].rstrip("%")) / 100, 4)


def by_scorecardpy(bad, rate):
    return float(scorecardpy.perf_eva(bad, rate, plot_type=["ks"], show_plot=False)["KS"])


def by_toad(bad, rate):
    return round(float(toad.metrics.KS(rate, bad)), 4)


def by_scipy(bad, rate):
    return round(float(ks_2samp(rate[bad == 1], rate[bad == 0]).statistic), 4)


for compute in by_scipy, by_toad, by_scorecardpy, by_optbinning:
    found = []
    for order in (lambda loan: loan[1]), (lambda loan: -loan[1]):
        rates, bads = zip(*sorted(loans, key=order), strict=True)
        found.append(compute(numpy.array(bads), numpy.array(rates)))
    name = compute.__name__.removeprefix("by_")
    exact = found == [0.3657, 0.3657]
    assert exact == (name in ("scipy", "toad")), (name, found)
    assert exact or (found[0] != found[1] and max(found) > 0.3657), (name, found)
    print(f"{name}: {found[0]:.2%} and {found[1]:.2%}")
PYTHON
answers=$(MPLBACKEND=agg python "$work/ks.py" 2>"$work/ks.log") || fail "the KS" "$work/ks.log"

echo "expected: the KS of a table is one number, 36.57 %, whatever the order of its rows"
echo "seen: by two orders of the rows: $(tr '\n' ';' <<<"$answers")"
