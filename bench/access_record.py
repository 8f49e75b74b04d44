"""What the access record costs: CPU µs a request, and its share of what a decision costs at saturation.

    python -m bench.access_record --most 0.02

A burst on a `prequal up` of its own gives the rate and the CPU µs a decision; the records of as many requests a second
are then written, and left out, in this process.

Invariant: both figures are of one machine, one after the other.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final
from uuid import uuid4

import uvloop
from starlette.types import Scope

from bench.compare import HERE, WARM_UP, Load, Running, Variant
from bench.pairs import Measured
from prequal.api.access_record import AccessLog
from prequal.core.topology import Service
from prequal.telemetry import logs

SECONDS: Final = 200
"""So many seconds of requests are recorded, as fast as it goes."""


async def cpu_us_a_request(a_second: int) -> float:
    """CPU µs that a record costs on the average, of those that are lines and those that are only counted."""
    access_log = AccessLog()
    location = [(b"content-type", b"application/json"), (b"location", f"/applications/{uuid4()}/status".encode())]
    scopes: list[Scope] = [_a_request() for _ in range(a_second)]
    began = time.process_time()
    for _ in range(SECONDS):
        for scope in scopes:
            access_log.record(scope, 202, location, 0.01234)
        access_log._close_window()
    await asyncio.sleep(0)
    return (time.process_time() - began) / (SECONDS * a_second) * 1e6


def _a_request() -> Scope:
    return {
        "path": "/applications",
        "method": "POST",
        "client": ("192.0.2.7", 4711),
        "request_id": str(uuid4()),
    }


def of_a_decision(count: int) -> Measured:
    """What a burst on a system of its own costs a decision."""
    with (
        tempfile.TemporaryDirectory(prefix="access-record-") as folder,
        Running(Variant(HERE, {}), Path(folder)) as running,
    ):
        uvloop.run(running.measure(Load(WARM_UP)))
        return uvloop.run(running.measure(Load(count)))


def main() -> None:
    """Measure both, print the share; exit code 1 when it is above `--most`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="applications of the burst")
    parser.add_argument("--most", type=float, default=0.02, help="the highest share that is good")
    arguments = parser.parse_args()
    decision = of_a_decision(arguments.count)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        logs.configure(Service.API, "INFO")
        record = uvloop.run(cpu_us_a_request(round(decision["a second"])))
    share = record / decision["python"]
    print(
        f"access record {record:.2f} CPU µs a request at {decision['a second']:.0f}/s: {share:.2%} of the"
        f" {decision['python']:.0f} CPU µs that the Python processes take a decision"
        f" ({record / decision['all']:.2%} of {decision['all']:.0f} with the stores)"
    )
    sys.exit(share > arguments.most)


if __name__ == "__main__":
    main()
