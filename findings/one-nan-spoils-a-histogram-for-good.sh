#!/usr/bin/env bash
# prometheus-client 0.26.0
#
# Done: a histogram and a summary observe 1, NaN (a ratio of 0 and 0, say) and 2.
# Expected: the NaN is refused or left out; or it is counted.
# Seen: the histogram's count leaves it out and says 2, the summary's says 3, and the sum of both is NaN from then on,
#   for as long as the process lives: every average over it is gone.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages prometheus-client==0.26.0

python - <<'PYTHON'
import math

from prometheus_client import CollectorRegistry, Histogram, Summary

registry = CollectorRegistry()
histogram = Histogram("ratio", "A ratio.", registry=registry)
summary = Summary("share", "A share.", registry=registry)
for value in (1, math.nan, 2):
    histogram.observe(value)
    summary.observe(value)
seen = {name: registry.get_sample_value(name) for name in ("ratio_count", "ratio_sum", "share_count", "share_sum")}

assert (seen["ratio_count"], seen["share_count"]) == (2, 3), seen
assert math.isnan(seen["ratio_sum"]) and math.isnan(seen["share_sum"]), seen
print("expected: count and sum agree on what was observed")
print(f"seen: counts of {seen['ratio_count']:.0f} (histogram) and {seen['share_count']:.0f} (summary); both sums stay nan")
PYTHON
