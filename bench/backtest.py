"""Time `prequal policy backtest` on rows of its own, in a PostgreSQL of its own.

    python -m bench.backtest --rows 200000

Invariant: the rows are decided by the version that the backtest replays, so that none is found stored otherwise.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from bench.past import fill
from harness.ports import free_ports
from harness.stores import started
from prequal.domain.policy import packaged
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy
from prequal.local.postgres import Postgres
from prequal.ops.backtest import backtest
from prequal.schema.migrate import upgrade


def stricter() -> Policy:
    """Policy v1 with a minimum of 700."""
    text = (packaged.text_of("v1") or "").replace('"v1"', '"v2"').replace("{ score = 650 }", "{ score = 700 }")
    return load(text.replace("cibil_score = 650\n", "cibil_score = 700\n"))


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description="Time `prequal policy backtest`.")
    parser.add_argument("--rows", type=int, default=200_000)
    number: int = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Postgres(Path(folder) / "data", *free_ports(1))) as server,
    ):
        upgrade(server.database_url)
        fill(server.database_url, number)
        began, cpu = perf_counter(), process_time()
        report = backtest(server.database_url, stricter())
        seconds, cpu = perf_counter() - began, process_time() - cpu
    assert report["replayed"] == {"of_unknown_versions": 0, "otherwise_than_stored": []}
    print(f"{report['applications']:,} applications in {seconds:.1f} s, {number / seconds:,.0f} a second")
    print(f"{cpu:.1f} s of them on the CPU in this process, {cpu / number * 1e6:.1f} µs an application")
    print(f"{len(report['flips']):,} flips")


if __name__ == "__main__":
    main()
