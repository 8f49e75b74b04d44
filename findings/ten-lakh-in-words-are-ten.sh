#!/usr/bin/env bash
# num2words 0.5.14, word2number 1.1, text2num 3.1.0 (PyPI)
#
# Done: five loans are written in words for India by num2words, as a sanction letter or a cheque has them, and read back
#   without commas by word2number and by text2num; and one in thousands, as a comparison.
# Expected: the amounts; or an error at "lakh" or "crore", which are no words of the readers' English.
# Seen: text2num raises. word2number passes over the two words and makes a number of the rest: ten lakh are 10, ten lakh
#   and twenty thousand 30,000, twelve lakh 34,567 are 364,567. A word that it does not know is an error only where
#   it knows none. Compare an amount in words with the one in figures.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages num2words==0.5.14 word2number==1.1 text2num==3.1.0

cat >"$work/words.py" <<'PYTHON'
from num2words import num2words
from text_to_num import text2num
from word2number.w2n import word_to_num


def read_by(reader, text, *more):
    try:
        return reader(text, *more)
    except ValueError as error:
        return type(error).__name__


LOANS = 1_000_000, 150_000, 1_020_000, 1_234_567, 20_000_000
texts = [num2words(loan, lang="en_IN").replace(",", "") for loan in LOANS]
for text in *texts, "one hundred and fifty thousand", "lakh":
    print(f"{text}: {read_by(word_to_num, text)} {read_by(text2num, text, 'en')}")
PYTHON
answers=$(python "$work/words.py")
[ "$answers" = "ten lakh: 10 ValueError
one lakh fifty thousand: 51000 ValueError
ten lakh twenty thousand: 30000 ValueError
twelve lakh thirty-four thousand five hundred and sixty-seven: 364567 ValueError
two crore: 2 ValueError
one hundred and fifty thousand: 150000 150000
lakh: ValueError ValueError" ] || fail "the words; what word2number and text2num read: $answers"

echo "expected: an amount of ten lakh in words is read as 1,000,000, or is an error"
echo "seen: word2number reads ten lakh as 10 and one lakh fifty thousand as 51,000; text2num raises"
