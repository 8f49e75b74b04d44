"""Time `prequal policy backtest` on rows of its own, in a PostgreSQL of its own.

    python -m bench.backtest --rows 200000

Invariant: the rows are decided by the version that the backtest replays, so that none is found stored otherwise.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

import psycopg
from uuid_utils.compat import uuid7

from harness.ports import free_ports
from harness.stores import started
from prequal.domain.application import LoanType
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy
from prequal.local.postgres import Postgres
from prequal.ops.backtest import backtest
from prequal.schema.migrate import upgrade

COPY = """
    COPY applications (
        id, pan_number_encrypted, pan_number_hash, pan_number_masked, monthly_income_inr, loan_amount_inr, loan_type,
        status, cibil_score, decision_rule, decision_measures, policy_version, policy_hash, version
    ) FROM STDIN
"""


def rows(number: int) -> Iterator[tuple[object, ...]]:
    """Decided applications, the same ones each time but for their ids."""
    chance, policy = random.Random(15), packaged.current()
    for n in range(number):
        score = chance.choice([None, *range(600, 800)])
        income, amount = chance.randint(1_000_000, 20_000_000), chance.randint(5_000_000, 900_000_000)
        loan_type = chance.choice([*LoanType])
        decision = policy.decide(Facts(score, income, amount, loan_type))
        money = f"{income // 100}.{income % 100:02d}", f"{amount // 100}.{amount % 100:02d}"
        yield (
            uuid7(), bytes(47), f"{n:064x}", "XXXXX1234F", *money, loan_type.value,
            decision.status.value, score, decision.code, decision.measures_json, policy.version, policy.digest, 2,
        )  # fmt: skip


def fill(database_url: str, number: int) -> None:
    """Copy the rows in."""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            for row in rows(number):
                copy.write_row(row)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE applications")


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
