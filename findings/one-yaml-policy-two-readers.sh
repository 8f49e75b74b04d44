#!/usr/bin/env bash
# PyYAML 6.0.4 and ruamel.yaml 0.19.1 (PyPI)
#
# Done: a policy of seven lines, valid YAML, is read by both: a minimum score with a zero in front, a term with a colon,
#   an hour of the day, a NO, two account numbers, a cap as a power of ten.
# Expected: the two agree on so small a file, but perhaps for the NO.
# Seen: PyYAML reads YAML 1.1, ruamel.yaml 1.2. The minimum score 0650 is 424 in one and 650 in the other. The term
#   48:00 is 2,880, the cut-off 14:30 is 870, NO is False; the other keeps text. The account 000405001234 is an octal
#   number in one and loses its zeros in the other, while 000405001239 is text in one and a number in the other.
#   1e6 is text in one, a number in the other. Quote everything that is no plain number.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages PyYAML==6.0.4 ruamel.yaml==0.19.1

cat >"$work/policy.yaml" <<'YAML'
minimum_score: 0650
term_months: 48:00
cut_off: 14:30
manual: NO
account: 000405001234
second_account: 000405001239
cap: 1e6
YAML
cat >"$work/read.py" <<'PYTHON'
import sys
import warnings
from pathlib import Path

import ruamel.yaml
import yaml

warnings.simplefilter("ignore")
text = Path(sys.argv[1]).read_text()
first, second = yaml.safe_load(text), ruamel.yaml.YAML(typ="safe").load(text)
for field in first:
    print(field, repr(first[field]), repr(second[field]))
PYTHON
answers=$(python "$work/read.py" "$work/policy.yaml")
[ "$answers" = "minimum_score 424 650
term_months 2880 '48:00'
cut_off 870 '14:30'
manual False 'NO'
account 68420252 405001234
second_account '000405001239' 405001239
cap '1e6' 1000000.0" ] || fail "field, PyYAML, ruamel.yaml: $answers"

echo "expected: two readers of YAML read one small policy alike"
echo "seen: a minimum score of 0650 is 424 in PyYAML and 650 in ruamel.yaml; seven fields of seven differ"
