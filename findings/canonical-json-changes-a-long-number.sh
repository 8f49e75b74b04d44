#!/usr/bin/env bash
# rfc8785 0.1.4, jcs 0.2.1 (PyPI)
#
# Done: both implementations of RFC 8785, canonical JSON for hashing and signing, get a record with an integer around
#   2^53, where the RFC's numbers, which are doubles, stop being exact.
# Expected: the integer as it is, or an error; and the same bytes from both.
# Seen: jcs writes the nearest double: 9007199254740993 becomes ...992, so two different records have one hash and the
#   text that is signed is not the record. rfc8785 refuses it, but also 9007199254740992, which a double holds. Up to
#   2^53 - 1 they agree. Put long numbers into strings.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages rfc8785==0.1.4 jcs==0.2.1

cat >"$work/canonical.py" <<'PYTHON'
import jcs
import rfc8785


def strict(number):
    try:
        return rfc8785.dumps({"id": number}).decode()
    except rfc8785.IntegerDomainError:
        return "refused"


for number in 2**53 - 1, 2**53, 2**53 + 1:
    print(jcs.canonicalize({"id": number}).decode(), strict(number))
PYTHON
answers=$(python "$work/canonical.py")
[ "$answers" = '{"id":9007199254740991} {"id":9007199254740991}
{"id":9007199254740992} refused
{"id":9007199254740992} refused' ] || fail "jcs, rfc8785: $answers"

echo "expected: canonical JSON keeps an integer or refuses it, and two implementations agree"
echo "seen: jcs writes 2^53 + 1 as 2^53, so two records have one hash; rfc8785 refuses both"
