"""The hash key rotates: APIs that know different keys keep the 24-hour rule, and none of them answers with an error."""

import asyncio
import functools
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result
from uuid_utils.compat import uuid7

from harness.applications import a_pan, an_application, an_idempotency_key
from harness.database import PASSWORD, Database
from harness.system import OTHER_KEY, PAN_HASH_KEY
from prequal.api import queries
from prequal.api.queries import Fingerprints, NewApplication
from prequal.api_clients import administration
from prequal.cli.app import app
from prequal.core.errors import Misconfigured, Refused, Transient
from prequal.core.keys import KeyCheck, key_bytes, key_id
from prequal.domain.api_client import LOCAL, ClientScope
from prequal.domain.application import LoanApplication, LoanType
from prequal.domain.pan import Pan
from prequal.local.logins import as_login
from prequal.ops import encryption_keys, hash_keys
from prequal.postgres.connections import Connection, connect
from prequal.postgres.key_checks import HASH_KEYS_LOCK, recorded_hash_keys
from prequal.record.acts import operator
from prequal.schema.grants import Role
from prequal.security.pan_encryption import PanHasher
from tests.support.api import api_within, assert_error, ready
from tests.support.submissions import KEY_RING

OLD, NEW = (key_bytes(SecretStr(text)) for text in (PAN_HASH_KEY, OTHER_KEY))
OLD_ID, NEW_ID = key_id(OLD), key_id(NEW)
NOWHERE = "127.0.0.1:1"
"""Kafka's address: the API does not need it."""

BEFORE = {"pan_hash_key": PAN_HASH_KEY}
FIRST = {"pan_hash_key": PAN_HASH_KEY, "pan_hash_keys_retired": OTHER_KEY}
SECOND = {"pan_hash_key": OTHER_KEY, "pan_hash_keys_retired": PAN_HASH_KEY}
AFTER = {"pan_hash_key": OTHER_KEY}
DURING = (BEFORE, FIRST, SECOND)
"""What APIs may know at once, until the old key is retired."""


@pytest.fixture
async def rotating(database: Database) -> Database:
    """A database that was made with the old key, and knows the new one."""
    with_old = functools.partial(encryption_keys.make_known, administrator(database), operator(), "PAN_HASH_KEY", OLD)
    await asyncio.to_thread(with_old)
    await asyncio.to_thread(hash_keys.make_known, administrator(database), operator(), NEW)
    return database


@asynccontextmanager
async def an_api(database: Database, keys: dict[str, str], **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with api_within(database.url, NOWHERE, patient=True, **(settings | keys)) as client:
        yield await ready(client)


@asynccontextmanager
async def apis(database: Database, *phases: dict[str, str], **settings: Any) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(an_api(database, keys, **settings)) for keys in phases]


async def post(api: httpx.AsyncClient, body: dict[str, Any], key: str | None = None, **headers: str) -> httpx.Response:
    keyed = {} if key is None else {"Idempotency-Key": key}
    return await api.post("/applications", json=body, headers=keyed | headers)


def administrator(database: Database) -> str:
    return as_login(database.url, Role.ADMINISTRATOR, PASSWORD)


async def retired(database: Database, id_: bytes = OLD_ID) -> None:
    await asyncio.to_thread(hash_keys.retire, administrator(database), operator(), id_)


def let_a_day_pass(database: Database) -> None:
    for table in ("pan_claims", "idempotency_keys"):
        database.execute(f"UPDATE {table} SET expires_at = expires_at - interval '24 hours'")


def prequal(database: Database, *words: str, **keys: str) -> Result:
    settings = {name.upper(): value for name, value in keys.items()}
    return CliRunner().invoke(app, ["keys", *words], env={"DATABASE_URL": administrator(database), **settings})


def refusal(result: Result) -> str:
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


# ── the 24-hour rule ────────────────────────────────────────────────────────────────────────────────────────────


async def test_pan_that_was_taken_in_one_phase_is_a_duplicate_in_every_other(rotating: Database) -> None:
    async with apis(rotating, *DURING) as known:
        for one in known:
            body = an_application()
            assert (await post(one, body)).status_code == 202

            again = [await post(each, body) for each in known]

            for response in again:
                assert_error(response, 409, "DUPLICATE_APPLICATION")


async def test_of_50_posts_of_one_pan_at_once_to_apis_of_every_phase_exactly_one_is_accepted(
    rotating: Database,
) -> None:
    async with apis(rotating, *DURING) as known:
        for _ in range(5):
            pan = a_pan()

            answers = await asyncio.gather(
                *(
                    post(known[n % 3], an_application(pan_number=pan), an_idempotency_key() if n % 2 else None)
                    for n in range(50)
                )
            )

            statuses = Counter(answer.status_code for answer in answers)
            assert statuses[202] == 1
            # On a machine that stands still, one may wait too long behind another for the PAN.
            assert statuses[409] >= 40
            assert statuses.keys() <= {202, 409, 503}
    assert rotating.count("applications") == 5
    left = rotating.rows("SELECT application_id FROM pan_claims WHERE expires_at > now()")
    assert {row["application_id"] for row in left} == {
        row["id"] for row in rotating.rows("SELECT id FROM applications")
    }
    assert rotating.value("SELECT count(*) FROM idempotency_keys AS k JOIN applications ON id = application_id") == (
        rotating.count("idempotency_keys")
    )


async def test_each_pan_is_accepted_once_while_two_apis_are_restarted_one_after_the_other(rotating: Database) -> None:
    bodies: list[dict[str, Any]] = []
    statuses: Counter[int] = Counter()
    for phases in ((BEFORE, FIRST), (FIRST, SECOND), (SECOND, SECOND)):
        bodies += [an_application() for _ in range(10)]
        async with apis(rotating, *phases) as known:
            answers = await asyncio.gather(*(post(api, body) for body in bodies for api in known))
        statuses.update(answer.status_code for answer in answers)

    assert statuses[202] == len(bodies)
    # On a machine that stands still, one may wait too long behind another for the PAN.
    assert statuses.keys() <= {202, 409, 503}
    assert rotating.count("applications") == len(bodies)


async def a_connection(database: Database) -> Connection:
    return await connect(database.url, "rotation")


async def write(database: Database, *batch: NewApplication) -> None:
    connection = await a_connection(database)
    await queries.write(connection, batch, "prequal-api")
    await connection.close()


def named_under(pan: str, *keys: bytes) -> NewApplication:
    """An application of the local client, ready to be written by an API that has these hash keys."""
    hasher, number, id_ = PanHasher(keys[0], keys[1:]), Pan(pan), uuid7()
    return NewApplication(
        application=LoanApplication(id_, number, None, Decimal(1), Decimal(1), LoanType.HOME),
        encrypted_pan=KEY_RING.encrypt(number, id_),
        pan_number_hash=hasher.hash(number),
        request_id="request-1",
        fingerprints=tuple(Fingerprints(each.key_id, None, None, each.hash(number)) for each in hasher.every),
        client=LOCAL,
    )


@pytest.mark.parametrize(("left", "accepted"), [("1 second", 0), ("1 microsecond", 0), ("0 seconds", 1)])
@pytest.mark.parametrize("keys", [(NEW, OLD), (OLD, NEW), (OLD,)], ids=["second phase", "first phase", "before"])
async def test_claim_of_the_old_key_holds_to_the_end_of_its_24_hours_and_no_longer(
    rotating: Database, left: str, accepted: int, keys: Sequence[bytes]
) -> None:
    connection, pan = await a_connection(rotating), a_pan()
    await write(rotating, named_under(pan, OLD))

    async with connection.transaction():  # in it, time stands still
        await connection.execute(f"UPDATE pan_claims SET expires_at = now() + interval '{left}'")
        written = await queries.write(connection, [named_under(pan, *keys)], "prequal-api")

    await connection.close()
    assert len(written) == accepted


async def test_rejected_application_frees_its_pan_under_both_keys(rotating: Database) -> None:
    async with apis(rotating, SECOND, FIRST, BEFORE) as known:
        body = an_application()
        for api in known:
            assert (await post(api, body)).status_code == 202
            rotating.execute(
                "UPDATE applications SET status = 'REJECTED', cibil_score = 640, decision_rule = 'r', "
                "decision_measures = '{}', policy_version = 'v1' WHERE status = 'PENDING'"
            )
        assert (await post(known[0], body)).status_code == 202
        assert (await post(known[2], body)).status_code == 409


async def test_refused_application_holds_nothing_under_the_key_that_it_won(rotating: Database) -> None:
    async with apis(rotating, BEFORE, SECOND) as (before, second):
        body, key = an_application(), an_idempotency_key()
        first = await post(before, body)

        assert (await post(second, body, key)).status_code == 409

        living = rotating.rows("SELECT application_id, hash_key FROM pan_claims WHERE expires_at > now()")
        assert [(str(row["application_id"]), bytes(row["hash_key"])) for row in living] == [
            (first.json()["application_id"], OLD_ID)
        ]
        assert rotating.count("idempotency_keys") == 0
        let_a_day_pass(rotating)
        assert (await post(second, body, key)).status_code == 202


# ── idempotency keys ────────────────────────────────────────────────────────────────────────────────────────────


async def test_answer_to_a_key_is_given_again_by_apis_of_every_phase(rotating: Database) -> None:
    async with apis(rotating, *DURING) as known:
        for one in known:
            body, key = an_application(), an_idempotency_key()
            first = await post(one, body, key)
            assert first.status_code == 202

            again = [await post(each, body, key) for each in known]

            assert [response.content for response in again] == [first.content] * 3
            for each in known:
                reused = await post(each, an_application(), key)
                assert_error(reused, 422, "IDEMPOTENCY_KEY_REUSED")


async def test_key_that_is_posted_at_once_to_apis_of_every_phase_has_one_answer(rotating: Database) -> None:
    body, key = an_application(), an_idempotency_key()
    async with apis(rotating, *DURING) as known:
        answers = await asyncio.gather(*(post(known[n % 3], body, key) for n in range(30)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert rotating.count("applications") == 1


# ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_clients_token_and_claims_outlast_the_rotation(rotating: Database) -> None:
    tokens = {}
    for name, hasher in (("one", PanHasher(OLD)), ("two", PanHasher(NEW))):
        made = await asyncio.to_thread(
            administration.add, administrator(rotating), hasher, operator(), name, list(ClientScope), sandbox=False
        )
        tokens[name] = {"Authorization": f"Bearer {made.token}"}
    body = an_application()
    async with apis(rotating, FIRST, SECOND, api_authentication="keys") as (first, second):
        taken = await post(first, body, **tokens["one"])
        refused = await post(second, body, **tokens["one"])
        others = await post(second, body, **tokens["two"])

    assert (taken.status_code, others.status_code) == (202, 202)
    details = assert_error(refused, 409, "DUPLICATE_APPLICATION")["details"]
    assert taken.json()["application_id"] in json.dumps(details)


async def test_key_is_not_retired_while_a_clients_secret_needs_it(rotating: Database) -> None:
    made = await asyncio.to_thread(
        administration.add, administrator(rotating), PanHasher(OLD), operator(), "one", list(ClientScope), sandbox=False
    )

    with pytest.raises(Refused, match=r"in use: api_client_secrets 1\."):
        await retired(rotating)

    await asyncio.to_thread(
        administration.rotate, administrator(rotating), PanHasher(NEW), operator(), made.client.id, timedelta(0)
    )
    await retired(rotating)


async def test_secret_that_is_being_made_holds_retirement_of_its_key_off(
    rotating: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserted = administration._insert

    async def meanwhile(*given: Any) -> str:
        with pytest.raises(Transient):
            await retired(rotating)
        return await inserted(*given)

    monkeypatch.setattr(administration, "_insert", meanwhile)

    await asyncio.to_thread(
        administration.add, administrator(rotating), PanHasher(OLD), operator(), "one", list(ClientScope), sandbox=False
    )

    with pytest.raises(Refused, match=r"in use: api_client_secrets 1\."):
        await retired(rotating)


# ── retirement ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_key_is_retired_once_nothing_that_lives_needs_it_and_the_rule_holds_on(rotating: Database) -> None:
    async with apis(rotating, *DURING) as (before, _, second):
        old, both, key = an_application(), an_application(), an_idempotency_key()
        assert (await post(before, old, key)).status_code == 202
        with pytest.raises(Refused, match=rf"Key {OLD_ID.hex()} is in use: pan_claims 1, idempotency_keys 1\. "):
            await retired(rotating)
        let_a_day_pass(rotating)
        assert (await post(second, both, key)).status_code == 202

        await retired(rotating)

        assert_error(await post(before, old), 503, "SERVICE_UNAVAILABLE")
        assert (await post(second, old)).status_code == 202
        async with an_api(rotating, AFTER) as after:
            for body in (old, both):
                assert_error(await post(after, body), 409, "DUPLICATE_APPLICATION")
            assert (await post(after, both, key)).status_code == 202
        assert rotating.count("applications") == 3
    assert rotating.row("SELECT action, subject FROM acts ORDER BY id DESC LIMIT 1") == {
        "action": "key_retired",
        "subject": OLD_ID.hex(),
    }


async def test_write_that_is_under_way_holds_retirement_off(rotating: Database) -> None:
    connection = await a_connection(rotating)
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock_shared({HASH_KEYS_LOCK})")
        await queries.write(connection, [named_under(a_pan(), OLD)], "prequal-api")

        with pytest.raises(Transient):
            await retired(rotating)

    with pytest.raises(Refused, match="pan_claims 1"):
        await retired(rotating)
    await connection.close()


async def fit(database: Database, *keys: bytes) -> None:
    """What an API with these keys, the active one first, does at its start."""
    connection = await a_connection(database)
    try:
        await recorded_hash_keys(*map(KeyCheck.of, keys))(connection)
    finally:
        await connection.close()


async def test_api_without_the_old_key_does_not_start_before_it_is_retired(rotating: Database) -> None:
    with pytest.raises(Misconfigured, match=f"before this one .id {OLD_ID.hex()}. is not retired"):
        await fit(rotating, NEW)

    for keys in ((OLD,), (OLD, NEW), (NEW, OLD)):
        await fit(rotating, *keys)


async def test_api_with_the_old_key_alone_does_not_start_after_it_is_retired(rotating: Database) -> None:
    await retired(rotating)

    for keys in ((OLD,), (OLD, NEW)):
        with pytest.raises(Misconfigured, match="is not the key this database was made with"):
            await fit(rotating, *keys)
    for keys in ((NEW,), (NEW, OLD)):
        await fit(rotating, *keys)


async def test_retired_key_that_was_never_known_stops_the_start(rotating: Database) -> None:
    unknown = bytes(32)

    with pytest.raises(Misconfigured, match=f"A retired PAN_HASH_KEY .id {key_id(unknown).hex()}. is no key of this"):
        await fit(rotating, NEW, OLD, unknown)


# ── the commands ────────────────────────────────────────────────────────────────────────────────────────────────


def test_commands_rotate_list_and_retire_the_hash_key(database: Database) -> None:
    encryption_keys.make_known(administrator(database), operator(), "PAN_HASH_KEY", OLD)

    rotated = prequal(database, "rotate", "PAN_HASH_KEY")

    name, fresh = rotated.stdout.splitlines()[0].split("=", 1)
    assert (rotated.exit_code, name) == (0, "PAN_HASH_KEY")
    assert "PAN_HASH_KEYS_RETIRED of prequal-api" in rotated.output
    new, keys = (
        key_id(key_bytes(SecretStr(fresh))).hex(),
        {"pan_hash_key": fresh, "pan_hash_keys_retired": PAN_HASH_KEY},
    )
    assert refusal(prequal(database, "rotate", "PAN_HASH_KEY")) == (
        f"Key {OLD_ID.hex()} is not retired yet: `prequal keys retire {OLD_ID.hex()}` first."
    )
    asyncio.run(write(database, named_under(a_pan(), OLD)))
    listed = json.loads(prequal(database, "list", "PAN_HASH_KEY", "--json", **keys).stdout)
    assert [(key["key_id"], key["state"], key["needed_by"]) for key in listed] == [
        (OLD_ID.hex(), "looked up", {"pan_claims": 1}),
        (new, "active", {}),
    ]
    assert "is the active one" in refusal(prequal(database, "retire", new, **keys))
    assert "is in use: pan_claims 1. " in refusal(prequal(database, "retire", OLD_ID.hex(), **keys))
    let_a_day_pass(database)
    retired = prequal(database, "retire", OLD_ID.hex(), **keys)
    assert (retired.exit_code, retired.stdout.startswith(f"Key {OLD_ID.hex()} is retired.")) == (0, True)
    assert refusal(prequal(database, "retire", OLD_ID.hex(), **keys)) == f"Key {OLD_ID.hex()} is retired already."
    assert prequal(database, "list", "PAN_HASH_KEY", **keys).stdout.split()[:2] == [OLD_ID.hex(), "retired"]


def test_only_hash_key_is_not_retired(database: Database) -> None:
    encryption_keys.make_known(administrator(database), operator(), "PAN_HASH_KEY", OLD)

    with pytest.raises(Refused, match="is the only one"):
        hash_keys.retire(administrator(database), operator(), OLD_ID)


def test_hash_key_is_not_rotated_before_there_is_one(database: Database) -> None:
    with pytest.raises(Refused, match="knows no PAN_HASH_KEY yet"):
        hash_keys.make_known(administrator(database), operator(), NEW)
