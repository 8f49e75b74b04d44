"""`prequal policy backtest`: what another policy would have decided, of rows that are stored."""

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from typer.testing import CliRunner

from harness.database import Database
from harness.policies import policy_text
from prequal.cli.app import app
from prequal.core.errors import UsageError
from prequal.domain.application import LoanType, time_of
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy
from prequal.ops.backtest import backtest, band_of
from prequal.ops.selection import read_moment
from tests.ops.conftest import Prequal
from tests.support.submissions import stored

CURRENT = packaged.current()


@pytest.fixture(scope="module")
def stricter() -> Policy:
    """Policy v1 with a minimum of 700."""
    return load(policy_text())


def decided(database: Database, score: int | None, amount: str = "1500000.00", **changes: Any) -> UUID:
    """An application as decision-service leaves it: 85,000 a month, a score, an amount."""
    (submission,) = stored(database, loan_amount_inr=amount, **changes)
    row = database.application(submission.id)
    decision = CURRENT.decide(
        Facts.of(score, row["monthly_income_inr"], row["loan_amount_inr"], LoanType(row["loan_type"]))
    )
    database.execute(
        """
        UPDATE applications SET status = %s, cibil_score = %s, decision_rule = %s, decision_measures = %s,
               policy_version = 'v1', policy_hash = %s, version = 2 WHERE id = %s
        """,
        decision.status, score, decision.code, decision.measures_json, CURRENT.digest, submission.id,
    )  # fmt: skip
    return submission.id


def test_backtest_whose_progress_fails_does_not_blame_postgresql(database: Database) -> None:
    decided(database, 700)

    def lost(_: int, __: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        backtest(database.url, CURRENT, progress=lost)


def test_current_policy_changes_nothing_of_what_it_decided(database: Database) -> None:
    for score in (640, 650, 900, None):
        decided(database, score)
    decided(database, 700, "99999999.00")

    report = backtest(database.url, CURRENT)

    assert (report["applications"], report["flips"]) == (5, [])
    assert report["replayed"] == {"of_unknown_versions": 0, "otherwise_than_stored": []}


def test_raised_minimum_flips_those_between_and_no_others(database: Database, stricter: Policy) -> None:
    approved, reviewed = decided(database, 699), decided(database, 650, "99999999.00")
    for score in (649, 700, None):
        decided(database, score)

    report = backtest(database.url, stricter)

    flips = {each["application_id"]: (each["before"]["status"], each["after"]["reason"]) for each in report["flips"]}
    assert flips == {
        str(approved): ("PRE_APPROVED", "SCORE_BELOW_MINIMUM"),
        str(reviewed): ("MANUAL_REVIEW", "SCORE_BELOW_MINIMUM"),
    }
    assert report["candidate"] == {"version": "v2", "hash": stricter.hash}


def test_report_counts_and_adds_up_by_status_loan_type_score_and_reason(database: Database, stricter: Policy) -> None:
    decided(database, 699, "100.10", loan_type="HOME")
    decided(database, 690, "200.20", loan_type="AUTO")
    decided(database, 800, "400.40", loan_type="AUTO")

    report = backtest(database.url, stricter)

    lost = {"before": "PRE_APPROVED", "after": "REJECTED"}
    assert lost | {"applications": 2, "loan_amount_inr": "300.30"} in report["outcomes"]
    assert {"loan_type": "AUTO", **lost, "applications": 1, "loan_amount_inr": "200.20"} in report["by_loan_type"]
    assert {"scores": "650–699", **lost, "applications": 2, "loan_amount_inr": "300.30"} in report["by_score_band"]
    assert sum(each["applications"] for each in report["by_reason"]) == 3


def test_pending_applications_are_counted_and_not_decided(database: Database, stricter: Policy) -> None:
    stored(database, 2)

    report = backtest(database.url, stricter)

    assert (report["applications"], report["pending"], report["flips"]) == (0, 2, [])


def test_stored_decision_that_its_version_would_not_take_is_named(database: Database) -> None:
    id_ = decided(database, 640)
    database.execute("UPDATE applications SET status = 'PRE_APPROVED' WHERE id = %s", id_)

    (found,) = backtest(database.url, CURRENT)["replayed"]["otherwise_than_stored"]

    assert (found["application_id"], found["before"]["status"], found["after"]["status"]) == (
        str(id_),
        "PRE_APPROVED",
        "REJECTED",
    )


def test_decisions_of_a_version_that_is_not_known_are_counted(database: Database) -> None:
    database.execute("UPDATE applications SET policy_version = 'v0' WHERE id = %s", decided(database, 640))

    assert backtest(database.url, CURRENT)["replayed"]["of_unknown_versions"] == 1


def test_period_takes_what_was_accepted_in_it_alone(database: Database, stricter: Policy) -> None:
    old, new = decided(database, 699), decided(database, 699)
    database.execute("UPDATE applications SET created_at = '2026-01-31T23:59:59.999999Z' WHERE id = %s", old)
    february = read_moment("--from", "2026-02-01T00:00:00Z")

    found = backtest(database.url, stricter, since=february)
    before = backtest(database.url, stricter, until=february)

    assert [each["application_id"] for each in found["flips"]] == [str(new)]
    assert [each["application_id"] for each in before["flips"]] == [str(old)]
    assert (before["from"], before["to"]) == (None, "2026-02-01T00:00:00+00:00")


def test_report_names_the_newest_application_that_was_read(
    database: Database, stricter: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.ops.backtest.ROWS_AT_ONCE", 2)
    none = backtest(database.url, stricter)
    for _ in range(2):
        decided(database, 699)
    (pending,) = stored(database)
    first, again = backtest(database.url, stricter), backtest(database.url, stricter)
    newest = decided(database, 699)
    second = backtest(database.url, stricter)

    assert none["newest_application"] is None
    assert first == again
    assert (first["to"], first["newest_application"]) == (None, str(pending.id))
    assert (second["to"], second["newest_application"]) == (None, str(newest))


def test_period_that_ends_before_it_begins_is_bad_usage(database: Database) -> None:
    with pytest.raises(UsageError, match="does not begin before it ends"):
        backtest(database.url, CURRENT, read_moment("--from", "1h"), read_moment("--to", "2h"))


def test_many_rows_are_read_in_batches_and_reported_in_the_order_of_ids(
    database: Database, stricter: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.ops.backtest.ROWS_AT_ONCE", 3)
    ids = [str(decided(database, 699)) for _ in range(7)]
    seen: list[int] = []

    report = backtest(database.url, stricter, progress=lambda read, _: seen.append(read))

    assert [each["application_id"] for each in report["flips"]] == sorted(ids)
    assert seen == [3, 6, 7]


@pytest.mark.parametrize(
    ("score", "band"),
    [(None, "none"), (300, "300–549"), (549, "300–549"), (650, "650–699"), (699, "650–699"), (900, "800–900")],
)
def test_each_score_is_in_one_band(score: int | None, band: str) -> None:
    assert band_of(score) == band


def test_same_applications_and_policy_give_the_same_bytes_at_the_lowest_priority_and_change_no_row(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "v2.toml"
    file.write_text(policy_text(), "utf-8")
    words = ["policy", "backtest", str(file), "--json"]
    for score in (640, 699, 800, None):
        decided(database, score)
    before = database.everything()

    with mock.patch("os.setpriority") as set_priority:
        outputs = [CliRunner().invoke(app, words, env={"DATABASE_URL": database.url}).stdout for _ in range(2)]

    assert outputs[0] == outputs[1]
    assert set_priority.call_args_list == 2 * [mock.call(os.PRIO_PROCESS, 0, 19)], "everything else goes before it"
    assert len(json.loads(outputs[0])["flips"]) == 1
    assert database.everything() == before


def test_page_says_what_would_change_and_what_was_replayed(
    database: Database, prequal_on_database: Prequal, tmp_path: Path
) -> None:
    file = tmp_path / "v2.toml"
    file.write_text(policy_text(), "utf-8")
    decided(database, 699, "1234567.50")

    newest = decided(database, 800)

    page = prequal_on_database("policy", "backtest", str(file)).stdout

    assert f"The newest that was read is {newest}, of {time_of(newest):%Y-%m-%d %H:%M:%S}Z." in page
    assert "1 would have another status, of loans of ₹12,34,567.50; 0 are pending." in page
    assert "Decided again by their own versions, all are as they were stored." in page
    assert "₹12,34,567.50  PRE_APPROVED → REJECTED" in page


def test_page_names_what_is_not_as_it_was_stored(database: Database, prequal_on_database: Prequal) -> None:
    wrong, unknown = decided(database, 640), decided(database, 640)
    database.execute("UPDATE applications SET status = 'MANUAL_REVIEW' WHERE id = %s", wrong)
    database.execute("UPDATE applications SET policy_version = 'v0' WHERE id = %s", unknown)

    page = prequal_on_database("policy", "backtest", "v1").stdout

    assert "1 are NOT as they were stored:" in page
    assert f"{wrong}  MANUAL_REVIEW → REJECTED" in page
    assert "1 are of versions that this code does not have." in page
