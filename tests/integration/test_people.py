"""People: `prequal users`, and how they sign in."""

import asyncio
import functools
import json
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from harness.database import Database
from harness.waiting import PATIENCE_SECONDS
from prequal.cli.app import app
from prequal.core import refused_attempts
from prequal.core.errors import Misconfigured, Refused, Transient, UsageError
from prequal.core.keys import key_bytes, key_id
from prequal.domain.person import PersonRole
from prequal.ops import encryption_keys, setting_keys
from prequal.people import passwords, queries, sessions
from prequal.people.second_factor_keys import SecondFactorKeys, SecondFactorUnreadable
from prequal.people.sign_in import SessionLifetime, SignIn, SignInBusy, SignInRefused, TooManyRefused
from prequal.people.stored_second_factors import encrypted_under
from prequal.postgres import paging
from prequal.postgres.connections import Connection, connected
from prequal.record.acts import Actor, ActorKind, operator
from tests.builders import a_key, a_key_text

PASSWORD = "correct horse battery"
HOST = "192.0.2.1"
KEY, OTHER_KEY = a_key_text(21), a_key_text(22)
KEYS = SecondFactorKeys(a_key(21))
runner = CliRunner()


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def run(database: Database, *words: str, typed: str = PASSWORD, key: str = KEY) -> Result:
    environment = {"DATABASE_URL": database.url, "PEOPLE_KEY": key}
    return runner.invoke(app, ["users", *words], env=environment, input=f"{typed}\n{typed}\n")


def done(database: Database, *words: str) -> Any:
    result = run(database, *words, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout.splitlines()[-1])


def refusal(database: Database, *words: str, typed: str = PASSWORD) -> str:
    result = run(database, *words, typed=typed)
    assert isinstance(result.exception, UsageError)
    return str(result.exception)


def sign_in_to(database: Database, idle: int = 600, life: int = 3600, keys: SecondFactorKeys | None = KEYS) -> SignIn:
    @asynccontextmanager
    async def connection() -> AsyncIterator[Connection]:
        async with connected(database.url, "test") as found:
            yield found

    return SignIn(SessionLifetime(idle, life), connection, keys=keys)


async def session_of(database: Database, token: str) -> sessions.Session | None:
    async with connected(database.url, "test") as connection:
        return await sessions.use(connection, token, 600)


async def refused(sign_in: SignIn, name: str = "asha", password: str = PASSWORD, code: str = "") -> str:
    with pytest.raises(SignInRefused) as error:
        await sign_in(name, password, code, HOST)
    return str(error.value)


def test_password_is_stored_as_its_argon2id_hash_and_is_in_no_output(database: Database) -> None:
    result = run(database, "add", "asha", "--role", "reviewer")

    stored = database.value("SELECT password_hash FROM people")
    assert result.exit_code == 0
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in result.output + str(database.rows("SELECT * FROM acts"))


def test_generated_password_and_second_factor_are_shown_once(database: Database) -> None:
    added = done(database, "add", "asha", "--role", "reviewer", "--generate", "--totp")

    assert len(added["password"]) == 24
    assert added["totp"].startswith("otpauth://totp/prequal:asha?secret=")
    shown = run(database, "list").output + run(database, "list", "--json").output
    assert added["password"] not in shown
    assert added["totp"].partition("secret=")[2][:32] not in shown


ISSUER = ("--issuer", "https://sso.lender.example/staff")


def test_identity_of_a_person_is_given_changed_taken_away_and_recorded(database: Database) -> None:
    done(database, "add", "asha", "--role", "reviewer")
    database.execute(
        "INSERT INTO people_sessions (token_hash, person, idle_until, expires_at) "
        "VALUES (sha256('token'), 'asha', now() + interval '1 hour', now() + interval '1 hour')"
    )

    given = [done(database, "identity", "asha", *ISSUER, "--subject", each) for each in ("first", "second")]
    listed = run(database, "list").output
    taken = done(database, "identity", "asha", "--none")

    assert refusal(database, "identity", "asha", "--none") == "No issuer vouches for asha."
    assert [each["subject"] for each in (*given, taken)] == ["first", "second", None]
    assert "second of https://sso.lender.example/staff" in listed
    assert database.count("people_sessions") == 0
    acts = database.rows("SELECT details FROM acts WHERE action = 'person_identity_changed' ORDER BY id")
    assert [act["details"]["subject"] for act in acts] == ["first", "second", None]


def test_identity_is_one_persons_who_may_sign_in(database: Database) -> None:
    for name in ("asha", "ravi"):
        done(database, "add", name, "--role", "reviewer")
    done(database, "identity", "asha", *ISSUER, "--subject", "5f2c")

    assert "another person's" in refusal(database, "identity", "ravi", *ISSUER, "--subject", "5f2c")
    done(database, "disable", "asha")
    assert done(database, "identity", "ravi", *ISSUER, "--subject", "5f2c")["subject"] == "5f2c"
    assert "disabled" in refusal(database, "identity", "asha", "--none")
    assert "or --none" in refusal(database, "identity", "ravi")


def test_list_of_people_follows_its_pages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    for name in ("dev", "bina", "chand", "asha", "esha"):
        done(database, "add", name, "--role", "reviewer")

    assert [each["name"] for each in done(database, "list")] == ["asha", "bina", "chand", "dev", "esha"]


def test_person_is_listed_with_roles(database: Database) -> None:
    done(database, "add", "asha", "--role", "reviewer", "--role", "auditor", "--totp")

    (listed,) = done(database, "list")

    assert (listed["name"], listed["roles"], listed["second_factor"]) == ("asha", ["auditor", "reviewer"], True)
    assert "asha  auditor, reviewer  (second factor)\n1 person." in run(database, "list").stdout


@pytest.mark.parametrize(
    ("words", "typed", "part"),
    [
        (["add", "Asha", "--role", "auditor"], PASSWORD, "lower-case"),
        (["add", "-asha", "--role", "auditor"], PASSWORD, ""),
        (["add", "abcde1234f", "--role", "auditor"], PASSWORD, "looks like a PAN"),
        (["add", "asha", "--role", "auditor"], "short", "12 to 200"),
        (["add", "asha", "--role", "auditor"], "x" * 201, "12 to 200"),
        (["roles", "nobody", "--role", "auditor"], PASSWORD, "no person"),
        (["disable", "nobody"], PASSWORD, "no person"),
        (["password", "nobody"], PASSWORD, "no person"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    database: Database, words: list[str], typed: str, part: str
) -> None:
    result = run(database, *words, typed=typed)

    assert result.exit_code != 0
    assert part in str(result.exception)
    assert (database.count("people"), database.count("acts")) == (0, 0)


def test_name_is_one_persons(database: Database) -> None:
    done(database, "add", "asha", "--role", "reviewer")

    assert "already" in refusal(database, "add", "asha", "--role", "auditor")


def test_each_change_of_a_person_is_recorded(database: Database) -> None:
    done(database, "add", "asha", "--role", "reviewer")
    done(database, "roles", "asha", "--role", "auditor", "--role", "approver")
    done(database, "password", "asha", "--totp")
    done(database, "disable", "asha")

    acts = database.rows("SELECT action, subject_kind, subject, actor_kind, details FROM acts ORDER BY id")
    assert {(act["subject_kind"], act["subject"], act["actor_kind"]) for act in acts} == {
        ("person", "asha", "operator")
    }
    assert [(act["action"], act["details"]) for act in acts] == [
        ("person_added", {"roles": "reviewer", "second_factor": False}),
        ("person_roles_changed", {"before": "reviewer", "after": "approver auditor"}),
        ("person_password_changed", {"second_factor": True}),
        ("person_disabled", {}),
    ]


async def test_signed_in_person_has_the_roles_of_this_moment(database: Database) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")

    token = await sign_in_to(database)(" Asha ", PASSWORD, "", HOST)
    await asyncio.to_thread(done, database, "roles", "asha", "--role", "operator")

    assert await session_of(database, token) == sessions.Session("asha", frozenset({PersonRole.OPERATOR}))
    assert token not in str(database.rows("SELECT * FROM people_sessions"))
    assert database.value("SELECT count(*) FROM acts WHERE action = 'signed_in' AND actor_kind = 'person'") == 1


async def test_refusal_says_the_same_after_the_same_work_whatever_was_wrong(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, more in [("asha", []), ("ravi", ["--totp"]), ("gone", []), ("shut", [])]:
        await asyncio.to_thread(done, database, "add", name, "--role", "reviewer", *more)
    await asyncio.to_thread(done, database, "disable", "gone")
    database.execute("UPDATE people SET locked_until = now() + interval '1 hour' WHERE name = 'shut'")
    work: list[str] = []
    compared = passwords._fits

    def noted(password: str, stored: str) -> bool:
        work.append("hash")
        return compared(password, stored)

    monkeypatch.setattr(passwords, "_fits", noted)
    sign_in = SignIn(SessionLifetime(600, 3600), functools.partial(watched, database, work), keys=KEYS)

    said, done_for = set(), set()
    for name, password, code in [
        ("nobody", PASSWORD, ""),
        ("asha", "wrong password", ""),
        ("ravi", PASSWORD, ""),
        ("ravi", PASSWORD, "000000"),
        ("gone", PASSWORD, ""),
        ("shut", PASSWORD, ""),
    ]:
        said.add(await refused(sign_in, name, password, code))
        done_for.add(tuple(sorted(work)))  # a statement is noted some time after it was run
        work.clear()

    assert (len(said), len(done_for)) == (1, 1)
    assert done_for.pop().count("hash") == 1
    assert database.count("people_sessions") == 0


@asynccontextmanager
async def watched(database: Database, work: list[str]) -> AsyncIterator[Connection]:
    """A connection that notes its statements."""
    async with connected(database.url, "test") as connection:
        with connection.query_logger(lambda query: work.append(query.query)):
            yield connection
            await asyncio.sleep(0)  # each is noted by the loop's next turn


@pytest.mark.parametrize("name", ["asha", "nobody"])
async def test_failure_of_any_name_is_a_transaction_that_waits_for_the_disk(database: Database, name: str) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")

    async with connected(database.url, "test") as connection, connection.transaction():
        assert not await queries.count_failure(connection, name)

        assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")


async def test_address_is_refused_its_eleventh_sign_in_of_a_minute_and_no_other(database: Database) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    sign_in = sign_in_to(database)

    for number in range(refused_attempts.ATTEMPTS_MAX):
        await refused(sign_in, f"nobody{number}")
    with pytest.raises(TooManyRefused) as limited:
        await sign_in("asha", PASSWORD, "", HOST)

    assert 0 < limited.value.seconds <= 61
    assert await sign_in("asha", PASSWORD, "", "192.0.2.2")


async def test_guesses_of_one_address_at_once_are_counted_before_the_next_is_looked_at(database: Database) -> None:
    sign_in = sign_in_to(database)
    for number in range(refused_attempts.ATTEMPTS_MAX - 2):
        await refused(sign_in, f"nobody{number}")

    answers = await asyncio.gather(*(sign_in("nobody", "wrong", "", HOST) for _ in range(6)), return_exceptions=True)

    assert [type(answer) for answer in answers].count(TooManyRefused) == 4


async def test_fifth_failure_locks_the_name_and_a_new_password_unlocks_it(database: Database) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    sign_in = sign_in_to(database)

    for _ in range(5):
        await refused(sign_in, password="wrong password")
    await refused(sign_in)
    await asyncio.to_thread(done, database, "password", "asha")

    assert await sign_in("asha", PASSWORD, "", HOST)
    assert database.row("SELECT actor_kind, details FROM acts WHERE action = 'person_locked'") == {
        "actor_kind": "process",
        "details": {"failed_sign_ins": 5, "minutes": 15},
    }


async def test_guesses_at_once_are_counted_one_by_one(database: Database) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    sign_in = sign_in_to(database)

    answers = await asyncio.gather(*(sign_in("asha", "wrong", "", HOST) for _ in range(20)), return_exceptions=True)

    assert [type(answer) for answer in answers].count(SignInBusy) == 12
    await refused(sign_in)


async def test_sign_in_waits_for_no_thread_that_other_work_holds(database: Database) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    loop, over = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    hanging = loop.run_in_executor(None, over.wait)

    try:
        token = await asyncio.wait_for(sign_in_to(database)("asha", PASSWORD, "", HOST), PATIENCE_SECONDS)
    finally:
        over.set()
        await hanging

    assert await session_of(database, token)


async def test_code_of_the_second_factor_is_taken_once(database: Database) -> None:
    added = await asyncio.to_thread(done, database, "add", "ravi", "--role", "approver", "--totp")
    code = pyotp.TOTP(added["totp"].partition("secret=")[2][:32]).at(datetime.now(UTC))
    sign_in = sign_in_to(database)

    token = await sign_in("ravi", PASSWORD, code, HOST)

    assert await session_of(database, token)
    await refused(sign_in, "ravi", code=code)


@pytest.mark.parametrize(
    "words",
    [["password", "asha"], ["password", "asha", "--totp"], ["disable", "asha"]],
    ids=lambda words: " ".join(words),
)
async def test_change_of_a_person_stops_a_sign_in_that_is_under_way(
    database: Database, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    fits = passwords.PasswordVerifier.fits

    async def changed_meanwhile(verifier: passwords.PasswordVerifier, password: str, stored: str | None) -> bool:
        verified = await fits(verifier, password, stored)
        result = await asyncio.to_thread(run, database, *words, typed="another " + PASSWORD)
        assert result.exit_code == 0
        return verified

    monkeypatch.setattr(passwords.PasswordVerifier, "fits", changed_meanwhile)
    await refused(sign_in_to(database))

    assert database.count("people_sessions") == 0


@pytest.mark.parametrize("change", [f"totp_secret = '{'A' * 32}'", "locked_until = now() + interval '1 minute'"])
async def test_second_factor_and_a_lock_stop_a_sign_in_that_is_under_way(
    database: Database, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    fits = passwords.PasswordVerifier.fits

    async def changed_meanwhile(verifier: passwords.PasswordVerifier, password: str, stored: str | None) -> bool:
        database.execute(f"UPDATE people SET {change}")
        return await fits(verifier, password, stored)

    monkeypatch.setattr(passwords.PasswordVerifier, "fits", changed_meanwhile)
    await refused(sign_in_to(database))

    assert database.count("people_sessions") == 0


@pytest.mark.parametrize("words", [["disable", "asha"], ["password", "asha"]])
async def test_disabled_person_and_new_password_end_every_session_at_once(database: Database, words: list[str]) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    token = await sign_in_to(database)("asha", PASSWORD, "", HOST)

    await asyncio.to_thread(done, database, *words)

    assert await session_of(database, token) is None


@pytest.mark.parametrize("column", ["idle_until", "expires_at"])
async def test_session_ends_when_it_was_idle_or_is_old(database: Database, column: str) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    token = await sign_in_to(database)("asha", PASSWORD, "", HOST)

    database.execute(f"UPDATE people_sessions SET {column} = now()")

    assert await session_of(database, token) is None


async def test_sign_in_forgets_sessions_that_have_ended(database: Database) -> None:
    await asyncio.to_thread(done, database, "add", "asha", "--role", "reviewer")
    await sign_in_to(database, idle=-1)("asha", PASSWORD, "", HOST)

    await sign_in_to(database)("asha", PASSWORD, "", HOST)

    assert database.count("people_sessions") == 1


# ── second factors are stored encrypted ─────────────────────────────────────────────────────────────────────────

CONSOLE = Actor(ActorKind.PROCESS, "console")


def added_with_second_factor(database: Database, name: str) -> str:
    """The secret of a new person."""
    address: str = done(database, "add", name, "--role", "approver", "--totp")["totp"]
    return address.partition("secret=")[2][:32]


def stored(database: Database) -> dict[str, str]:
    return {row["name"]: row["totp_secret"] for row in database.rows("SELECT name, totp_secret FROM people")}


def start(database: Database, *keys: bytes) -> None:
    """What the console's start does."""

    async def check() -> None:
        async with connected(database.url, "test") as connection:
            await encrypted_under(SecondFactorKeys(keys[0], keys[1:]) if keys else None, CONSOLE)(connection)

    asyncio.run(check())


def test_second_factor_is_stored_encrypted_for_its_person(database: Database) -> None:
    secret = added_with_second_factor(database, "asha")

    assert KEYS.decrypted(stored(database)["asha"], "asha") == secret
    assert database.value("SELECT people::text FROM people").count(secret) == 0


def both_known(database: Database) -> None:
    for key in (21, 22):
        encryption_keys.make_known(database.url, operator(), "PEOPLE_KEY", a_key(key))


def retire_old(database: Database) -> None:
    setting_keys.retire(database.url, operator(), "PEOPLE_KEY", key_id(a_key(21)), [a_key(22), a_key(21)])


def retire_meanwhile(database: Database, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """The old key is to be retired while this query of a write of second factors is about to run."""
    write = getattr(queries, query)

    async def meanwhile(*given: Any) -> Any:
        with pytest.raises(Transient):
            await asyncio.to_thread(retire_old, database)
        return await write(*given)

    monkeypatch.setattr(queries, query, meanwhile)


@pytest.mark.usefixtures("endless_transactions")
@pytest.mark.parametrize(
    ("words", "query"),
    [
        (("add", "ravi", "--role", "auditor", "--totp"), "insert_person"),
        (("password", "asha", "--totp"), "set_second_factor"),
    ],
)
def test_second_factor_that_is_being_made_holds_retirement_of_its_key_off(
    database: Database, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], query: str
) -> None:
    both_known(database)
    done(database, "add", "asha", "--role", "auditor")
    retire_meanwhile(database, monkeypatch, query)

    done(database, *words)

    with pytest.raises(Refused, match="is in use: people 1"):
        retire_old(database)


@pytest.mark.usefixtures("endless_transactions")
def test_second_factor_that_a_start_encrypts_holds_retirement_of_its_key_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = added_with_second_factor(database, "asha")
    encryption_keys.make_known(database.url, operator(), "PEOPLE_KEY", a_key(22))
    database.execute("UPDATE people SET totp_secret = %s", secret)
    retire_meanwhile(database, monkeypatch, "second_factors")

    start(database, a_key(21))

    with pytest.raises(Refused, match="is in use: people 1"):
        retire_old(database)


def test_second_factor_under_a_retired_key_is_encrypted_again_by_a_start_with_both(database: Database) -> None:
    secret = added_with_second_factor(database, "asha")
    encryption_keys.make_known(database.url, operator(), "PEOPLE_KEY", a_key(22))
    database.execute("UPDATE key_checks SET retired_at = now() WHERE key_id = %s", key_id(a_key(21)))

    start(database, a_key(22), a_key(21))

    assert SecondFactorKeys(a_key(22)).decrypted(stored(database)["asha"], "asha") == secret


def test_second_factor_is_made_beside_a_retired_key(database: Database) -> None:
    both_known(database)
    retire_old(database)
    environment = {"DATABASE_URL": database.url, "PEOPLE_KEY": OTHER_KEY, "PEOPLE_KEYS_RETIRED": KEY}

    result = runner.invoke(app, ["users", "add", "asha", "--role", "auditor", "--generate", "--totp"], env=environment)

    assert (result.exit_code, set(stored(database))) == (0, {"asha"})


def test_second_factor_needs_the_databases_key(database: Database) -> None:
    missing = run(database, "add", "asha", "--role", "auditor", "--totp", key="")
    added_with_second_factor(database, "ravi")
    wrong = run(database, "add", "asha", "--role", "auditor", "--totp", key=OTHER_KEY)
    without = run(database, "add", "meena", "--role", "auditor", key="")

    assert isinstance(missing.exception, Misconfigured)
    assert "PEOPLE_KEY is missing" in str(missing.exception)
    assert isinstance(wrong.exception, Misconfigured)
    assert "PEOPLE_KEY (id " in str(wrong.exception)
    assert without.exit_code == 0
    assert set(stored(database)) == {"ravi", "meena"}


async def test_second_factor_of_another_person_lets_nobody_in(database: Database) -> None:
    secret = await asyncio.to_thread(added_with_second_factor, database, "asha")
    await asyncio.to_thread(added_with_second_factor, database, "ravi")
    database.execute("UPDATE people SET totp_secret = (SELECT totp_secret FROM people WHERE name = 'asha')")
    code = pyotp.TOTP(secret).at(datetime.now(UTC))

    with pytest.raises(SecondFactorUnreadable):
        await sign_in_to(database)("ravi", PASSWORD, code, HOST)
    await refused(sign_in_to(database), "ravi", "wrong password", code)
    assert database.count("people_sessions") == 0


async def test_without_the_key_a_person_with_a_second_factor_does_not_get_in(database: Database) -> None:
    secret = await asyncio.to_thread(added_with_second_factor, database, "asha")
    code = pyotp.TOTP(secret).at(datetime.now(UTC))

    for keys in (None, SecondFactorKeys(a_key(22))):
        with pytest.raises(SecondFactorUnreadable):
            await sign_in_to(database, keys=keys)("asha", PASSWORD, code, HOST)
        await refused(sign_in_to(database, keys=keys), "asha", "wrong password", code)
    assert await sign_in_to(database)("asha", PASSWORD, code, HOST)


def test_first_start_with_the_key_encrypts_what_an_earlier_release_stored(database: Database) -> None:
    secrets = {name: pyotp.random_base32() for name in ("asha", "ravi")}
    for name, secret in secrets.items():
        done(database, "add", name, "--role", "auditor")
        database.execute(f"UPDATE people SET totp_secret = '{secret}' WHERE name = '{name}'")

    start(database, a_key(21))
    after = stored(database)
    start(database, a_key(21))

    assert {name: KEYS.decrypted(after[name], name) for name in after} == secrets
    assert stored(database) == after
    acts = database.rows("SELECT actor, subject FROM acts WHERE action = 'second_factor_encrypted' ORDER BY subject")
    assert [(act["actor"], act["subject"]) for act in acts] == [("console", "asha"), ("console", "ravi")]


def test_start_without_the_key_is_refused_where_somebody_has_a_second_factor(database: Database) -> None:
    done(database, "add", "meena", "--role", "auditor")
    start(database)
    added_with_second_factor(database, "asha")

    with pytest.raises(Misconfigured, match=r"^PEOPLE_KEY is missing, and 1 person has a second factor"):
        start(database)
    with pytest.raises(Misconfigured, match=r"^PEOPLE_KEY \(id "):
        start(database, a_key(22))


def test_second_factors_go_over_to_a_key_that_takes_the_place_of_the_old_one(database: Database) -> None:
    secret = added_with_second_factor(database, "asha")
    environment = {"DATABASE_URL": database.url}
    fresh = runner.invoke(app, ["keys", "rotate", "PEOPLE_KEY"], env=environment).stdout.strip().partition("=")[2]
    new = key_bytes(SecretStr(fresh))

    with pytest.raises(Misconfigured, match=r"add its key .* to PEOPLE_KEYS_RETIRED"):
        start(database, new)
    start(database, new, a_key(21))
    start(database, new)

    assert SecondFactorKeys(new).decrypted(stored(database)["asha"], "asha") == secret
    with pytest.raises(Misconfigured, match=r"A retired PEOPLE_KEY .* is no key of this database"):
        start(database, new, a_key(22))
