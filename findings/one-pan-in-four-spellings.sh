#!/usr/bin/env bash
# python-stdnum 2.2, india-kit 0.1.0, pancard 0.1.0, kramank 0.1.0 (PyPI)
#
# Done: four validators are asked about a made-up PAN as it is printed, in small letters, between blanks and with
#   hyphens; then about one whose fourth letter names no kind of holder and one whose number is 0000.
# Expected: a validator that says "valid" vouches for the text that it was given, and four agree on a format of ten
#   characters.
# Seen: all four accept small letters and blanks around, one hyphens too, and only kramank's answer holds the text that
#   it means. Code that then hashes or compares what came in has up to four tokens for one person. And they disagree:
#   india-kit accepts any fourth letter, only python-stdnum refuses 0000. Demand the one spelling first.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages python-stdnum==2.2 india-kit==0.1.0 pancard==0.1.0 kramank==0.1.0

cat >"$work/pans.py" <<'PYTHON'
import india_kit
import kramank
import pancard
from stdnum.in_ import pan

VALIDATORS = {
    "stdnum": pan.is_valid,
    "india-kit": lambda text: india_kit.validate_pan(text)["valid"],
    "pancard": pancard.validate_pan,
    "kramank": lambda text: kramank.validate_pan(text)["valid"],
}
for text in "ABCPK1234F", "abcpk1234f", " ABCPK1234F ", "ABC-PK-1234F", "ABCZK1234F", "ABCPK0000F":
    print(text.strip() if text == text.strip() else "blanks", *(n for n, valid in VALIDATORS.items() if valid(text)))
PYTHON
answers=$(python "$work/pans.py")
[ "$answers" = "ABCPK1234F stdnum india-kit pancard kramank
abcpk1234f stdnum india-kit pancard kramank
blanks stdnum india-kit pancard kramank
ABC-PK-1234F stdnum
ABCZK1234F india-kit
ABCPK0000F india-kit pancard kramank" ] || fail "valid for: $answers"

echo "expected: a valid PAN has one spelling, and four validators agree on it"
echo "seen: all four accept small letters and blanks, one hyphens, another any fourth letter; one alone refuses 0000"
