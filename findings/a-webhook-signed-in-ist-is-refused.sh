#!/usr/bin/env bash
# standardwebhooks 1.1.0 (PyPI)
#
# Done: one message is signed for one instant, given as an aware time in UTC and as the same aware time in +05:30; then
#   each signature is verified beside that instant's Unix seconds, as a sender puts them into the header.
# Expected: equal instants make equal signatures: an aware time knows its offset.
# Seen: the signer throws the offset away and signs the Indian hours as if they were UTC, 19,800 seconds later. The
#   receiver finds no matching signature. Where the sender's clock runs on UTC nothing is ever noticed. Sign UTC only.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages standardwebhooks==1.1.0

cat >"$work/sign.py" <<'PYTHON'
import base64
from datetime import UTC, datetime, timedelta, timezone

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(base64.b64encode(b"a secret of no use anywhere").decode())
in_utc = datetime.now(UTC)
in_india = in_utc.astimezone(timezone(timedelta(hours=5, minutes=30)))


def verified(instant):
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(instant.timestamp())),
        "webhook-signature": webhook.sign("msg_1", instant, "{}"),
    }
    try:
        webhook.verify("{}", headers)
    except WebhookVerificationError:
        return "refused"
    return "verified"


later = webhook.sign("msg_1", in_utc + timedelta(seconds=19_800), "{}") == webhook.sign("msg_1", in_india, "{}")
print(in_utc == in_india, verified(in_utc), verified(in_india), later)
PYTHON
answers=$(python "$work/sign.py")
[ "$answers" = "True verified refused True" ] || fail "equal, in UTC, in +05:30, signed 19,800 s later: $answers"

echo "expected: a webhook signed for one instant verifies in whatever zone the time was given"
echo "seen: given in UTC it verifies; given in +05:30 it is signed as 19,800 s later and refused"
