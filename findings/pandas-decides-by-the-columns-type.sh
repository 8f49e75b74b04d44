#!/usr/bin/env bash
# pandas 3.1.1 (PyPI)
#
# Done: of three applicants, with the scores 640, 700 and none, those below 650 are rejected and the rest approved, by
#   four of pandas' own idioms: mask, where, loc and case_when; once with the column as float64, as it comes from a
#   file, once as Int64, the type made for whole numbers with gaps.
# Expected: what happens to the missing score is a matter of the rule, not of the column's type; and the idioms agree.
# Seen: as float64 the missing score is approved by mask, loc and case_when and rejected by where. As Int64 mask and
#   case_when reject it, since their unknown condition counts as true, while loc still approves it, since there it
#   counts as false. Changing a column's type, or one idiom for another, turns approvals into rejections. Drop or fill
#   missing scores first.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pandas==3.1.1

cat >"$work/decide.py" <<'PYTHON'
import pandas


def by_loc(score):
    status = pandas.Series("APPROVED", index=score.index)
    status.loc[score < 650] = "REJECTED"
    return status


IDIOMS = {
    "mask": lambda score: pandas.Series("APPROVED", index=score.index).mask(score < 650, "REJECTED"),
    "where": lambda score: pandas.Series("APPROVED", index=score.index).where(score >= 650, "REJECTED"),
    "loc": by_loc,
    "case_when": lambda score: pandas.Series("APPROVED", index=score.index).case_when([(score < 650, "REJECTED")]),
}
for name, idiom in IDIOMS.items():
    columns = (pandas.Series([640, 700, None], dtype=kind) for kind in ("float64", "Int64"))
    answers = [idiom(column).tolist() for column in columns]
    assert all(answer[:2] == ["REJECTED", "APPROVED"] for answer in answers), answers
    print(name, *(answer[2] for answer in answers))
PYTHON
answers=$(python "$work/decide.py")
[ "$answers" = "mask APPROVED REJECTED
where REJECTED REJECTED
loc APPROVED APPROVED
case_when APPROVED REJECTED" ] || fail "a missing score as float64 and as Int64: $answers"

echo "expected: a missing score is decided alike, whatever the column's type and the idiom"
echo "seen: float64 is approved by mask, loc and case_when; Int64 by loc alone; where rejects both"
