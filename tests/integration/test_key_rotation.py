"""Keys on a running system: rotated under posts, re-encrypted, retired, and refused where they are wrong."""

import asyncio
import base64
import errno
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest

from harness import oracle
from harness.applications import an_application
from harness.broker import SUBMITTED, Broker
from harness.database import PASSWORD, Database
from harness.system import DRAW_KEY, ENCRYPTION_KEY, OTHER_KEY, PAN_HASH_KEY, REPORT_KEY, System, a_system
from harness.waiting import eventually
from prequal.api import queries
from prequal.core.errors import Misconfigured, Refused, Transient
from prequal.core.keys import key_id
from prequal.core.settings import KafkaSettings, RingAndTopicsSettings, load
from prequal.domain.pan import Pan
from prequal.local.logins import as_login
from prequal.ops import encryption_keys, hash_keys, key_retirement, reencryption
from prequal.postgres import key_checks
from prequal.postgres.connections import Connection, connected
from prequal.record.acts import operator
from prequal.schema.grants import Role
from prequal.security import key_file
from prequal.security.key_file import RingKeys
from prequal.security.pan_encryption import KeyRing
from tests.support.submissions import Submission, a_new_application, a_submission, store

OLD, NEW = DRAW_KEY, base64.b64decode(OTHER_KEY)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """A key ring's file with the old key alone."""
    file = tmp_path / "ring"
    key_file.write(file, RingKeys(OLD))
    return file


@contextmanager
def system_of(ring: Path, database: Database, broker: Broker, folder: Path) -> Iterator[System]:
    settings = {"ENCRYPTION_KEY": "", "ENCRYPTION_KEY_FILE": str(ring), "SCORE_DRAW_KEY": ENCRYPTION_KEY}
    with a_system(database.url, broker.bootstrap_servers, folder, **settings) as system:
        yield system


def administrator(database: Database) -> str:
    """The database as the role that `prequal keys` needs, and no more."""
    return as_login(database.url, Role.ADMINISTRATOR, PASSWORD)


def prequal(*words: str, database: Database, broker: Broker, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "DATABASE_URL": administrator(database),
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-P", "-m", "prequal", "keys", *words]
    return subprocess.run(
        command, env=environment | settings, capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )


def stored_under(database: Database, keys: KeyRing, count: int = 1) -> list[Submission]:
    submissions = [a_submission(keys) for _ in range(count)]
    store(database, submissions)
    return submissions


def key_ids(database: Database) -> dict[bytes, int]:
    """How many stored tokens each key made."""
    rows = database.rows(
        "SELECT substring(pan_number_encrypted FROM 2 FOR 8) AS key, count(*) FROM applications GROUP BY key"
    )
    return {bytes(row["key"]): row["count"] for row in rows}


def make_known(database: Database, *keys: bytes) -> None:
    for key in keys:
        encryption_keys.make_known(administrator(database), operator(), "ENCRYPTION_KEY", key)


def posted(url: str, stop: Event) -> list[tuple[int, dict[str, Any]]]:
    """Post until `stop` is set; each status and what was posted."""
    answers = []
    while not stop.is_set():
        body = an_application()
        answers.append((httpx.post(f"{url}/applications", json=body, timeout=10).status_code, body))
    return answers


def rotate_hash_key(system: System, database: Database) -> None:
    """Go over to another hash key, by restarts of the API."""
    hash_keys.make_known(administrator(database), operator(), NEW)
    for keys in ((PAN_HASH_KEY, OTHER_KEY), (OTHER_KEY, PAN_HASH_KEY)):
        system.api.end()
        system.api.extra = {"PAN_HASH_KEY": keys[0], "PAN_HASH_KEYS_RETIRED": keys[1]}
        system.start("api")


def test_keys_are_rotated_under_posts_without_an_error_and_redraw_nobody(
    database: Database, broker: Broker, ring: Path, tmp_path: Path
) -> None:
    with system_of(ring, database, broker, tmp_path) as system:
        system.start()
        stop = Event()
        with ThreadPoolExecutor(2) as threads:
            posts = [threads.submit(posted, system.api.url, stop) for _ in range(2)]
            try:
                done = prequal("rotate", database=database, broker=broker, ENCRYPTION_KEY_FILE=str(ring))
                eventually(lambda: len(key_ids(database)) == 2)
            finally:
                stop.set()
            answers = [answer for each in posts for answer in each.result()]
        assert (done.returncode, done.stderr) == (0, "")
        rotate_hash_key(system, database)
        later = [an_application() for _ in range(3)]
        posts_after = [httpx.post(f"{system.api.url}/applications", json=body, timeout=10) for body in later]
        answers += [(response.status_code, body) for response, body in zip(posts_after, later, strict=True)]
        eventually(lambda: database.value("SELECT count(*) FROM applications WHERE status = 'PENDING'") == 0)
        assert not system.credit.logged("partition_paused")

    assert {status for status, _ in answers} == {202}
    assert database.count("applications") == len(answers)
    scores = Counter(row["cibil_score"] for row in database.rows("SELECT cibil_score FROM applications"))
    assert scores == Counter(
        oracle.score(DRAW_KEY, str(body["pan_number"]), str(body["monthly_income_inr"]), str(body["loan_type"]))
        for _, body in answers
    )
    listed = prequal("list", "--json", database=database, broker=broker, ENCRYPTION_KEY_FILE=str(ring))
    states = {key["key_id"]: (key["state"], key["encryptions"]) for key in json.loads(listed.stdout)}
    counted = {id_.hex(): count for id_, count in key_ids(database).items()}
    assert {id_: count for id_, (_, count) in states.items()} == counted
    assert sorted(state for state, _ in states.values()) == ["active", "decrypts"]
    assert {key["source"] for key in json.loads(listed.stdout)} == {"file"}


def test_ring_with_two_active_keys_is_not_taken_over(
    database: Database, broker: Broker, ring: Path, tmp_path: Path
) -> None:
    with system_of(ring, database, broker, tmp_path) as system:
        system.start("api")
        ring.write_text(f"active {ENCRYPTION_KEY}\nactive {OTHER_KEY}\n")

        (refused,) = eventually(lambda: system.api.logged("key_ring_refused"))

        assert "has 2 active keys" in refused["reason"]
        assert httpx.post(f"{system.api.url}/applications", json=an_application(), timeout=10).status_code == 202
    assert set(key_ids(database)) == {key_id(OLD)}


def test_ring_with_a_key_that_the_database_does_not_know_is_not_taken_over(
    database: Database, broker: Broker, ring: Path, tmp_path: Path
) -> None:
    with system_of(ring, database, broker, tmp_path) as system:
        system.start("api")
        key_file.write(ring, RingKeys(NEW, (OLD,)))

        (refused,) = eventually(lambda: system.api.logged("key_ring_refused"))

    assert "`prequal keys rotate`" in refused["reason"]


def test_wrong_retired_key_stops_the_start(database: Database, broker: Broker, tmp_path: Path) -> None:
    make_known(database, OLD)
    with a_system(database.url, broker.bootstrap_servers, tmp_path, ENCRYPTION_KEYS_RETIRED=OTHER_KEY) as system:
        system.launch("credit")

        assert system.credit.exit_code() == 2
        assert f"A retired ENCRYPTION_KEY (id {key_id(NEW).hex()}) is no key of this database" in (
            system.credit.last_sentence()
        )


def test_other_encryption_key_that_would_redraw_scores_stops_the_start(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    with a_system(database.url, broker.bootstrap_servers, tmp_path) as system:
        system.start("credit")
        system.credit.end()
    make_known(database, NEW)
    rotated = {"ENCRYPTION_KEY": OTHER_KEY, "ENCRYPTION_KEYS_RETIRED": ENCRYPTION_KEY}
    with a_system(database.url, broker.bootstrap_servers, tmp_path, **rotated) as system:
        system.launch("credit")

        assert system.credit.exit_code() == 2
        assert "SCORE_DRAW_KEY" in system.credit.last_sentence()
        system.credit.extra = {"SCORE_DRAW_KEY": ENCRYPTION_KEY}
        system.credit.launch()
        system.credit.wait_until_ready()


def test_stored_pans_are_encrypted_again_and_each_decryption_is_recorded(database: Database) -> None:
    old = stored_under(database, KeyRing(OLD), reencryption.BATCH + 1)
    (fresh,) = stored_under(database, KeyRing(NEW))
    make_known(database, OLD, NEW)

    done = reencryption.reencrypt(administrator(database), KeyRing(NEW, [OLD]))

    assert (done.seen, done.renewed) == (len(old) + 1, len(old))
    tokens = {row["id"]: bytes(row["pan_number_encrypted"]) for row in database.rows("SELECT * FROM applications")}
    assert tokens[fresh.id] == fresh.encrypted_pan
    assert all(KeyRing(NEW).decrypt(tokens[each.id], each.id) == Pan(each.pan) for each in old)
    recorded = database.rows("SELECT application_id, action FROM audit_log WHERE service = 'reencrypt' ORDER BY id")
    assert sorted((row["application_id"], row["action"]) for row in recorded) == sorted(
        (each.id, action) for each in old for action in ("READ", "UPDATE")
    )
    assert reencryption.reencrypt(administrator(database), KeyRing(NEW, [OLD])).renewed == 0


def test_decryption_is_recorded_even_if_its_token_cannot_be_decrypted(database: Database) -> None:
    (submission,) = stored_under(database, KeyRing(OLD))
    altered = submission.encrypted_pan[:-1] + bytes([255 - submission.encrypted_pan[-1]])
    database.execute("UPDATE applications SET pan_number_encrypted = %s", altered)
    make_known(database, OLD, NEW)

    with pytest.raises(Exception, match="altered"):
        reencryption.reencrypt(administrator(database), KeyRing(NEW, [OLD]))

    assert database.row("SELECT application_id, action FROM audit_log") == {
        "application_id": submission.id,
        "action": "READ",
    }


@pytest.mark.parametrize(("gone", "code"), [("closed pipe", 1), ("full device", 2)])
def test_reencryption_whose_progress_cannot_be_written_ends_as_other_output_and_keeps_what_it_renewed(
    gone: str, code: int, database: Database
) -> None:
    stored_under(database, KeyRing(OLD), 25)
    make_known(database, OLD, NEW)
    reader, closed = os.pipe()
    os.close(reader)
    output = closed if gone == "closed pipe" else os.open("/dev/full", os.O_WRONLY)
    typed = "from prequal.ops import reencryption; reencryption.BATCH = 1; from prequal.cli.main import main; main()"
    settings = {"DATABASE_URL": administrator(database), "ENCRYPTION_KEY": OTHER_KEY, "SCORE_DRAW_KEY": ENCRYPTION_KEY}
    settings |= {"ENCRYPTION_KEYS_RETIRED": ENCRYPTION_KEY, "PYTHONPATH": os.pathsep.join(sys.path)}

    command = [sys.executable, "-P", "-c", typed, "keys", "reencrypt"]
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, stderr=output, timeout=60, check=False)
    for each in {closed, output}:
        os.close(each)

    assert (done.returncode, done.stdout) == (code, b"")
    assert key_ids(database) == {key_id(NEW): 20, key_id(OLD): 5}


def test_reencryption_whose_progress_fails_does_not_blame_postgresql(database: Database) -> None:
    old = stored_under(database, KeyRing(OLD), 2)
    make_known(database, OLD, NEW)

    def lost(_: reencryption.Reencryption) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        reencryption.reencrypt(administrator(database), KeyRing(NEW, [OLD]), lost)

    assert key_ids(database) == {key_id(NEW): len(old)}


def test_reencryption_ends_at_the_batch_before_which_its_key_was_retired(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "BATCH", 1)
    stored_under(database, KeyRing(OLD), 3)
    make_known(database, OLD, NEW)
    done = []

    def retired_meanwhile(progress: reencryption.Reencryption) -> None:
        done.append(progress.renewed)
        with ThreadPoolExecutor() as elsewhere:
            elsewhere.submit(encryption_keys.make_unknown, administrator(database), operator(), key_id(NEW)).result()

    with pytest.raises(Misconfigured, match=key_id(NEW).hex()):
        reencryption.reencrypt(administrator(database), KeyRing(NEW, [OLD]), retired_meanwhile)

    assert done == [1]


def test_reencryption_under_a_key_that_the_database_does_not_know_is_refused(database: Database) -> None:
    stored_under(database, KeyRing(OLD))
    make_known(database, OLD)

    with pytest.raises(Misconfigured, match="not the key this database was made with"):
        reencryption.reencrypt(administrator(database), KeyRing(NEW, [OLD]))

    assert database.count("audit_log") == 0


EVENT = """
    INSERT INTO {table} (id, topic, event_id, event_type, application_id, payload{columns})
    OVERRIDING SYSTEM VALUE VALUES (1, %s, %s, 'ApplicationSubmitted', %s, %s{values})
"""
FURTHER = {
    "outbox_events": ("", ""),
    "outbox_archive": ("", ""),
    "outbox_parked": (", attempts, reason, next_try_at", ", 1, 'refused', now()"),
}


def test_key_in_use_is_not_retired_and_the_refusal_says_where_it_is(
    database: Database, broker: Broker, ring: Path
) -> None:
    make_known(database, OLD, NEW)
    key_file.write(ring, RingKeys(NEW, (OLD,)))
    (submission,) = stored_under(database, KeyRing(OLD))
    for table, (columns, values) in FURTHER.items():
        statement = EVENT.format(table=table, columns=columns, values=values)
        database.execute(statement, SUBMITTED, uuid4(), submission.id, submission.message.decode())
    broker.publish(SUBMITTED, [submission.submitted(), submission.submitted()])
    broker.publish(f"{SUBMITTED}_dlq", [submission.submitted()])

    done = prequal("retire", key_id(OLD).hex(), database=database, broker=broker, ENCRYPTION_KEY_FILE=str(ring))

    assert done.returncode == 1
    assert done.stderr == (
        f"prequal: Key {key_id(OLD).hex()} is in use: applications 1, outbox_events 1, outbox_archive 1, "
        f"outbox_parked 1, {SUBMITTED} 2, {SUBMITTED}_dlq 1. `prequal keys reencrypt` renews applications; the others "
        f"run out.\n"
    )
    assert key_file.read(ring) == RingKeys(NEW, (OLD,))


def test_active_key_is_not_retired(database: Database, broker: Broker, ring: Path) -> None:
    done = prequal("retire", key_id(OLD).hex(), database=database, broker=broker, ENCRYPTION_KEY_FILE=str(ring))

    assert (done.returncode, done.stderr) == (
        1,
        f"prequal: Key {key_id(OLD).hex()} is the active one: `prequal keys rotate` first.\n",
    )


def test_nothing_starts_with_a_retired_key(database: Database, broker: Broker, ring: Path, tmp_path: Path) -> None:
    make_known(database, OLD, NEW)
    key_file.write(ring, RingKeys(NEW, (OLD,)))
    stored_under(database, KeyRing(NEW))

    done = prequal("retire", key_id(OLD).hex(), database=database, broker=broker, ENCRYPTION_KEY_FILE=str(ring))

    assert (done.returncode, done.stdout) == (0, f"Key {key_id(OLD).hex()} is retired.\n")
    assert key_file.read(ring) == RingKeys(NEW)
    assert database.row("SELECT action, subject FROM acts ORDER BY id DESC LIMIT 1") == {
        "action": "key_retired",
        "subject": key_id(OLD).hex(),
    }
    with a_system(database.url, broker.bootstrap_servers, tmp_path, ENCRYPTION_KEY=ENCRYPTION_KEY) as system:
        system.launch("api")
        assert system.api.exit_code() == 2


def retire_old(database: Database, broker: Broker, ring: Path) -> None:
    settings = load(
        RingAndTopicsSettings,
        _env_file=None,
        database_url=administrator(database),
        kafka_bootstrap_servers=broker.bootstrap_servers,
        encryption_key_file=str(ring),
    )
    key_retirement.retire(operator(), settings, key_id(OLD))


def is_out_of_use(database: Database) -> bool:
    (retired_at,) = database.rows("SELECT retired_at FROM key_checks WHERE key_id = %s", key_id(OLD))
    return retired_at["retired_at"] is not None


@pytest.mark.usefixtures("endless_transactions")
async def test_write_that_is_under_way_holds_retirement_of_its_encryption_key_off(
    database: Database, broker: Broker, ring: Path
) -> None:
    await asyncio.to_thread(make_known, database, OLD, NEW)
    key_file.write(ring, RingKeys(NEW, (OLD,)))
    async with connected(as_login(database.url, Role.API, PASSWORD), "test write") as connection:
        async with connection.transaction():
            await queries.write(connection, [a_new_application(KeyRing(OLD))], "prequal-api")
            with pytest.raises(Transient, match="Another transaction has the table of the keys open"):
                await asyncio.to_thread(retire_old, database, broker, ring)

        with pytest.raises(Refused, match=r"is in use: applications 1, outbox_events 1\. "):
            await asyncio.to_thread(retire_old, database, broker, ring)
    assert not is_out_of_use(database)


def test_key_that_encrypts_between_the_looks_of_its_retirement_stays_in_use(
    database: Database, broker: Broker, ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_known(database, OLD, NEW)
    key_file.write(ring, RingKeys(NEW, (OLD,)))
    held_off = key_checks.hold_checks_off

    async def written_before(connection: Connection) -> None:
        stored_under(database, KeyRing(OLD))
        await held_off(connection)

    monkeypatch.setattr(key_checks, "hold_checks_off", written_before)

    with pytest.raises(Refused, match=r"is in use: applications 1\. "):
        retire_old(database, broker, ring)

    assert not is_out_of_use(database)
    assert key_file.read(ring) == RingKeys(NEW, (OLD,))


async def test_nothing_is_written_under_an_encryption_key_that_is_being_retired(database: Database) -> None:
    await asyncio.to_thread(make_known, database, OLD, NEW)
    database.execute("UPDATE key_checks SET retired_at = now() WHERE key_id = %s", key_id(OLD))
    async with connected(as_login(database.url, Role.API, PASSWORD), "test write") as connection:
        with pytest.raises(Transient, match=rf"ENCRYPTION_KEY .id {key_id(OLD).hex()}. is retired: restart"):
            await queries.write(connection, [a_new_application(KeyRing(OLD))], "prequal-api")

        written = await queries.write(connection, [a_new_application(KeyRing(NEW))], "prequal-api")

    assert (len(written), database.count("applications")) == (1, 1)


def test_interrupted_retirement_of_an_encryption_key_is_begun_again(
    database: Database, broker: Broker, ring: Path
) -> None:
    make_known(database, OLD, NEW)
    key_file.write(ring, RingKeys(NEW, (OLD,)))
    database.execute("UPDATE key_checks SET retired_at = now() WHERE key_id = %s", key_id(OLD))

    done = prequal("retire", key_id(OLD).hex(), database=database, broker=broker, ENCRYPTION_KEY_FILE=str(ring))

    assert (done.returncode, done.stdout) == (0, f"Key {key_id(OLD).hex()} is retired.\n")
    assert database.rows("SELECT key_id FROM key_checks WHERE purpose = 'ENCRYPTION_KEY'") == [{"key_id": key_id(NEW)}]


def test_process_starts_with_a_key_that_decrypts_while_it_is_being_retired(
    database: Database, broker: Broker, ring: Path, tmp_path: Path
) -> None:
    make_known(database, OLD, NEW)
    key_file.write(ring, RingKeys(NEW, (OLD,)))
    database.execute("UPDATE key_checks SET retired_at = now() WHERE key_id = %s", key_id(OLD))

    with system_of(ring, database, broker, tmp_path) as system:
        system.start("api")

        assert httpx.post(f"{system.api.url}/applications", json=an_application(), timeout=10).status_code == 202


def test_key_of_reports_is_made_known_and_printed_with_the_steps_that_are_left(
    database: Database, broker: Broker
) -> None:
    done = prequal("rotate", "REPORT_KEY", database=database, broker=broker)

    assert done.returncode == 0
    name, fresh = done.stdout.strip().split("=", 1)
    assert (name, len(base64.b64decode(fresh))) == ("REPORT_KEY", 32)
    assert "decision-service's REPORT_KEY" in done.stderr
    assert database.value("SELECT key_id FROM key_checks WHERE purpose = 'REPORT_KEY'") == key_id(
        base64.b64decode(fresh)
    )
    assert fresh != REPORT_KEY


def test_holders_of_a_key_that_made_nothing_are_none(database: Database, broker: Broker) -> None:
    stored_under(database, KeyRing(OLD))
    kafka = load(KafkaSettings, _env_file=None, kafka_bootstrap_servers=broker.bootstrap_servers)

    assert key_retirement.holders(administrator(database), kafka, key_id(NEW)) == {}
