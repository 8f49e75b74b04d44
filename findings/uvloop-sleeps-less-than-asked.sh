#!/usr/bin/env bash
# uvloop 0.23.0, Python's own asyncio
#
# Done: 500 times asyncio.sleep(0.0004) and 500 times asyncio.sleep(0.0024), on both loops.
# Expected: sleep(s) takes at least s.
# Seen: uvloop's timers are whole milliseconds, rounded. Below half of one it does not sleep at all, so that a loop with
#   such a pause runs hot; 2.4 ms are mostly 2 and something. asyncio never sleeps less than it is asked for.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages uvloop==0.23.0

python - <<'PYTHON'
import asyncio
import time

import uvloop


async def too_short(seconds):
    """How many of 500 sleeps are shorter than asked for, and the middle one as a part of what was asked for."""
    took = []
    for _ in range(500):
        began = time.monotonic()
        await asyncio.sleep(seconds)
        took.append(time.monotonic() - began)
    return sum(one < seconds for one in took), sorted(took)[250] / seconds


def on(loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(too_short(0.0004)), runner.run(too_short(0.0024))


own, uv = on(asyncio.new_event_loop), on(uvloop.new_event_loop)
assert own[0][0] == own[1][0] == 0, own
assert uv[0][0] > 450 and uv[0][1] < 0.2 and uv[1][0] > 0, uv
print("expected: no sleep is shorter than what is asked for")
print(f"seen: of 500 sleeps of 0.4 ms {uv[0][0]} are with uvloop (the middle one takes {uv[0][1]:.0%} of it), of 2.4 ms {uv[1][0]};")
print("seen: with asyncio none")
PYTHON
