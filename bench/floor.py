"""What this machine takes at least for a decision: its rows as bare inserts and its messages as bare Kafka hops.

    python -m bench.floor

Runs on the stores of a `prequal up`, in a database and on a topic of its own, which it removes again.

Invariant: nothing of the product has a part in it. A decision is eight rows of its size in four commits, in batches as
under load, each commit over a connection of its own; and two messages of its size, each produced with acks=all and read
by a consumer.
"""

import argparse
import asyncio
import json
import os
import statistics
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import uvloop
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.measures import CLIENT, cpu_seconds_of_all

DATABASE: Final = "bench_floor"
TOPIC: Final = "bench-floor"
"""How its topics begin: each run has its own, for one that was killed leaves its own behind."""
ROWS: Final = (4, 1, 2, 1)
"""Of each commit: application, claim, record and event; record, before the PAN is opened; inbox and event; inbox."""
ROW_BYTES: Final = 290
"""Beside the header: an application's rows and events have 2,500 bytes in all."""
MESSAGE_BYTES: Final = 750
"""With its headers."""
HOPS: Final = 2
BATCH: Final = 50
TIMES: Final = 200
SECONDS: Final = 15.0
CREATE: Final = "CREATE TABLE bare (id uuid PRIMARY KEY DEFAULT uuidv7(), filler bytea NOT NULL)"
INSERT: Final = "INSERT INTO bare (filler) SELECT unnest($1::bytea[])"


@dataclass(frozen=True)
class Floor:
    """What the bare work of a decision takes on this machine.

    Attributes:
        inserts_a_second: decisions whose rows can be inserted in a second, and nothing else.
        hops_a_second: decisions whose messages can be produced and read in a second, and nothing else.
        commit_ms: one row, inserted and committed alone, the median.
        hop_ms: one message alone, from its producing to its reading, the median.
        cpu_us: CPU µs a decision, by process: PostgreSQL, Kafka, and the client that does both.
    """

    inserts_a_second: float
    hops_a_second: float
    commit_ms: float
    hop_ms: float
    cpu_us: dict[str, float]

    @property
    def decisions_a_second(self) -> float:
        """As many as the cores have CPU for, if they did both and nothing else."""
        return (os.cpu_count() or 1) * 1e6 / sum(self.cpu_us.values())

    @property
    def post_ms(self) -> float:
        """From a post to its answer: one commit."""
        return self.commit_ms

    @property
    def final_ms(self) -> float:
        """From there to the final status: a hop, two commits, a hop, a commit."""
        return HOPS * self.hop_ms + (len(ROWS) - 1) * self.commit_ms

    @property
    def words(self) -> str:
        """All of it, for people."""
        cpu = ", ".join(f"{name} {micros:.0f}" for name, micros in self.cpu_us.items())
        return (
            f"bare inserts {self.inserts_a_second:,.0f} decisions/s, bare hops {self.hops_a_second:,.0f}, "
            f"CPU for both {self.decisions_a_second:,.0f} ({cpu} µs a decision); "
            f"a commit {self.commit_ms:.2f} ms, a hop {self.hop_ms:.2f} ms"
        )

    @classmethod
    async def measure(cls, running: dict[str, Any], decisions: int = 20_000) -> Self:
        """Measure on the stores of a system that runs, which should have nothing to do."""
        stores = {name: running["processes"][name] for name in ("postgres", "kafka")}
        before = cpu_seconds_of_all(stores)
        async with _table(running["database_url"]) as url:
            inserts = await _insert(url, decisions)
            middle = cpu_seconds_of_all(stores)
            commit = await _commit_ms(url)
        with _topic(running["kafka_bootstrap_servers"]) as hops:
            begun = cpu_seconds_of_all(stores)
            seconds = await asyncio.to_thread(hops.many, HOPS * decisions)
            after = cpu_seconds_of_all(stores)
            hop = await asyncio.to_thread(hops.median_ms)
        used = {
            "postgres": middle["postgres"] - before["postgres"],
            "kafka": after["kafka"] - begun["kafka"],
            CLIENT: middle[CLIENT] - before[CLIENT] + after[CLIENT] - begun[CLIENT],
        }
        cpu = {name: each / decisions * 1e6 for name, each in used.items()}
        return cls(decisions / inserts, decisions / seconds, commit, hop, cpu)


@asynccontextmanager
async def _table(database_url: str) -> AsyncIterator[str]:
    """A database with the table in it, on the same server, for as long as the block lasts; its address."""
    connection = await asyncpg.connect(database_url)
    own = urlunsplit(urlsplit(database_url)._replace(path=f"/{DATABASE}"))
    await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    try:
        inside = await asyncpg.connect(own)
        await inside.execute(CREATE)
        await inside.close()
        yield own
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        await connection.close()


async def _insert(url: str, decisions: int) -> float:
    """Seconds for the rows of so many decisions, each of the commits over a connection of its own."""

    async def commit(connection: "asyncpg.Connection[asyncpg.Record]", rows: int) -> None:
        for _ in range(0, decisions, BATCH):
            await connection.execute(INSERT, [bytes(ROW_BYTES)] * (rows * BATCH))
        await connection.close()

    connections = [(await asyncpg.connect(url), rows) for rows in ROWS]
    began = perf_counter()
    await asyncio.gather(*(commit(*each) for each in connections))
    return perf_counter() - began


async def _commit_ms(url: str) -> float:
    """The median of single rows, one after the other."""
    connection, took = await asyncpg.connect(url), []
    for _ in range(TIMES):
        began = perf_counter()
        await connection.execute(INSERT, [bytes(ROW_BYTES)])
        took.append((perf_counter() - began) * 1e3)
    await connection.close()
    return statistics.median(took)


class Hops:
    """A producer and a consumer of one topic."""

    def __init__(self, servers: str, topic: str) -> None:
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 1})
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": TOPIC, "enable.auto.commit": False, "fetch.wait.max.ms": 500}
        )
        self._consumer.assign([TopicPartition(topic, 0, 0)])

    def many(self, count: int) -> float:
        """Seconds until so many messages were produced, without a pause, and read."""
        sending, began = threading.Thread(target=self._send, args=(count,)), perf_counter()
        sending.start()
        self._read(count)
        sending.join()
        return perf_counter() - began

    def median_ms(self) -> float:
        """From the producing of a single message to its reading."""
        took = []
        for _ in range(TIMES):
            began = perf_counter()
            self._send(1)
            self._read(1)
            took.append((perf_counter() - began) * 1e3)
        return statistics.median(took)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _send(self, count: int) -> None:
        for _ in range(count):
            while True:
                try:
                    self._producer.produce(self._topic, bytes(MESSAGE_BYTES))
                    break
                except BufferError:
                    self._producer.poll(0.01)
        self._producer.flush(SECONDS)

    def _read(self, count: int) -> None:
        found, deadline = 0, perf_counter() + SECONDS
        while found < count:
            found += sum(message.error() is None for message in self._consumer.consume(min(count, 1_000), 0.1))
            if perf_counter() > deadline:
                raise TimeoutError(f"{found} of {count} messages came within {SECONDS:g} s")


@contextmanager
def _topic(servers: str) -> Iterator[Hops]:
    """A topic of one partition with a producer and a consumer, for as long as the block lasts."""
    admin, topic = AdminClient({"bootstrap.servers": servers}), f"{TOPIC}-{uuid4()}"
    for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        made.result(SECONDS)
    try:
        with closing(Hops(servers, topic)) as hops:
            hops.median_ms()
            yield hops
    finally:
        for gone in admin.delete_topics([topic]).values():
            gone.result(SECONDS)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(".prequal"))
    running = json.loads((parser.parse_args().data / "run.json").read_text())
    print((await Floor.measure(running)).words)


if __name__ == "__main__":
    uvloop.run(main())
