#!/usr/bin/env bash
# num2words 0.5.14 (PyPI)
#
# Done: a loan of 150,000 rupees is put into words for a sanction letter, in Indian English, from each type that holds
#   an amount.
# Expected: the same words from int, float, Decimal and text.
# Seen: an int is taken for the smallest unit, paise: "one thousand, five hundred rupees". All others give one lakh
#   fifty thousand, even Decimal("150000"), so a letter is right until an amount happens to be an int. In plain numbers,
#   without a currency, the int is right. Hand over a Decimal.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages num2words==0.5.14

cat >"$work/words.py" <<'PYTHON'
from decimal import Decimal

from num2words import num2words

for amount in 150_000, 150_000.0, Decimal("150000"), "150000":
    print(type(amount).__name__, num2words(amount, lang="en_IN", to="currency", currency="INR"))
print("plain", num2words(150_000, lang="en_IN"))
PYTHON
answers=$(python "$work/words.py")
[ "$answers" = "int one thousand, five hundred rupees, zero paise
float one lakh, fifty thousand rupees, zero paise
Decimal one lakh, fifty thousand rupees, zero paise
str one lakh, fifty thousand rupees, zero paise
plain one lakh, fifty thousand" ] || fail "words: $answers"

echo "expected: 150,000 rupees in words are one lakh, fifty thousand rupees"
echo "seen: as an int they are one thousand, five hundred; as float, Decimal or text one lakh, fifty thousand"
