"""Rotate every key, and a client's secret, under an even load, and say what was refused, let through or left undecided.

    python -m bench.rotation --rate 500 --seconds 60

Requests go to two processes of the API as a balancer sends them: one that is to be restarted gets no new ones, and ends
when it has answered. Of a hundred posts one repeats a PAN, which is a duplicate, and five a whole request.

Invariant: what is counted is what the clients were answered; the database is looked at when the load is over.
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import uvloop
from pydantic import SecretStr

from harness.applications import an_application, an_idempotency_key
from harness.broker import SUBMITTED, Broker
from harness.client import Connection
from harness.database import Database, prepare
from harness.ports import free_port, free_ports
from harness.stores import started
from harness.system import ENCRYPTION_KEY, OTHER_KEY, PAN_HASH_KEY, REPORT_KEY, Service, System, a_system
from harness.waiting import eventually
from prequal.api_clients import administration
from prequal.core.keys import key_bytes, key_id
from prequal.domain.api_client import ClientScope
from prequal.local.kafka import Kafka
from prequal.local.keys import generate
from prequal.local.postgres import Postgres
from prequal.ops import encryption_keys, hash_keys
from prequal.record.acts import operator
from prequal.security import key_file
from prequal.security.pan_encryption import KeyRing, PanHasher

KINDS: Final = {"fresh": 94, "pan again": 1, "replay": 5}
"""Of a hundred posts. More repeats of PANs than ten a second stop a client, as they should."""
DECIDED_SECONDS: Final = 120.0
REVOKED_SECONDS: Final = 5.0
HASH_KEYS: Final = ((PAN_HASH_KEY, OTHER_KEY), (OTHER_KEY, PAN_HASH_KEY))
"""Active and retired, as each of the two rolling restarts of the API has them."""


def bytes_of(key: str) -> bytes:
    """The key that a setting spells."""
    return key_bytes(SecretStr(key))


@dataclass
class Load:
    """An even load by one client, and how it was answered: by kind and status.

    Attributes:
        ports: where requests go now.
        token: what they carry now.
        under_way: how many each port has not answered.
        accepted: the id, body and key of each fresh post that was accepted.
    """

    ports: list[int]
    token: str
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    under_way: Counter[int] = field(default_factory=Counter)
    accepted: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    _idle: dict[tuple[int, str], list[Connection]] = field(default_factory=dict)

    async def run(self, rate: float, over: asyncio.Event) -> None:
        """Post evenly until `over`; returns when all is answered."""
        began = monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if over.is_set():
                    return
                (kind,) = random.choices(list(KINDS), list(KINDS.values()))
                group.create_task(self._one(kind if len(self.accepted) > rate else "fresh"))
                await asyncio.sleep(max(0.0, began + (number + 1) / rate - monotonic()))

    async def _one(self, kind: str) -> None:
        first, body, key = random.choice(self.accepted[: -len(self.accepted) // 2]) if kind != "fresh" else ("", {}, "")
        if kind != "replay":
            body, key = an_application(**({"pan_number": body["pan_number"]} if body else {})), an_idempotency_key()
        port, token = random.choice(self.ports), self.token
        self.under_way[port] += 1
        try:
            status, said = await self._post(port, token, body, key)
        finally:
            self.under_way[port] -= 1
        if kind == "fresh" and status == "202":
            self.accepted.append((said["application_id"], body, key))
        if kind == "replay" and status == "202" and said["application_id"] != first:
            status = "another application"
        self.answers[kind, status] += 1

    async def _post(self, port: int, token: str, body: dict[str, Any], key: str) -> tuple[str, Any]:
        idle = self._idle.setdefault((port, token), [])
        try:
            connection = idle.pop() if idle else await Connection.open(port, token)
            answer = await connection.post("/applications", json.dumps(body).encode(), {"Idempotency-Key": key})
        except OSError as error:
            return type(error).__name__, None
        idle.append(connection)
        return str(answer.status), json.loads(answer.body)

    def forget_idle(self, port: int) -> None:
        """A process that ended has no connections."""
        for known, idle in self._idle.items():
            if known[0] == port:
                idle.clear()


@dataclass(frozen=True)
class Rotation:
    """One system whose keys are rotated."""

    system: System
    apis: list[Service]
    database: Database
    broker: Broker
    ring: Path
    load: Load

    def every_key(self, client: str) -> None:
        """Rotate them, one after the other, while the load goes on."""
        self._step("encryption key", self._prequal("rotate", ENCRYPTION_KEY_FILE=str(self.ring)))
        self._hash_key()
        self._secret(client)
        self._report_key()
        self._step("encrypted again", self._prequal("reencrypt", ENCRYPTION_KEY_FILE=str(self.ring)))

    def _hash_key(self) -> None:
        hash_keys.make_known(self.database.url, operator(), bytes_of(OTHER_KEY))
        for active, retired in HASH_KEYS:
            for api in self.apis:
                self._restart_api(api, PAN_HASH_KEY=active, PAN_HASH_KEYS_RETIRED=retired)
        self._step("hash key", f"four restarts of an API; {key_id(bytes_of(OTHER_KEY)).hex()} is active")

    def _secret(self, client: str) -> None:
        hasher = PanHasher(bytes_of(OTHER_KEY), [bytes_of(PAN_HASH_KEY)])
        issued = administration.rotate(self.database.url, hasher, operator(), client, timedelta(days=1))
        sleep(REVOKED_SECONDS)  # within which each process knows it
        self.load.token = issued.token
        sleep(1)
        administration.revoke(self.database.url, operator(), client, 1 if issued.slot == 2 else 2)
        self._step("client's secret", f"secret {issued.slot} is in use, the other one revoked")

    def _report_key(self) -> None:
        fresh = generate()["REPORT_KEY"]
        encryption_keys.make_known(self.database.url, operator(), "REPORT_KEY", bytes_of(fresh))
        for service, settings in (
            (self.system.decision, {"REPORT_KEY": fresh, "REPORT_KEYS_RETIRED": REPORT_KEY}),
            (self.system.credit, {"REPORT_KEY": fresh}),
        ):
            service.end()
            service.extra = settings
            service.start()
        self._step("report key", "decision-service and credit-service were restarted")
        keys = {"REPORT_KEY": fresh, "REPORT_KEYS_RETIRED": REPORT_KEY}
        deadline = monotonic() + DECIDED_SECONDS
        while "is in use" in (said := self._prequal("retire", key_id(bytes_of(REPORT_KEY)).hex(), **keys)):
            assert monotonic() < deadline, said
            sleep(1)
        self._step("report key", said)

    def _restart_api(self, api: Service, **settings: str) -> None:
        self.load.ports.remove(api.port)
        eventually(lambda: self.load.under_way[api.port] == 0)
        api.end()
        self.load.forget_idle(api.port)
        api.extra = settings
        api.start()
        self.load.ports.append(api.port)

    def retire(self) -> None:
        """Retire the old encryption key and hash key, once what is held has run out."""
        old = key_id(bytes_of(ENCRYPTION_KEY)).hex()
        self._step("retire", self._prequal("retire", old, ENCRYPTION_KEY_FILE=str(self.ring)))
        self.system.stop()
        self.database.execute("TRUNCATE outbox_archive")
        self.broker.delete(SUBMITTED)
        self.broker.create()
        self._step("retire", self._prequal("retire", old, ENCRYPTION_KEY_FILE=str(self.ring)))
        for table in ("pan_claims", "idempotency_keys"):
            self.database.execute(f"UPDATE {table} SET expires_at = expires_at - interval '24 hours'")
        hashed = {"PAN_HASH_KEY": OTHER_KEY, "PAN_HASH_KEYS_RETIRED": PAN_HASH_KEY}
        self._step("retire", self._prequal("retire", key_id(bytes_of(PAN_HASH_KEY)).hex(), **hashed))

    def _prequal(self, *words: str, **settings: str) -> str:
        stores = {"DATABASE_URL": self.database.url, "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers}
        command = [sys.executable, "-P", "-m", "prequal", "keys", *words]
        system = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment = {**system, **stores, **settings}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[-1]

    def _step(self, what: str, said: str) -> None:
        print(f"{len(self.load.accepted):7} accepted   {what}: {said}", flush=True)

    def wrong(self) -> list[str]:
        """What is not as it should be, now that the load is over."""
        pans = {id_: body["pan_number"] for id_, body, _ in self.load.accepted}
        active = key_file.read(self.ring).active
        assert isinstance(active, bytes), "no key service wraps it"
        ring = KeyRing(active)
        rows = self.database.rows("SELECT id, status, pan_number_encrypted AS token FROM applications")
        unread = sum(
            ring.decrypt(bytes(row["token"]), row["id"]).reveal() != pans[str(row["id"])]
            for row in rows
            if str(row["id"]) in pans
        )
        statuses = Counter(row["status"] for row in rows)
        found = {
            "applications without an answer": len(rows) - len(pans),
            "applications that are not pre-approved": len(rows) - statuses["PRE_APPROVED"],
            "PANs that are not those of their posts": unread,
            "messages in the dead letters": self.broker.published(f"{SUBMITTED}_dlq"),
            "unexpected answers": sum(self.load.answers.values())
            - sum(self.load.answers[kind] for kind in (("fresh", "202"), ("pan again", "409"), ("replay", "202"))),
        }
        print(f"answers: {dict(self.load.answers)}; {found}")
        return [what for what, count in found.items() if count]


@contextmanager
def a_rotation() -> Iterator[tuple[Rotation, str]]:
    """A system on stores of its own, and the id of its client."""
    with tempfile.TemporaryDirectory(prefix="bench-rotation-") as name:
        folder = Path(name)
        ring, ports = folder / "ring", free_ports(3)
        key_file.write(ring, key_file.RingKeys(base64.b64decode(ENCRYPTION_KEY)))
        with (
            started(Postgres(folder / "pg", ports[0])) as server,
            started(Kafka(folder / "kafka", *ports[1:])) as kafka,
        ):
            prepare(server.database_url)
            broker = Broker(kafka.bootstrap_servers)
            broker.create()
            hasher = PanHasher(bytes_of(PAN_HASH_KEY))
            issued = administration.add(
                server.database_url, hasher, operator(), "lender", tuple(ClientScope), sandbox=False
            )
            keys = {"ENCRYPTION_KEY": "", "ENCRYPTION_KEY_FILE": str(ring), "SCORE_DRAW_KEY": ENCRYPTION_KEY}
            settings = {"API_AUTHENTICATION": "keys", "ADMIN_PORT": str(free_port()), **keys}
            with a_system(server.database_url, broker.bootstrap_servers, folder, **settings) as system:
                second = system.further("api", "api-2", ADMIN_PORT=str(free_port()))
                system.start()
                second.start()
                apis = [system.api, second]
                load = Load([api.port for api in apis], issued.token)
                yield Rotation(system, apis, Database(server.database_url), broker, ring, load), issued.client.id


async def rotated(rotation: Rotation, client: str, rate: float, seconds: float) -> None:
    """Put the load on, rotate everything, and wait until all is decided; the load lasts `seconds` at least."""
    over, began = asyncio.Event(), monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(rotation.load.run(rate, over))
        try:
            await asyncio.sleep(5)
            await asyncio.to_thread(rotation.every_key, client)
            await asyncio.sleep(max(0.0, began + seconds - monotonic()))
        finally:
            over.set()
    print(f"{sum(rotation.load.answers.values()) / (monotonic() - began):.0f} posts a second", flush=True)


def main() -> None:
    """Rotate, and print; exit code 1 when anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with a_rotation() as (rotation, client):
        uvloop.run(rotated(rotation, client, arguments.rate, arguments.seconds))
        pending = "SELECT EXISTS (SELECT FROM applications WHERE status = 'PENDING')"
        eventually(lambda: not rotation.database.value(pending), DECIDED_SECONDS)
        wrong = rotation.wrong()
        rotation.retire()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
