"""`prequal policy propose`, `backtest --record`, `approve`, `activate` and `rollback`, as people type them."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.database import Database
from harness.policies import RAVI, approved, policy_text
from prequal.cli.app import app
from prequal.core.errors import Refused, UsageError
from prequal.domain.policy.loading import load
from prequal.ops.policies import in_transaction
from prequal.policy_versions import life
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


def test_version_goes_into_force_and_is_rolled_back(prequal: Prequal, draft: Path, database: Database) -> None:
    done(prequal, "propose", str(draft))
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


def test_hash_that_is_recorded_is_of_the_bytes_that_json_prints(
    prequal: Prequal, draft: Path, database: Database
) -> None:
    done(prequal, "propose", str(draft))
    words = ["policy", "backtest", "v2", "--record", "--json"]
    printed = CliRunner().invoke(app, words, env={"DATABASE_URL": of_operator(database.url)}).stdout_bytes

    assert prequal("policy", "show", "v2", "--json")["backtest"] == sha256(printed).hexdigest()


def test_user_of_the_machine_does_not_approve_what_he_proposed(prequal: Prequal, draft: Path) -> None:
    done(prequal, "propose", str(draft))
    done(prequal, "backtest", "v2", "--record")
    shown = prequal("policy", "show", "v2", "--json")

    sentence = refusal(prequal, "approve", "v2", "--hash", shown["hash"], "--backtest", shown["backtest"])

    assert sentence == f"{operator().name} is an author of v2: another person must approve it."


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
