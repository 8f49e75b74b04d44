"""`prequal policy propose`, `backtest --record`, `approve`, `activate` and `rollback`, as people type them."""

import json
import re
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from harness.database import Database
from harness.policies import ASHA, COUNTS, RAVI, REPORT, approved, policy_text, proposed
from prequal.cli.app import app
from prequal.core.errors import Refused, UsageError
from prequal.domain.policy.loading import load
from prequal.ops import backtest
from prequal.ops.policies import in_transaction
from prequal.policy_versions import challenges, life, shadows
from prequal.postgres import paging
from prequal.record.acts import operator
from tests.ops.conftest import Prequal, of_operator


@pytest.fixture
def prequal(prequal_on_database: Prequal) -> Prequal:
    return prequal_on_database


@pytest.fixture
def draft(prequal: Prequal) -> Path:
    """Policy v2 as a file, in the command's working folder."""
    file = Path("v2.toml")
    file.write_text(policy_text(), "utf-8")
    return file


def approve_as_ravi(database: Database, hash_: str, backtest: str) -> None:
    """Somebody else than the machine's user of the test approves."""
    digests = bytes.fromhex(hash_), bytes.fromhex(backtest)
    in_transaction(database.url, lambda connection: life.approve(connection, RAVI, "v2", *digests))


def done(prequal: Prequal, *words: str) -> Any:
    result = prequal("policy", *words)
    assert result.exit_code == 0, result.exception
    return result


def refusal(prequal: Prequal, *words: str) -> str:
    result = prequal("policy", *words)
    assert isinstance(result.exception, Refused | UsageError), result.output
    return str(result.exception)


def listed(prequal: Prequal) -> dict[str, str]:
    return {each["version"]: each["state"] for each in prequal("policy", "list", "--json")["versions"]}


def test_version_goes_into_force_and_is_rolled_back(prequal: Prequal, database: Database) -> None:
    in_transaction(database.url, partial(life.propose, actor=ASHA, text=policy_text()))
    assert listed(prequal) == {"v1": "active", "v2": "checked"}

    recorded = done(prequal, "backtest", "v2", "--record")
    shown = prequal("policy", "show", "v2", "--json")
    assert f"Recorded with v2: {shown['backtest']}." in recorded.stdout
    assert shown["backtest_report"]["candidate"]["hash"] == shown["hash"] == load(policy_text()).hash

    approve_as_ravi(database, shown["hash"], shown["backtest"])
    assert listed(prequal)["v2"] == "approved"

    assert "another document" in refusal(prequal, "activate", "v2", "--hash", "0" * 64)
    done(prequal, "activate", "v2", "--hash", shown["hash"])
    assert listed(prequal) == {"v1": "retired", "v2": "active"}
    assert "Approved by: ravi" in done(prequal, "show").stdout

    done(prequal, "rollback", "v2")
    assert listed(prequal) == {"v1": "active", "v2": "retired"}


def test_version_decides_from_a_time_of_tomorrow_in_india(prequal: Prequal, database: Database) -> None:
    in_transaction(database.url, approved)
    tomorrow = (datetime.now(ZoneInfo("Asia/Kolkata")) + timedelta(days=1)).replace(hour=12, minute=0)

    activated = prequal("policy", "activate", "v2", "--from", tomorrow.isoformat(), "--json")
    stored = prequal("policy", "show", "v2", "--json")

    assert tomorrow.isoformat().endswith("+05:30")
    assert datetime.fromisoformat(activated["effective_from"]) == tomorrow
    assert datetime.fromisoformat(stored["scheduled_for"]) == tomorrow
    assert listed(prequal) == {"v1": "active", "v2": "approved"}
    assert "v1" in done(prequal, "show").stdout.splitlines()[0]


def test_hash_that_is_recorded_is_of_the_bytes_that_json_prints(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    done(prequal, "propose", str(draft))
    words = ["policy", "backtest", "v2", "--record", "--json"]
    printed = CliRunner().invoke(app, words, env={"DATABASE_URL": of_operator(database.url)}).stdout_bytes

    assert prequal("policy", "show", "v2", "--json")["backtest"] == sha256(printed).hexdigest()


def test_show_says_what_a_backtest_found_pending_and_decided_otherwise_by_its_own_versions(
    prequal: Prequal, database: Database
) -> None:
    replayed = {"of_unknown_versions": 1, "otherwise_than_stored": 2}
    newest = "01a22239-0178-7000-8000-000000000000"
    report = {"applications": 100, "flips": 30, "pending": 4, "replayed": replayed, "newest_application": newest}
    counts = json.dumps(report)
    in_transaction(database.url, partial(proposed, counts=counts))

    page = done(prequal, "show", "v2").stdout

    assert "  of 100 applications 30 would have another status; 4 are pending\n" in page
    assert "  decided again by their own versions: 97 as stored, 2 otherwise, 1 of unknown versions\n" in page
    assert f"  the newest that was read is {newest}, of 2026-11-28 12:54:51Z\n" in page


def test_user_of_the_machine_does_not_approve_what_he_proposed(prequal: Prequal, draft: Path) -> None:
    done(prequal, "propose", str(draft))
    done(prequal, "backtest", "v2", "--record")
    shown = prequal("policy", "show", "v2", "--json")

    sentence = refusal(prequal, "approve", "v2", "--hash", shown["hash"], "--backtest", shown["backtest"])

    assert sentence == f"{operator().name} is an author of v2: another person must approve it."


def test_user_of_the_machine_puts_nothing_into_force_that_he_proposed(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    done(prequal, "propose", str(draft))
    done(prequal, "backtest", "v2", "--record")
    shown = prequal("policy", "show", "v2", "--json")
    approve_as_ravi(database, shown["hash"], shown["backtest"])

    activation = refusal(prequal, "activate", "v2")
    challenge = refusal(prequal, "challenge", "v2", "--share", "10")

    said = f"{operator().name} is an author of v2: an approver or another risk officer must"
    assert (activation, challenge) == (f"{said} put it into force.", f"{said} let it challenge.")
    assert listed(prequal) == {"v1": "active", "v2": "approved"}


def test_document_of_another_author_is_not_replaced(prequal: Prequal, draft: Path, database: Database) -> None:
    in_transaction(database.url, lambda connection: life.propose(connection, RAVI, policy_text(minimum=710)))

    assert refusal(prequal, "propose", str(draft)) == (
        "v2 was proposed by ravi: give your document another version, or have ravi propose it again."
    )
    assert done(prequal, "show", "v2", "--toml").stdout == policy_text(minimum=710)


def test_no_variable_of_the_environment_names_another_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    before = operator()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ravi")

    assert operator() == before


def test_document_that_is_no_policy_is_refused_by_line_and_not_stored(prequal: Prequal, draft: Path) -> None:
    draft.write_text(policy_text().replace('"cibil_score <', '"cibil_scores <'), "utf-8")

    assert "line " in refusal(prequal, "propose", str(draft))
    assert listed(prequal) == {"v1": "active"}


def test_hash_that_is_none_is_bad_usage(prequal: Prequal) -> None:
    assert "64 hexadecimal digits" in refusal(prequal, "approve", "v1", "--hash", "4d1e", "--backtest", "90ac")


def test_time_of_an_activation_is_no_duration(prequal: Prequal) -> None:
    assert "--from must be a time" in refusal(prequal, "activate", "v1", "--from", "2h")


def test_stored_version_is_compared_and_backtested_by_its_name(prequal: Prequal, draft: Path) -> None:
    done(prequal, "propose", str(draft))
    draft.unlink()

    assert "limits.minimum_cibil_score.score" in done(prequal, "diff", "v1", "v2").stdout
    assert prequal("policy", "backtest", "v2", "--json")["candidate"]["version"] == "v2"
    assert done(prequal, "show", "v2", "--toml").stdout == policy_text()


def test_list_follows_its_pages_and_begins_with_what_was_proposed_first(
    prequal: Prequal, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    for version in ("v4", "v3", "v2"):
        draft.write_text(policy_text(version), "utf-8")
        done(prequal, "propose", str(draft))

    assert list(listed(prequal)) == ["v1", "v4", "v3", "v2"]


def test_version_that_is_nowhere_is_refused(prequal: Prequal) -> None:
    assert refusal(prequal, "show", "v9") == "There is no version v9: see `prequal policy list`."


def test_challenge_is_begun_shown_and_ended(prequal: Prequal, draft: Path, database: Database) -> None:
    in_transaction(database.url, lambda connection: approved(connection, draft.read_text()))

    begun = done(prequal, "challenge", "v2", "--share", "12.5").stdout
    assert "v2 decides 12.5 % of the applications, and v1 the others, since" in begun
    assert prequal("policy", "challenge", "--json")["share_basis_points"] == 1250
    assert listed(prequal)["v2"] == "approved"
    assert "approved, challenger of 12.5 % " in done(prequal, "list").stdout
    assert "State: approved, challenger of 12.5 %\n" in done(prequal, "show", "v2").stdout
    assert refusal(prequal, "challenge", "v1", "--end") == "v1 does not challenge the one in force: v2 does."
    ended = done(prequal, "challenge", "v2", "--end").stdout
    assert refusal(prequal, "challenge", "--end") == "No version challenges the one in force."
    assert "No version challenges" in ended
    assert "v2 decided 12.5 % of the applications" in ended
    assert "State: approved\n" in done(prequal, "show", "v2").stdout
    assert ", ended by " in ended
    assert "nothing" in refusal(prequal, "challenge", "v2")
    assert "nothing" in refusal(prequal, "challenge", "v2", "--share", "10", "--end")
    assert "nothing" in refusal(prequal, "challenge", "--share", "10")
    for share in ("50.01", "0", "1.234", "ten"):
        assert "--share must be" in refusal(prequal, "challenge", "v2", "--share", share)


def test_shadow_is_begun_shown_and_ended(prequal: Prequal, draft: Path) -> None:
    done(prequal, "propose", str(draft))

    assert "The shadow is v2." in done(prequal, "shadow", "v2").stdout
    assert "State: checked, shadow\n" in done(prequal, "show", "v2").stdout
    assert prequal("policy", "shadow", "--json")["differences"] == []
    assert refusal(prequal, "shadow", "v1", "--end") == "v1 is not the shadow: v2 is."
    assert "There is no shadow." in done(prequal, "shadow", "v2", "--end").stdout
    assert "State: checked\n" in done(prequal, "show", "v2").stdout
    assert refusal(prequal, "shadow", "--end") == "There is no shadow."


def test_edit_of_the_shadow_and_putting_it_into_force_say_that_it_is_the_shadow_no_more(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    first = done(prequal, "propose", str(draft)).stdout
    done(prequal, "shadow", "v2")
    draft.write_text(policy_text(minimum=710), "utf-8")

    edited = done(prequal, "propose", str(draft)).stdout
    of_none = done(prequal, "shadow").stdout
    in_transaction(database.url, partial(approved, text=policy_text("v3")))
    done(prequal, "shadow", "v3")
    in_force = done(prequal, "activate", "v3").stdout

    assert "no more" not in first
    assert "It is the shadow no more: `prequal policy shadow v2` begins that again with this text." in edited
    assert of_none == "There is no shadow.\n"
    assert in_force.endswith(" on. It is the shadow no more.\n")
    assert done(prequal, "shadow").stdout == "There is no shadow.\n"


# ── in the place of what a colleague set ────────────────────────────────────────────────────────────────────────


def test_shadow_of_another_person_is_replaced_only_when_it_is_named(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    for version in ("v3", "v4"):
        in_transaction(database.url, partial(life.propose, actor=RAVI, text=policy_text(version)))
    in_transaction(database.url, partial(shadows.begin, actor=RAVI, version="v3"))
    done(prequal, "propose", str(draft))

    sentence = refusal(prequal, "shadow", "v2")
    of_other = refusal(prequal, "shadow", "v2", "--replace", "v4")

    assert re.fullmatch(r"v3 is the shadow, set by ravi at [-0-9]+ [:0-9]+Z: to take its place, add `--replace v3`"
                        r" \(over the JSON API, `replaces`\)\.", sentence)  # fmt: skip
    assert of_other == "v4 is not the shadow: v3 is."
    assert prequal("policy", "shadow", "--json")["version"] == "v3"
    assert "The shadow is v2." in done(prequal, "shadow", "v2", "--replace", "v3").stdout
    assert "The shadow is v4." in done(prequal, "shadow", "v4").stdout  # in the place of one's own


def test_shadow_that_is_there_no_longer_is_not_replaced(prequal: Prequal, draft: Path) -> None:
    done(prequal, "propose", str(draft))

    assert refusal(prequal, "shadow", "v2", "--replace", "v3") == "v3 is not the shadow: there is none."
    for words in (["--replace", "v3"], ["v2", "--end", "--replace", "v3"]):
        assert "--replace" in refusal(prequal, "shadow", *words)


def test_challenger_of_another_person_is_replaced_only_when_it_is_named(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    for version in ("v2", "v3"):
        in_transaction(database.url, partial(approved, text=policy_text(version)))
    in_transaction(database.url, partial(challenges.begin, actor=RAVI, version="v3", share=1000))

    sentence = refusal(prequal, "challenge", "v2", "--share", "5")
    of_other = refusal(prequal, "challenge", "v2", "--share", "5", "--replace", "v4")
    share = refusal(prequal, "challenge", "v3", "--share", "20")

    assert re.fullmatch(
        r"v3 decides 10 % of the applications, begun by ravi at [-0-9]+ [:0-9]+Z: to take its place, add `--replace v3`"
        r" \(over the JSON API, `replaces`\)\.", sentence)  # fmt: skip
    assert share == sentence
    assert of_other == "Another challenger or share was shown: now v3 decides 10 % of the applications."
    assert "v2 decides 5 % of" in done(prequal, "challenge", "v2", "--share", "5", "--replace", "v3").stdout
    assert "v2 decides 6 % of" in done(prequal, "challenge", "v2", "--share", "6").stdout  # one's own
    for words in (["--replace", "v3"], ["v2", "--end", "--replace", "v3"]):
        assert "--replace" in refusal(prequal, "challenge", *words)


def test_backtest_of_another_person_is_replaced_only_when_it_is_named(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    in_transaction(database.url, partial(approved, text=draft.read_text()))

    sentence = refusal(prequal, "backtest", "v2", "--record")
    of_other = refusal(prequal, "backtest", "v2", "--record", "--replace", "0" * 64)
    kept = prequal("policy", "show", "v2", "--json")["backtest"]
    recorded = done(prequal, "backtest", "v2", "--record", "--replace", REPORT.hex()).stdout
    again = done(prequal, "backtest", "v2", "--record").stdout  # in the place of one's own

    assert re.fullmatch(
        r"v2 has a backtest, recorded by asha at [-0-9]+ [:0-9]+Z: to take its place, add `--replace [0-9a-f]{64}`"
        r" \(over the JSON API, `replaces`\)\.", sentence)  # fmt: skip
    assert of_other == f"v2 has another backtest than the one that was shown: {REPORT.hex()}."
    assert kept == REPORT.hex()
    assert "Recorded with v2: " in recorded
    assert "Recorded with v2: " in again
    assert "64 hexadecimal digits" in refusal(prequal, "backtest", "v2", "--record", "--replace", "v2")
    assert "--record" in refusal(prequal, "backtest", "v2", "--replace", REPORT.hex())


def test_backtest_that_a_colleague_recorded_while_ones_own_ran_is_kept(
    prequal: Prequal, draft: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(prequal, "propose", str(draft))
    run = backtest.backtest

    def beside_a_colleagues(*given: Any) -> Any:
        act = partial(life.record_backtest, actor=ASHA, policy=given[1], report_hash=REPORT, report=COUNTS)
        in_transaction(database.url, act)
        return run(*given)

    monkeypatch.setattr(backtest, "backtest", beside_a_colleagues)

    assert "v2 has a backtest, recorded by asha at " in refusal(prequal, "backtest", "v2", "--record")
    assert prequal("policy", "show", "v2", "--json")["backtest"] == REPORT.hex()


def test_backtest_whose_author_the_record_has_no_longer_is_replaced_only_when_it_is_named(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    done(prequal, "propose", str(draft))
    of_version = "UPDATE policy_versions SET backtest_hash = %s, backtest_report = '{}', backtested_at = now() "
    database.execute(of_version + "WHERE version = 'v2'", REPORT)

    assert "v2 has a backtest, recorded by somebody at " in refusal(prequal, "backtest", "v2", "--record")
    assert "Recorded with v2: " in done(prequal, "backtest", "v2", "--record", "--replace", REPORT.hex()).stdout
