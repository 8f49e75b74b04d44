"""What the database itself refuses, whatever the caller."""

import uuid
from collections.abc import Iterator
from typing import Any, LiteralString, TypeAlias

import psycopg
import pytest

from harness.database import Cluster, Database, Row
from prequal.domain.policy import packaged

VALID: dict[str, Any] = {
    "id": "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44",
    "pan_number_encrypted": bytes(47),
    "pan_number_hash": "5e" * 32,
    "pan_number_masked": "XXXXX1234F",
    "applicant_name": "Asha Rao",
    "monthly_income_inr": "85000.00",
    "loan_amount_inr": "1500000.00",
    "loan_type": "HOME",
}
DECISION: dict[str, Any] = {
    "status": "PRE_APPROVED",
    "cibil_score": 700,
    "decision_rule": "INCOME_COVERS_LOAN",
    "decision_measures": "{}",
    "policy_version": "v1",
    "policy_hash": b"h" * 32,
}


Transaction: TypeAlias = "psycopg.Connection[Row]"


@pytest.fixture(scope="module")
def migrated(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        yield database


@pytest.fixture
def transaction(migrated: Database) -> Iterator[Transaction]:
    """A transaction of the test's own, rolled back behind it."""
    with migrated.connect() as connection:
        yield connection
        connection.rollback()


def insert(transaction: Transaction, table: str, row: dict[str, Any]) -> int:
    """Insert a row; how many were."""
    places = ", ".join(["%s"] * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"
    return transaction.execute(statement.encode(), list(row.values())).rowcount


def without(field: str, row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != field}


def test_valid_application_is_taken(transaction: Transaction) -> None:
    assert insert(transaction, "applications", VALID) == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({field: value}, error, id=f"{field} {value}")
        for field in ("monthly_income_inr", "loan_amount_inr")
        for value, error in [
            ("0", psycopg.errors.CheckViolation),
            ("0.004", psycopg.errors.CheckViolation),
            ("-0.01", psycopg.errors.CheckViolation),
            ("NaN", psycopg.errors.CheckViolation),
            ("10000000000.00", psycopg.errors.NumericValueOutOfRange),
            ("Infinity", psycopg.errors.NumericValueOutOfRange),
            (None, psycopg.errors.NotNullViolation),
        ]
    ]
    + [
        pytest.param({"loan_type": "GOLD"}, psycopg.errors.CheckViolation, id="loan type"),
        pytest.param({"loan_type": None}, psycopg.errors.NotNullViolation, id="no loan type"),
        pytest.param({"status": "LOST"}, psycopg.errors.CheckViolation, id="status"),
        pytest.param({"applicant_name": ""}, psycopg.errors.CheckViolation, id="empty name"),
        pytest.param({"applicant_name": "n" * 256}, psycopg.errors.CheckViolation, id="long name"),
        pytest.param({"pan_number_encrypted": b"ABCDE1234F"}, psycopg.errors.CheckViolation, id="PAN not encrypted"),
        pytest.param({"pan_number_hash": "5E" * 32}, psycopg.errors.CheckViolation, id="hash in capitals"),
        pytest.param({"pan_number_hash": "5e" * 31}, psycopg.errors.CheckViolation, id="short hash"),
        pytest.param({"pan_number_hash": "5e" * 32 + "\n"}, psycopg.errors.CheckViolation, id="hash and a line's end"),
        pytest.param({"pan_number_masked": "ABCDE1234F"}, psycopg.errors.CheckViolation, id="PAN not masked"),
        pytest.param({"version": 0}, psycopg.errors.CheckViolation, id="version"),
        pytest.param({"updated_at": "2000-01-01"}, psycopg.errors.CheckViolation, id="changed before it was made"),
    ],
)  # fmt: skip
def test_application_that_breaks_a_promise_is_refused(
    transaction: Transaction, changes: dict[str, Any], error: type[psycopg.Error]
) -> None:
    with pytest.raises(error):
        insert(transaction, "applications", VALID | changes)


@pytest.mark.parametrize("score", [300, 900])
def test_score_at_the_border_is_taken(transaction: Transaction, score: int) -> None:
    assert insert(transaction, "applications", VALID | DECISION | {"cibil_score": score}) == 1


@pytest.mark.parametrize("score", [299, 901, 0, -1])
def test_score_out_of_range_is_refused(transaction: Transaction, score: int) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        insert(transaction, "applications", VALID | DECISION | {"cibil_score": score})


@pytest.mark.parametrize("status", ["PRE_APPROVED", "REJECTED"])
def test_only_an_application_for_people_to_decide_may_lack_a_score(transaction: Transaction, status: str) -> None:
    decided = without("cibil_score", VALID | DECISION)
    assert insert(transaction, "applications", decided | {"status": "MANUAL_REVIEW"}) == 1

    with pytest.raises(psycopg.errors.CheckViolation, match="decided_whole"):
        insert(transaction, "applications", decided | {"id": uuid.uuid4(), "status": status})


def test_application_that_people_decided_may_lack_a_score(transaction: Transaction) -> None:
    decided = without("cibil_score", VALID | DECISION)

    assert insert(transaction, "applications", decided | {"status": "REJECTED", "version": 3}) == 1


CASE = {"application_id": uuid.uuid4(), "target_at": "2030-01-01", "loan_amount_inr": "1.00", "people_needed": 1}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"people_needed": 0}, id="decided by nobody"),
        pytest.param({"claimed_by": "asha"}, id="claimed without an end"),
        pytest.param({"outcome": "REJECTED"}, id="half decided"),
        pytest.param({"state": "DECIDED"}, id="decided without an outcome"),
        pytest.param({"outcome": "MANUAL_REVIEW", "reason": "R", "decided_at": "2030-01-01"}, id="no outcome"),
    ],
)
def test_case_that_breaks_a_promise_is_refused(transaction: Transaction, changes: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        insert(transaction, "review_cases", CASE | changes)


@pytest.mark.parametrize("table", ["review_notes", "review_votes"])
@pytest.mark.parametrize("change", ["UPDATE {} SET application_id = application_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_notes_and_votes_are_append_only(transaction: Transaction, table: str, change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        transaction.execute(change.format(table).encode())


def test_decision_of_older_code_needs_no_policy_hash(transaction: Transaction) -> None:
    assert insert(transaction, "applications", without("policy_hash", VALID | DECISION)) == 1


@pytest.mark.parametrize("length", [0, 31, 33])
def test_policy_hash_of_another_length_is_refused(transaction: Transaction, length: int) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="policy_hash"):
        insert(transaction, "applications", VALID | DECISION | {"policy_hash": b"h" * length})


@pytest.mark.parametrize("missing", ["cibil_score", "decision_rule", "decision_measures", "policy_version"])
def test_decision_is_there_whole_or_not_at_all(transaction: Transaction, missing: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="decided_whole"):
        insert(transaction, "applications", without(missing, VALID | DECISION))


@pytest.mark.parametrize(
    "present", ["cibil_score", "decision_rule", "decision_measures", "policy_version", "policy_hash"]
)
def test_pending_application_has_nothing_of_a_decision(transaction: Transaction, present: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="decided_whole"):
        insert(transaction, "applications", VALID | {present: DECISION[present]})


def test_one_id_is_one_application(transaction: Transaction) -> None:
    insert(transaction, "applications", VALID)

    with pytest.raises(psycopg.errors.UniqueViolation):
        insert(transaction, "applications", VALID)


# ── the audit log ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def recorded(transaction: Transaction) -> Transaction:
    insert(transaction, "applications", VALID)
    insert(transaction, "audit_log", {"application_id": VALID["id"], "service": "test", "action": "READ"})
    return transaction


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET service = 'nobody'",
        "UPDATE audit_log SET service = 'nobody' WHERE false",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "TRUNCATE audit_log, applications CASCADE",
        "MERGE INTO audit_log USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
        "INSERT INTO audit_log (id, application_id, service, action) OVERRIDING SYSTEM VALUE "
        "SELECT id, application_id, 'nobody', 'READ' FROM audit_log "
        "ON CONFLICT (id) DO UPDATE SET service = 'nobody'",
    ],
)
def test_record_can_be_neither_changed_nor_removed(recorded: Transaction, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"), recorded.transaction():
        recorded.execute(statement.encode())

    records = recorded.execute("SELECT service, action FROM audit_log").fetchall()
    assert records == [{"service": "test", "action": "READ"}]


def test_session_that_replays_as_a_replica_changes_no_record_either(recorded: Transaction) -> None:
    recorded.execute("SET LOCAL session_replication_role = replica")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        recorded.execute("DELETE FROM audit_log")


@pytest.mark.parametrize(
    "row",
    [
        {"service": "", "action": "READ"},
        {"service": "x", "action": "PEEK"},
        {"service": None, "action": "READ"},
        {"service": "x", "action": None},
    ],
    ids=str,
)
def test_record_names_a_service_and_an_action(transaction: Transaction, row: dict[str, Any]) -> None:
    with pytest.raises(psycopg.IntegrityError):
        insert(transaction, "audit_log", {"application_id": VALID["id"]} | row)


# ── the others ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("pan_claims", {"pan_number_hash": "ABCDE1234F", "application_id": VALID["id"], "expires_at": "2027-01-01"}),
        (
            "idempotency_keys",
            {
                "key_hmac": b"my-key",
                "request_hmac": bytes(32),
                "application_id": VALID["id"],
                "request_id": "r",
                "expires_at": "2027-01-01",
            },
        ),
        ("key_checks", {"purpose": "PAN", "key_id": b"k", "check_value": b"v"}),
        ("publisher_leases", {"name": "x", "owner": VALID["id"], "epoch": 0, "expires_at": "2027-01-01"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_row_that_breaks_a_promise_is_refused(transaction: Transaction, table: str, row: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        insert(transaction, table, row)


@pytest.mark.parametrize("table", ["processed_messages", "pan_claims", "idempotency_keys", "key_checks"])
def test_what_must_be_there_once_has_a_primary_key(transaction: Transaction, table: str) -> None:
    keys = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'"

    assert len(transaction.execute(keys, [table]).fetchall()) == 1


ACT: dict[str, Any] = {
    "actor_kind": "person",
    "actor": "asha",
    "action": "policy_approved",
    "subject_kind": "policy",
    "subject": "v2",
    "details": "{}",
}


def test_act_has_the_time_of_the_database_whatever_is_said(transaction: Transaction) -> None:
    insert(transaction, "acts", ACT | {"occurred_at": "2001-01-01T00:00:00Z"})

    late = transaction.execute("SELECT clock_timestamp() - occurred_at < interval '1 minute' AS is_now FROM acts")
    assert late.fetchone() == {"is_now": True}


ACTIVATION: dict[str, Any] = {
    "version": "v1",
    "hash": packaged.current().digest,
    "effective_from": "2001-01-01T00:00:00Z",
    "activated_by_kind": "person",
    "activated_by": "asha",
}


def test_activation_takes_no_effect_before_it_was_written(transaction: Transaction) -> None:
    insert(transaction, "policy_activations", ACTIVATION)

    found = transaction.execute(
        "SELECT min(effective_from) > now() - interval '1 hour' AS late FROM policy_activations"
    )
    assert found.fetchall() == [{"late": True}]


@pytest.mark.parametrize(
    "change",
    [
        *("UPDATE policy_activations SET version = 'v1'", "DELETE FROM policy_activations"),
        *("TRUNCATE policy_activations CASCADE", "TRUNCATE policy_challenges"),
        *("UPDATE policy_challenges SET version = 'v1'", "DELETE FROM policy_challenges"),
    ],
)
def test_activations_and_challenges_are_append_only(transaction: Transaction, change: LiteralString) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        transaction.execute(change)


def test_document_of_an_activated_version_keeps_its_hash(transaction: Transaction) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        transaction.execute("UPDATE policy_versions SET hash = sha256('another')")


def test_approval_of_an_author_does_not_stand(transaction: Transaction) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="second_person"):
        transaction.execute("UPDATE policy_versions SET approved_by = authors[1]")


@pytest.mark.parametrize("change", ["UPDATE acts SET actor = 'ravi'", "DELETE FROM acts", "TRUNCATE acts"])
def test_acts_are_append_only(transaction: Transaction, change: LiteralString) -> None:
    insert(transaction, "acts", ACT)

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        transaction.execute(change)
