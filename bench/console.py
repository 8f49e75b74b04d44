"""Time the console's pages over a long past, in a PostgreSQL and beside a Kafka of its own.

    python -m bench.console --rows 10000000

Invariant: each page is asked for by a person who signed in, over HTTP, one request after the other.
"""

import argparse
import asyncio
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Final

import httpx
import psutil
import psycopg

from bench.past import fill
from harness.broker import Broker
from harness.database import prepare
from harness.ports import free_ports
from harness.stores import started
from harness.system import a_system
from prequal.console import listing
from prequal.domain.person import PersonRole
from prequal.local.kafka import Kafka
from prequal.local.postgres import Postgres
from prequal.people import administration
from prequal.people.administration import NewSecrets
from prequal.postgres.connections import connected
from prequal.record.acts import operator

PERSON: Final = "bench"
PASSWORD: Final = "a password of the bench"
PAGES: Final = (
    "/", "/?hours=24", "/applications", "/applications/{application}", "/review", "/review?order=amount",
    "/review/{case}", "/policy", "/policy/v1", "/dead-letters", "/record", "/system", "/clients", "/people",
)  # fmt: skip
SEARCHES: Final[Mapping[str, Mapping[str, str]]] = {
    "by id": {"id": "{application}"},
    "by a request's id": {"id": "{latest} asked"},
    "by status": {"status": "REJECTED"},
    "by a tail": {"tail": "0042F"},
    "by a tail that one in 100,000 has": {"tail": "0007Z"},
    "by a tail that nobody has": {"tail": "0001Z"},
    "by a client of one in 100,000": {"client": "rarebank"},
    "by a rare client and status": {"client": "rarebank", "status": "MANUAL_REVIEW"},
    "by a client that nobody is": {"client": "nobody00"},
    "by status and score": {"status": "REJECTED", "scores": "600–649"},
    "by status and a score of nobody": {"status": "REJECTED", "scores": "800–900"},
    "by score, three weeks ago": {"scores": "none", "until": "{three_weeks_ago}"},
    "of the undecided": {"status": "PENDING"},
}
REPEATS: Final = 300
CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')


def main() -> None:
    """Fill, sign in, ask, and print each page's times."""
    parser = argparse.ArgumentParser(description="Time the console's pages over a long past.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    number: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="bench-console-") as name:
        folder = Path(name)
        ports = free_ports(3)
        with (
            started(Postgres(folder / "pg", ports[0])) as server,
            started(Kafka(folder / "kafka", *ports[1:])) as kafka,
        ):
            prepare(server.database_url)
            began = perf_counter()
            fill(server.database_url, number)
            print(f"{number:,} applications were filled in within {perf_counter() - began:.0f} s", flush=True)
            Broker(kafka.bootstrap_servers).create()
            asyncio.run(_list(server.database_url, number))
            measure(server.database_url, kafka.bootstrap_servers, folder)


def measure(database_url: str, bootstrap_servers: str, folder: Path) -> None:
    """Start the console, and ask each page of it."""
    asyncio.run(_add_person(database_url))
    with psycopg.connect(database_url) as connection:
        ids = connection.execute(
            "SELECT (SELECT id FROM applications ORDER BY id OFFSET 1000 LIMIT 1) AS application, "
            "(SELECT application_id FROM review_cases LIMIT 1) AS case, "
            "(SELECT id FROM applications ORDER BY id DESC OFFSET 1000 LIMIT 1) AS latest, "
            "(now() - interval '21 days')::date AS three_weeks_ago"
        ).fetchone()
    known = dict(zip(("application", "case", "latest", "three_weeks_ago"), map(str, ids or ()), strict=True))
    with a_system(database_url, bootstrap_servers, folder) as system:
        console = system.further("console", "console")
        console.launch()
        console.wait_until_ready()
        with httpx.Client(base_url=console.url, timeout=60, trust_env=False) as browser:
            _sign_in(browser)
            for path in PAGES:
                _time(browser, "GET", path.format_map(known), path)
            for what, fields in SEARCHES.items():
                form = {field: value.format_map(known) for field, value in fields.items()}
                _time(browser, "POST", "/applications", f"search {what}", form)


async def _list(database_url: str, number: int) -> None:
    """Fill the list of the applications as the console does, without its pauses, and say what that took."""
    async with connected(database_url, "bench", listing.SESSION, listing.COMMAND_SECONDS) as connection:
        process = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
        began, cpu = perf_counter(), sum(process.cpu_times()[:2])
        while not await listing.fill(connection):
            pass
        took, cpu = perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
        await connection.execute("VACUUM ANALYZE application_list")
    print(f"they were listed within {took:.0f} s, {cpu / number * 1e6:.1f} CPU µs each in PostgreSQL", flush=True)


async def _add_person(database_url: str) -> None:
    async with connected(database_url, "bench") as connection:
        await administration.add(connection, operator(), PERSON, [*PersonRole], NewSecrets(PASSWORD))


def _sign_in(browser: httpx.Client) -> None:
    form = {"csrf": _csrf(browser.get("/sign-in")), "name": PERSON, "password": PASSWORD}
    answer = browser.post("/sign-in", data=form)
    assert answer.status_code == 303, answer.text


def _csrf(page: httpx.Response) -> str:
    found = CSRF.search(page.text)
    assert found is not None, page.text
    return found[1]


def _time(browser: httpx.Client, method: str, path: str, name: str, form: Mapping[str, str] | None = None) -> None:
    fields = {**form, "csrf": _csrf(browser.get(path))} if form is not None else None
    milliseconds = []
    for _ in range(REPEATS):
        began = perf_counter()
        answer = browser.request(method, path, data=fields)
        milliseconds.append((perf_counter() - began) * 1000)
        assert answer.status_code in (200, 303), f"{name}: {answer.status_code}"
    p50, p99 = (quantiles(milliseconds, n=100)[at] for at in (49, 98))
    print(f"{name:<32} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   {len(answer.content) / 1000:6.1f} kB", flush=True)


if __name__ == "__main__":
    main()
