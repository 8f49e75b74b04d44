"""`prequal clients`: what it writes, what it shows once, and what it refuses."""

import json
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from harness.database import Database, Row
from harness.system import OTHER_KEY, PAN_HASH_KEY
from prequal.api_clients.tokens import client_of, fingerprint
from prequal.cli.app import app
from prequal.core.errors import Misconfigured, UsageError
from prequal.core.keys import key_bytes
from prequal.postgres import paging
from prequal.security.pan_encryption import PanHasher

HASHER = PanHasher(key_bytes(SecretStr(PAN_HASH_KEY)))
runner = CliRunner()


def run(database: Database, *words: str, pan_hash_key: str = PAN_HASH_KEY) -> Result:
    environment = {"DATABASE_URL": database.url, "PAN_HASH_KEY": pan_hash_key}
    return runner.invoke(app, ["clients", *words], env=environment)


def done(database: Database, *words: str) -> Any:
    """What a command that succeeds answers with `--json`."""
    result = run(database, *words, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def refusal(database: Database, *words: str, **settings: str) -> str:
    result = run(database, *words, **settings)
    assert isinstance(result.exception, UsageError | Misconfigured)
    return str(result.exception)


def secrets(database: Database, client: str) -> list[Row]:
    return database.rows("SELECT * FROM api_client_secrets WHERE client = %s ORDER BY slot", client)


def test_added_client_has_its_token_shown_once_and_only_its_keyed_hash_stored(database: Database) -> None:
    result = run(database, "add", "Lender's app")

    token = result.stdout.strip()
    (stored,) = secrets(database, client_of(token.encode()) or "")
    assert result.stdout == token + "\n"
    assert token not in result.stderr
    assert stored["secret_hmac"] == fingerprint(HASHER, token.encode())
    assert token.split("_", 2)[2] not in str(database.everything())
    assert token not in run(database, "list").output + run(database, "list", "--json").output


def test_client_is_listed_with_what_it_may_do_and_until_when(database: Database) -> None:
    added = done(
        database, "add", "auditor", "--scope", "applications:read", "--sandbox", "--expires", "2099-01-01T00:00:00Z"
    )

    (listed,) = done(database, "list")

    assert (listed["client"], listed["name"], listed["kind"]) == (added["client"], "auditor", "sandbox")
    assert listed["scopes"] == ["applications:read"]
    assert [(each["secret"], each["live"], each["expires_at"]) for each in listed["secrets"]] == [
        (1, True, "2099-01-01T00:00:00Z")
    ]
    assert "auditor" in run(database, "list").stdout


def test_rotated_client_has_two_secrets_until_the_overlap_ends(database: Database) -> None:
    added = done(database, "add", "app")

    rotated = done(database, "rotate", "app", "--overlap", "2h")

    left = database.row(
        "SELECT extract(epoch FROM expires_at - now()) AS seconds FROM api_client_secrets WHERE slot = 1"
    )
    (client,) = done(database, "list")
    assert rotated["token"] != added["token"]
    assert rotated["client"] == added["client"]
    assert [each["live"] for each in client["secrets"]] == [True, True]
    assert 7100 < left["seconds"] <= 7200


def test_rotation_without_an_overlap_ends_the_old_secret_at_once(database: Database) -> None:
    added = done(database, "add", "app")

    done(database, "rotate", added["client"], "--overlap", "0s")

    (client,) = done(database, "list")
    assert [each["live"] for each in client["secrets"]] == [False, True]


def test_overlap_lengthens_no_life(database: Database) -> None:
    done(database, "add", "app", "--expires", "1h")

    done(database, "rotate", "app", "--overlap", "7d")

    assert database.value("SELECT expires_at < now() + interval '2 h' FROM api_client_secrets WHERE slot = 1")


def test_third_live_secret_is_refused_and_takes_the_place_of_a_dead_one(database: Database) -> None:
    done(database, "add", "app")
    done(database, "rotate", "app")

    assert "Two secrets" in refusal(database, "rotate", "app")
    done(database, "revoke", "app", "--secret", "1")
    done(database, "rotate", "app")

    (client,) = done(database, "list")
    assert [(each["secret"], each["live"]) for each in client["secrets"]] == [(2, True), (1, True)]


def test_revoked_client_can_do_nothing_more(database: Database) -> None:
    done(database, "add", "app")

    done(database, "revoke", "app")

    assert "revoked" in refusal(database, "rotate", "app")
    assert "revoked" in refusal(database, "revoke", "app")
    assert "There is a client of this name" in refusal(database, "add", "app")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["add", ""], "NAME must be"),
        (["add", " app"], "NAME must be"),
        (["add", "a" * 101], "NAME must be"),
        (["add", "a\nb"], "NAME must be"),
        (["add", "ABCDE 1234 F"], "looks like a PAN"),
        (["add", "app", "--expires", "soon"], "is not a time"),
        (["add", "app", "--expires", "0s"], "expiry must lie in the future"),
        (["add", "app", "--expires", "1h", "--not-before", "2h"], "after the moment from which it is valid"),
        (["rotate", "nobody"], "There is no client"),
        (["rotate", "nobody", "--overlap", "2099-01-01T00:00:00Z"], "must be a duration"),
        (["revoke", "nobody"], "There is no client"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(database: Database, words: list[str], part: str) -> None:
    assert part in refusal(database, *words)
    assert (database.count("api_clients"), database.count("api_client_secrets")) == (0, 0)


def test_secret_that_does_not_live_cannot_be_revoked(database: Database) -> None:
    done(database, "add", "app")

    assert "No secret 2" in refusal(database, "revoke", "app", "--secret", "2")


def test_rate_of_a_client_is_set_changed_and_listed(database: Database) -> None:
    done(database, "add", "app")
    added = done(database, "add", "batch", "--rate", "20")

    changed = done(database, "limit", "batch", "--rate", "300")

    assert (added["requests_per_second"], changed["requests_per_second"]) == (20, 300)
    assert [each["requests_per_second"] for each in done(database, "list")] == [5000, 300]
    assert "300/s" in run(database, "list").stdout


@pytest.mark.parametrize("rate", ["0", "1000001", "many"])
def test_rate_that_is_none_is_refused(database: Database, rate: str) -> None:
    done(database, "add", "app")

    result = run(database, "limit", "app", "--rate", rate)

    assert result.exit_code != 0
    assert database.value("SELECT requests_per_second FROM api_clients") == 5000


def test_rate_of_a_client_that_is_not_there_is_refused(database: Database) -> None:
    assert "no client" in refusal(database, "limit", "nobody", "--rate", "5")


ISSUER = ("--issuer", "https://sso.lender.example/apps")


def test_client_of_an_issuer_has_no_secret_of_ours_and_needs_no_key(database: Database) -> None:
    added = json.loads(run(database, "add", "batch", *ISSUER, "--subject", "job", "--json", pan_hash_key="").stdout)

    (listed,) = done(database, "list")

    assert "token" not in added
    assert (listed["issuer"], listed["subject"], listed["secrets"]) == (ISSUER[1], "job", [])
    assert "named by tokens of https://sso.lender.example/apps as job" in run(database, "list").stdout
    act = database.row("SELECT action, details FROM acts")
    assert (act["action"], act["details"]["issuer"], act["details"]["subject"]) == ("client_added", ISSUER[1], "job")


def test_identity_of_a_client_is_given_changed_taken_away_and_recorded(database: Database) -> None:
    added = done(database, "add", "app")

    for subject in ("first", "second"):
        given = done(database, "identity", "app", *ISSUER, "--subject", subject)
    taken = done(database, "identity", added["client"], "--none")

    assert refusal(database, "identity", "app", "--none") == f"No issuer's tokens name {added['client']}."
    assert (given["subject"], taken["subject"], taken["issuer"]) == ("second", None, None)
    acts = database.rows("SELECT details FROM acts WHERE action = 'client_identity_changed' ORDER BY id")
    assert [act["details"]["subject"] for act in acts] == ["first", "second", None]


def test_list_of_clients_follows_its_pages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    for name in ("d", "b", "c", "a"):
        done(database, "add", name)

    assert [(each["name"], len(each["secrets"])) for each in done(database, "list")] == [
        (name, 1) for name in ("a", "b", "c", "d")
    ]
    assert run(database, "list").stdout.endswith("4 clients.\n")


def test_identity_is_one_living_clients(database: Database) -> None:
    done(database, "add", "app", *ISSUER, "--subject", "job")
    done(database, "add", "other")

    assert "another client's" in refusal(database, "identity", "other", *ISSUER, "--subject", "job")
    assert "another client's" in refusal(database, "add", "third", *ISSUER, "--subject", "job")
    done(database, "revoke", "app")
    done(database, "identity", "other", *ISSUER, "--subject", "job")

    assert [each["name"] for each in done(database, "list")] == ["app", "other"]
    assert "revoked" in refusal(database, "identity", "app", "--none")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--issuer", "http://sso.lender.example", "--subject", "job"], "issuer must look like"),
        ([*ISSUER, "--subject", ""], "subject must be"),
        ([*ISSUER, "--subject", "ä"], "subject must be"),
        ([*ISSUER, "--subject", "a" * 256], "subject must be"),
        ([*ISSUER, "--subject", "ABCDE1234F"], "looks like a PAN"),
        ([*ISSUER], "belong together"),
    ],
)
def test_identity_that_does_not_fit_is_one_sentence(database: Database, words: list[str], part: str) -> None:
    done(database, "add", "app")

    assert part in refusal(database, "identity", "app", *words)
    assert part in refusal(database, "add", "other", *words)
    assert database.count("api_clients") == 1


def test_identity_is_given_or_taken_away_and_not_both(database: Database) -> None:
    assert "or --none" in refusal(database, "identity", "app")
    assert "or --none" in refusal(database, "identity", "app", *ISSUER, "--subject", "job", "--none")


def test_key_that_is_not_the_databases_makes_no_secret(database: Database) -> None:
    done(database, "add", "app")

    said = refusal(database, "rotate", "app", pan_hash_key=OTHER_KEY)

    assert said.startswith("PAN_HASH_KEY")
    assert len(secrets(database, database.value("SELECT id FROM api_clients"))) == 1


def test_database_that_is_not_migrated_is_one_sentence(empty_database: Database) -> None:
    assert "prequal migrate" in refusal(empty_database, "list")


def test_each_change_of_a_client_is_recorded_and_the_record_holds_no_secret(database: Database) -> None:
    added = done(database, "add", "recorded", "--scope", "applications:read")
    rotated = done(database, "rotate", "recorded")
    done(database, "limit", "recorded", "--rate", "20")
    done(database, "revoke", "recorded", "--secret", "1")
    done(database, "revoke", "recorded")

    acts = database.rows("SELECT * FROM acts ORDER BY id")
    assert [(act["action"], act["details"]) for act in acts] == [
        ("client_added", {"name": "recorded", "scopes": "applications:read", "sandbox": False, "rate": 5000}),
        ("client_rotated", {"secret": 2}),
        ("client_rate_changed", {"rate": 20, "before": 5000}),
        ("client_secret_revoked", {"secret": 1}),
        ("client_revoked", {}),
    ]
    assert {(act["actor_kind"], act["subject_kind"], act["subject"]) for act in acts} == {
        ("operator", "client", added["client"])
    }
    for token in (added["token"], rotated["token"]):
        assert token.split("_", 2)[2] not in str(acts)


def test_refused_change_of_a_client_is_not_recorded(database: Database) -> None:
    done(database, "add", "taken")

    refusal(database, "add", "taken")

    assert database.value("SELECT count(*) FROM acts WHERE subject_kind = 'client'") == 1
