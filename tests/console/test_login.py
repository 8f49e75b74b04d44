"""`prequal login`, and `prequal review` and `policy` over the JSON API as the person who signed in."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.database import Database
from harness.policies import RAVI, REPORT, approved, policy_text
from prequal.cli import backtest_page, signed_in
from prequal.cli.backtest_page import Progress
from prequal.cli.signed_in import Login
from prequal.core.errors import Misconfigured, Refused, UsageError
from prequal.ops.policies import in_transaction
from prequal.policy_versions import challenges, shadows
from prequal.postgres import paging
from tests.console.conftest import PASSWORD, Prequal
from tests.support.reviews import in_review


def test_review_works_over_the_console_as_the_person_until_logout(
    prequal: Prequal, address: str, people: None, database: Database
) -> None:
    case = str(asyncio.run(in_review(database)))

    signed = prequal("login", address, "--name", "reviewer")
    listed = prequal("review", "list", "--json")
    prequal("review", "claim", case)
    prequal("review", "note", case, "Slips of three months are there.")
    decided = prequal("review", "decide", case, "PRE_APPROVED", "INCOME_CONFIRMED", "--json")
    shown = prequal("review", "show", case)
    prequal("logout")

    assert (PASSWORD in signed, "as reviewer: reviewer." in signed) == (False, True)
    assert signed_in.file().exists() is False
    assert ([each["application_id"] for each in listed], decided["outcome"]) == ([case], "PRE_APPROVED")
    assert "reviewer: Slips of three months are there." in shown
    actors = database.rows("SELECT DISTINCT actor_kind, actor FROM acts WHERE action LIKE 'review%%'")
    assert [tuple(each.values()) for each in actors] == [("person", "reviewer")]
    assert database.value("SELECT count(*) FROM people_sessions") == 0


def test_policy_goes_into_force_over_the_console_by_two_people(
    prequal: Prequal, address: str, people: None, database: Database
) -> None:
    Path("v2.toml").write_text(policy_text(), "utf-8")

    prequal("login", address, "--name", "risk_officer")
    prequal("policy", "propose", "v2.toml")
    prequal("policy", "backtest", "v2", "--record")
    with pytest.raises(Refused, match="no right"):
        prequal("policy", "approve", "v2", "--hash", "0" * 64, "--backtest", "0" * 64)
    prequal("login", address, "--name", "approver")
    shown = prequal("policy", "show", "v2", "--json")
    prequal("policy", "approve", "v2", "--hash", shown["hash"], "--backtest", shown["backtest"])
    prequal("login", address, "--name", "risk_officer")
    for words in (["activate", "v2"], ["challenge", "v2", "--share", "10"]):
        with pytest.raises(Refused, match="risk_officer is an author of v2: an approver or another risk officer must"):
            prequal("policy", *words)
    prequal("login", address, "--name", "approver")
    with pytest.raises(Refused, match="v2 is another document than the one that was shown"):
        prequal("policy", "activate", "v2", "--hash", "0" * 64)
    prequal("policy", "activate", "v2", "--hash", shown["hash"])

    assert "Policy v2" in prequal("policy", "show")
    assert "score" in prequal("policy", "diff", "v1", "v2")
    assert "v1 decides from" in prequal("policy", "rollback", "v2")
    assert database.value("SELECT approved_by FROM policy_versions WHERE version = 'v2'") == "approver"


def test_what_another_person_set_is_replaced_over_the_console_only_when_it_is_named(
    prequal: Prequal, address: str, people: None, database: Database
) -> None:
    for version in ("v2", "v3"):
        in_transaction(database.url, partial(approved, text=policy_text(version)))
    in_transaction(database.url, partial(shadows.begin, actor=RAVI, version="v3"))
    in_transaction(database.url, partial(challenges.begin, actor=RAVI, version="v3", share=1000))
    prequal("login", address, "--name", "risk_officer")

    for words, named in (
        (["shadow", "v2"], "v3"),
        (["challenge", "v2", "--share", "5"], "v3"),
        (["backtest", "v2", "--record"], REPORT.hex()),
    ):
        with pytest.raises(Refused, match=f"to take its place, add `--replace {named}`"):
            prequal("policy", *words)
        prequal("policy", *words, "--replace", named)

    assert "backtested, challenger of 5 %, shadow" in prequal("policy", "list")


def test_list_of_versions_follows_the_pages_of_the_console_and_begins_with_what_was_proposed_first(
    prequal: Prequal, address: str, people: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    call = Login.call

    def counting(person: Login, method: str, path: str, *given: Any, **query: Any) -> Any:
        asked.append({"path": path} | query)
        return call(person, method, path, *given, **query)

    prequal("login", address, "--name", "risk_officer")
    for version in ("v4", "v3", "v2"):
        Path("draft.toml").write_text(policy_text(version), "utf-8")
        prequal("policy", "propose", "draft.toml")
    monkeypatch.setattr(paging, "PAGE", 2)
    monkeypatch.setattr(Login, "call", counting)

    listed = prequal("policy", "list", "--json")["versions"]

    assert [each["version"] for each in listed] == ["v1", "v4", "v3", "v2"]
    assert [each["after"] for each in asked] == [None, "v2", "v4"]


def test_progress_of_a_backtest_over_the_console_is_said(
    prequal: Prequal, address: str, people: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("v2.toml").write_text(policy_text(), "utf-8")
    prequal("login", address, "--name", "risk_officer")
    said: list[tuple[int, int]] = []
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")  # until the progress is said

        def say(_: Progress, read: int, about: int) -> None:
            said.append((read, about))
            other.rollback()

        monkeypatch.setattr(backtest_page, "EVERY_SECONDS", 0.01)
        monkeypatch.setattr(Progress, "__call__", say)
        report = prequal("policy", "backtest", "v2.toml", "--json")

    assert said[0][0] == 0
    assert report["applications"] == 0


def test_ended_session_is_said_and_nothing_is_done_beside_the_database(
    prequal: Prequal, address: str, people: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prequal("login", address, "--name", "reviewer")
    monkeypatch.setenv("DATABASE_URL", database.url)
    database.execute("UPDATE people SET disabled_at = now()")

    with pytest.raises(Refused, match="Your session has ended"):
        prequal("review", "list")


def test_file_that_others_can_read_is_refused(prequal: Prequal) -> None:
    signed_in.keep(Login("http://127.0.0.1:1", "reviewer", "token"))
    mode = signed_in.file().stat().st_mode & 0o777
    signed_in.file().chmod(0o640)

    with pytest.raises(Misconfigured, match="can be read by others"):
        prequal("review", "list")

    assert mode == 0o600


@pytest.mark.parametrize(
    "url",
    ["http://console.lender.example", "ftp://127.0.0.1", "127.0.0.1:8004", "https://a:b@host", "http://10.0.0.1:1"],
)
def test_address_that_would_send_a_password_in_the_clear_is_refused(url: str, prequal: Prequal) -> None:
    with pytest.raises(UsageError):
        prequal("login", url, "--name", "reviewer")
