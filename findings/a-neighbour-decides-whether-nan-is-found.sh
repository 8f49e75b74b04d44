#!/usr/bin/env bash
# DuckDB 2.0.1, pyarrow 26.0.1, Polars 2.1.0 (PyPI)
#
# Done: the obligations of four applicants over their incomes, one of them 0 / 0 and therefore NaN, are written to a
#   Parquet file by pyarrow. Each library is asked, of the table in memory and of the file, whose ratio is not within
#   the limit of 0.50; then once more with a fifth applicant, whose ratio is 0.60.
# Expected: one answer a library, whether it reads from memory or from a file. NaN is the largest number in DuckDB and
#   in Polars (so > 0.50 finds it), and no number in pyarrow (so not <= 0.50 finds it).
# Seen: Polars always finds the applicant. DuckDB and pyarrow find him in memory, and in the file only beside the fifth:
#   the file's statistics leave NaN out, so a row group whose largest ratio is 0.40 is skipped. DuckDB's count with a
#   FILTER finds in the same file what its WHERE does not. Store no NaN: a ratio that cannot be worked out is null.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0

cat >"$work/ratios.py" <<'PYTHON'
import sys

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

LIMIT = 0.5
NAN = float("nan")


def by_duckdb(table, file):
    memory = duckdb.sql("SELECT id FROM ratios WHERE ratio > 0.5")
    stored = duckdb.sql(f"SELECT id FROM '{file}' WHERE ratio > 0.5")
    counted = duckdb.sql(f"SELECT count(*) FILTER (WHERE ratio > 0.5) FROM '{file}'").fetchall()[0][0]
    return [row[0] for row in memory.fetchall()], [row[0] for row in stored.fetchall()], f"counted {counted}"


def by_pyarrow(table, file):
    beyond = ~(pyarrow.dataset.field("ratio") <= LIMIT)
    stored = pyarrow.dataset.dataset(file).to_table(filter=beyond)
    return table.filter(beyond)["id"].to_pylist(), stored["id"].to_pylist()


def by_polars(table, file):
    beyond = polars.col("ratio") > LIMIT
    stored = polars.scan_parquet(file).filter(beyond).collect()
    return polars.from_arrow(table).filter(beyond)["id"].to_list(), stored["id"].to_list()


for ratios in [0.2, 0.4, NAN, 0.3], [0.2, 0.4, NAN, 0.3, 0.6]:
    table = pyarrow.table({"id": range(1, len(ratios) + 1), "ratio": ratios})
    file = f"{sys.argv[1]}/{len(ratios)}.parquet"
    pyarrow.parquet.write_table(table, file)
    duckdb.register("ratios", table)
    for ask in by_duckdb, by_pyarrow, by_polars:
        print(len(ratios), ask.__name__.removeprefix("by_"), *ask(table, file))
PYTHON
answers=$(python "$work/ratios.py" "$work")
[ "$answers" = "4 duckdb [3] [] counted 1
4 pyarrow [3] []
4 polars [3] [3]
5 duckdb [3, 5] [3, 5] counted 2
5 pyarrow [3, 5] [3, 5]
5 polars [3, 5] [3, 5]" ] || fail "who is beyond 0.50 of four and of five applicants, in memory and in a file: $answers"

echo "expected: a library finds a NaN ratio in a file if it finds it in memory"
echo "seen: DuckDB and pyarrow find it in the file only where somebody else in its row group is beyond the limit"
