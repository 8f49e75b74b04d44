#!/usr/bin/env bash
# prometheus-client 0.26.0
#
# Done: of two gauges and a counter in one registry one gauge asks a function for its value (set_function), and that
#   function raises, as one does whose database is away. The metrics are scraped over HTTP.
# Expected: the scrape lacks that gauge and has the others.
# Seen: the scrape fails as a whole, with status 500: just when one dependency is away, nothing is seen of the process.
#   A function that gives NaN in its place leaves the others alone.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages prometheus-client==0.26.0

python - 2>/dev/null <<'PYTHON'
import math
import urllib.error
import urllib.request

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server


def scraped(value):
    """The status of a scrape, and the samples in it, when the gauge's function is this one."""
    registry = CollectorRegistry()
    Counter("requests", "Requests.", registry=registry).inc()
    Gauge("backlog", "Rows.", registry=registry).set_function(value)
    Gauge("open_files", "Files.", registry=registry).set(3)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return answer.status, [line.split()[0] for line in lines if line[0] != "#" and "_created" not in line]
    except (urllib.error.HTTPError, OSError) as error:
        return getattr(error, "code", type(error).__name__), []
    finally:
        server.shutdown()
        thread.join()


def away():
    raise ConnectionError("the database is away")


failed, undefined = scraped(away), scraped(lambda: math.nan)
assert failed == (500, []), failed
assert undefined == (200, ["requests_total", "backlog", "open_files"]), undefined
print("expected: a gauge that cannot be read is missing, and the others are there")
print(f"seen: status {failed[0]} and no metric at all; {len(undefined[1])} of 3 when the function gives NaN instead")
PYTHON
