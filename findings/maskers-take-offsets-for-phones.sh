#!/usr/bin/env bash
# kavach-pii 0.2.0, dpdp-scrub 0.0.5 (PyPI)
#
# Done: two maskers made for India's personal data get a line of a JSON log that holds none: a score, a loan in paise
#   and the offset of a Kafka message, the last two of ten digits.
# Expected: nothing is masked; or if something is, the line stays JSON.
# Seen: ten digits that begin with 6 to 9 pass for a mobile number: kavach-pii masks both, dpdp-scrub the offset. The
#   mask takes the place of a bare number, so that the line is no JSON any more and a log collector cannot read it.
#   Given the object instead of the line, dpdp-scrub leaves numbers alone. Mask fields by name, before they are text.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages kavach-pii==0.2.0 dpdp-scrub==0.0.5

cat >"$work/mask.py" <<'PYTHON'
import json

import dpdp_scrub
import kavach

fields = {"cibil_score": 742, "loan_amount_paise": 7500000000, "offset": 8765432109}
line = json.dumps(fields)


def is_json(text):
    try:
        return json.loads(text) == fields
    except json.JSONDecodeError:
        return "no JSON"


for masker in kavach.Kavach().redact, lambda text: dpdp_scrub.Scrubber().scrub(text).text:
    print(masker(line), is_json(masker(line)))
print("object left alone", dpdp_scrub.Scrubber().scrub_json(fields)[0] == fields)
PYTHON
answers=$(python "$work/mask.py")
[ "$answers" = '{"cibil_score": 742, "loan_amount_paise": [PHONE_1], "offset": [PHONE_2]} no JSON
{"cibil_score": 742, "loan_amount_paise": 7500000000, "offset": <PHONE_IN_1>} no JSON
object left alone True' ] || fail "masked: $answers"

echo "expected: a log line without personal data stays as it is, or at least stays JSON"
echo "seen: both maskers take a Kafka offset for a phone, one a loan in paise too, and the line is no JSON any more"
