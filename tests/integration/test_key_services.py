"""Keys that a key service wrapped: the ring of processes while that service is there, away, and back."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from harness.applications import an_application
from harness.broker import SUBMITTED, SUBMITTED_DLQ, Broker
from harness.database import PASSWORD, Database
from harness.system import ENCRYPTION_KEY, REPORT_KEY, Service, a_system
from harness.waiting import eventually
from prequal.core.errors import KeysUnavailable, Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.keys import key_id
from prequal.core.settings import CreditSettings, load
from prequal.local.logins import as_login
from prequal.ops import encryption_keys
from prequal.postgres.connections import connected
from prequal.record.acts import operator
from prequal.schema.grants import Role
from prequal.security import key_file
from prequal.security.key_file import RingKeys, WrappedKey
from prequal.security.pan_encryption import KeyRing
from prequal.service.key_watch import KeyWatch
from tests.support.submissions import a_submission, store
from tests.support.vault import TOKEN, Vault, a_vault

KEY, OTHER = base64.b64decode(ENCRYPTION_KEY), bytes(range(64, 96))
CACHE_SECONDS = 15


@pytest.fixture
def vault() -> Iterator[Vault]:
    with a_vault() as vault:
        yield vault


def wrapped(vault: Vault, key: bytes) -> WrappedKey:
    return WrappedKey(KeySource.VAULT, vault.wrapped(key))


@pytest.fixture
def ring(tmp_path: Path, vault: Vault) -> Path:
    """A key ring's file with one key, wrapped."""
    file = tmp_path / "ring"
    key_file.write(file, RingKeys(wrapped(vault, KEY)))
    return file


def of_ring(ring: Path, vault: Vault) -> dict[str, str]:
    own = {"ENCRYPTION_KEY": "", "ENCRYPTION_KEY_FILE": str(ring), "SCORE_DRAW_KEY": ENCRYPTION_KEY}
    return vault.settings | own | {"KEY_CACHE_SECONDS": str(CACHE_SECONDS)}


def posted(api: Service) -> httpx.Response:
    return httpx.post(f"{api.url}/applications", json=an_application(), timeout=10)


def status_of(api: Service, application_id: str) -> str:
    return str(api.get(f"/applications/{application_id}/status").json()["status"])


def prequal(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "prequal", "keys", *words]
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")} | settings
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd="/")


def test_key_service_that_goes_away_is_outlived_then_waited_for_and_makes_no_dead_letter(
    database: Database, broker: Broker, tmp_path: Path, ring: Path, vault: Vault
) -> None:
    vault.stop()
    with a_system(database.url, broker.bootstrap_servers, tmp_path, **of_ring(ring, vault)) as system:
        api, credit = system.api, system.credit
        for name in ("api", "credit", "decision"):
            system.launch(name)
        for each in (api, credit):  # nothing is there to serve on
            each.becomes(503, key_service="disconnected", reason="starting")
        vault.start()
        for each in (api, credit):
            each.becomes(200, key_service="connected")

        vault.stop()
        accepted = posted(api)
        assert accepted.status_code == 202
        eventually(lambda: status_of(api, accepted.json()["application_id"]) != "PENDING")

        for each in (api, credit):
            assert (
                "VAULT_ADDR cannot be reached"
                in each.becomes(503, key_service="disconnected", database="connected")["reason"]
            )
        refused = posted(api)
        assert (refused.status_code, refused.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")
        assert credit.metric("key_service_away") == 1
        waiting = a_submission(KeyRing(KEY))
        store(database, [waiting])
        broker.publish(SUBMITTED, [waiting.submitted()])
        eventually(lambda: credit.metric("retries_total", 'operation="batch"') > 0)
        assert status_of(api, str(waiting.id)) == "PENDING"

        vault.start()
        eventually(lambda: status_of(api, str(waiting.id)) == waiting.outcome)
        api.becomes(200, key_service="connected")
        assert posted(api).status_code == 202
        assert broker.published(SUBMITTED_DLQ) == 0
    shown = system.logs()
    assert not [secret for secret in (ENCRYPTION_KEY, KEY.hex(), repr(KEY), TOKEN) if secret in shown]


def test_refused_token_stops_the_start(
    database: Database, broker: Broker, tmp_path: Path, ring: Path, vault: Vault
) -> None:
    settings = of_ring(ring, vault) | {"VAULT_TOKEN": "of an intruder"}
    with a_system(database.url, broker.bootstrap_servers, tmp_path, **settings) as system:
        system.launch("credit")

        assert system.credit.exit_code() == 2
        assert "VAULT_TOKEN" in system.credit.log.read_text()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def watched(database: Database, ring: Path, vault: Vault, clock: Clock) -> KeyWatch:
    """A watch whose ring is loaded."""
    settings: dict[str, Any] = {name.lower(): value for name, value in of_ring(ring, vault).items() if value}
    given = settings | {
        "database_url": database.url,
        "kafka_bootstrap_servers": "localhost:9",
        "report_key": REPORT_KEY,
    }
    watch = KeyWatch(load(CreditSettings, **given), clock)
    async with connected(database.url, "test") as connection:
        await watch.load(connection)
    return watch


async def test_keys_that_are_unwrapped_in_time_serve_on(database: Database, ring: Path, vault: Vault) -> None:
    clock = Clock()
    watch = await watched(database, ring, vault, clock)

    for _ in range(3):
        clock.now += CACHE_SECONDS - 1
        await watch._take_over()

    assert watch.ring.is_open
    assert watch.details() == {"key_service": "connected"}


async def test_refusal_of_a_running_process_is_outlived_as_an_absence_is(
    database: Database, ring: Path, vault: Vault
) -> None:
    clock = Clock()
    watch = await watched(database, ring, vault, clock)
    vault.answers = 403, b""

    clock.now = CACHE_SECONDS - 1
    await watch._take_over()
    assert (watch.reason_not_ready(), watch.details()) == (None, {"key_service": "disconnected"})
    clock.now = CACHE_SECONDS
    await watch._take_over()
    assert "refuses the token" in str(watch.reason_not_ready())

    vault.answers = None
    await watch._take_over()
    assert watch.reason_not_ready() is None


async def test_ring_that_is_wrong_leaves_the_wrapped_one_in_use_and_it_is_unwrapped_on(
    database: Database, ring: Path, vault: Vault
) -> None:
    clock = Clock()
    watch = await watched(database, ring, vault, clock)
    key_file.write(ring, RingKeys(wrapped(vault, OTHER)))  # which the database does not know

    for _ in range(2):
        clock.now += CACHE_SECONDS - 1
        await watch._take_over()

    assert watch.ring.current_id == key_id(KEY)
    assert watch.details() == {"key_service": "connected"}


async def test_plain_ring_in_the_place_of_a_wrapped_one_needs_no_key_service(
    database: Database, ring: Path, vault: Vault
) -> None:
    clock = Clock()
    watch = await watched(database, ring, vault, clock)
    key_file.write(ring, RingKeys(KEY))
    vault.stop()

    await watch._take_over()
    clock.now = 2 * CACHE_SECONDS

    assert watch.ring.is_open
    assert watch.details() == {}


async def test_ring_with_a_key_that_is_made_known_later_is_taken_over_then_and_said_to_be_refused_once(
    database: Database, ring: Path, vault: Vault
) -> None:
    key_file.write(ring, RingKeys(KEY))
    watch = await watched(database, ring, vault, Clock())
    key_file.write(ring, RingKeys(OTHER, (KEY,)))

    with capture_logs() as logs:
        for _ in range(3):
            await watch._take_over()
    await asyncio.to_thread(encryption_keys.make_known, database.url, operator(), "ENCRYPTION_KEY", OTHER)
    await watch._take_over()

    assert [line["event"] for line in logs] == ["key_ring_refused"]
    assert watch.ring.current_id == key_id(OTHER)


def copy_with_times(file: Path, content: str) -> None:
    times = file.stat()
    file.write_text(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


async def test_ring_is_taken_over_from_a_file_that_was_copied_with_its_times(
    database: Database, ring: Path, vault: Vault
) -> None:
    key_file.write(ring, RingKeys(KEY))
    watch = await watched(database, ring, vault, Clock())
    await watch._take_over()
    await asyncio.to_thread(encryption_keys.make_known, database.url, operator(), "ENCRYPTION_KEY", OTHER)

    copy_with_times(ring, f"active {base64.b64encode(OTHER).decode()}\ndecrypts {ENCRYPTION_KEY}\n")
    await watch._take_over()

    assert watch.ring.current_id == key_id(OTHER)


async def test_start_waits_for_a_key_service_that_is_away(database: Database, ring: Path, vault: Vault) -> None:
    vault.stop()

    with pytest.raises(KeysUnavailable):
        await watched(database, ring, vault, Clock())


async def test_ring_of_another_database_stops_the_start(database: Database, ring: Path, vault: Vault) -> None:
    await watched(database, ring, vault, Clock())
    key_file.write(ring, RingKeys(wrapped(vault, OTHER)))

    with pytest.raises(Misconfigured, match="is not the key this database was made with"):
        await watched(database, ring, vault, Clock())


def test_ring_goes_over_to_a_wrapped_key_and_the_plain_one_is_retired(
    database: Database, broker: Broker, ring: Path, vault: Vault
) -> None:
    key_file.write(ring, RingKeys(KEY))
    url = as_login(database.url, Role.ADMINISTRATOR, PASSWORD)
    given = of_ring(ring, vault) | {"DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    encryption_keys.make_known(url, operator(), "ENCRYPTION_KEY", KEY)
    store(database, [a_submission(KeyRing(KEY))])

    rotated = prequal("rotate", "--source", "vault", **given)
    assert rotated.returncode == 0, rotated.stderr
    ring_of_both = json.loads(prequal("list", "--json", **given).stdout)
    assert [(key["state"], key["source"]) for key in ring_of_both] == [("active", "vault"), ("decrypts", "file")]
    held = key_file.read(ring)
    assert (held.source, held.decrypting) == (KeySource.VAULT, (KEY,))
    assert prequal("reencrypt", **given).stdout.startswith("1 of 1")
    retired = prequal("retire", key_id(KEY).hex(), **given)
    assert retired.returncode == 0, retired.stderr

    assert key_file.read(ring) == RingKeys(held.active)
    listed = prequal("list", **given).stdout
    assert "active    vault" in listed
    assert key_id(KEY).hex() not in listed.partition("\n")[0]


def test_wrapped_key_is_generated_as_the_first_line_of_a_ring(tmp_path: Path, vault: Vault) -> None:
    made = prequal("generate", "--source", "vault", **vault.settings)
    file = tmp_path / "fresh"
    file.touch(0o600)
    file.write_text(made.stdout)

    assert key_file.read(file).source is KeySource.VAULT
    as_json = prequal("generate", "--source", "vault", "--json", **vault.settings)
    assert as_json.stdout.startswith('{"active": "vault vault:v1:')


def test_key_service_wraps_no_key_of_the_environment(database: Database, vault: Vault) -> None:
    given = {"DATABASE_URL": as_login(database.url, Role.ADMINISTRATOR, PASSWORD), "ENCRYPTION_KEY": ENCRYPTION_KEY}
    refused = prequal("rotate", "--source", "vault", **given, **vault.settings)
    (listed,) = json.loads(prequal("list", "--json", **given).stdout)

    assert refused.returncode == 2
    assert "ENCRYPTION_KEY_FILE" in refused.stderr
    assert (listed["state"], listed["source"]) == ("active", "environment")
