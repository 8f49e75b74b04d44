#!/usr/bin/env bash
# structlog 26.1.0
#
# Done: five values that are no JSON are logged with structlog's JSONRenderer: an object, bytes, a set, NaN, and a dict
#   whose keys are (topic, partition).
# Expected: a log call does not raise: what JSON does not know is written by its repr; each line is JSON.
# Seen: that goes for the first three. The dict raises TypeError out of the log call, into the code that wanted to say
#   something; and NaN is written as NaN, which strict readers of JSON refuse.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages structlog==26.1.0

python - <<'PYTHON'
import io
import json

import structlog

lines = io.StringIO()
structlog.configure(
    processors=[structlog.processors.JSONRenderer()],
    logger_factory=structlog.PrintLoggerFactory(lines),
)
log = structlog.get_logger()


def logged(value):
    lines.seek(0)
    lines.truncate()
    try:
        log.info("seen", value=value)
        json.loads(lines.getvalue(), parse_constant=lambda word: 1 / 0)
        return "JSON"
    except ZeroDivisionError:
        return "no JSON"
    except TypeError as error:
        return type(error).__name__


values = {"object": object(), "bytes": b"\xff", "set": {1}, "NaN": float("nan"), "lag": {("orders", 0): 7}}
seen = {name: logged(value) for name, value in values.items()}
assert seen == {"object": "JSON", "bytes": "JSON", "set": "JSON", "NaN": "no JSON", "lag": "TypeError"}, seen
print("expected: a line of JSON for each")
print(f"seen: {', '.join(f'{name}: {outcome}' for name, outcome in seen.items())}")
PYTHON
