"""What an entry of the record is in bytes: the same for ever, and whatever is stored of it."""

from datetime import UTC, datetime, timedelta, timezone

from prequal.record.blocks import Entry, Fields, Value

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
READ: dict[str, Value] = {
    "application_id": "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44",
    "service": "credit-service",
    "action": "READ",
    "request_id": None,
    "client": None,
}


def test_digests_are_those_of_the_first_release() -> None:
    in_india = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    act: Fields = {
        "actor_kind": "person",
        "actor": "asha",
        "action": "policy_approved",
        "subject_kind": "policy",
        "subject": "v2",
        "details": {"reason": "naïve \u0001", "n": 5, "ok": True},
    }
    approved = Entry(7, in_india, act)

    assert Entry(7, AT, READ).digest("audit_log").hex() == "4a0815fcb00486dd32e6fcc7f8ae071b"
    assert approved.digest("acts").hex() == "dfbb2a7d95dab1bde04482b6fa36b19d"
    assert approved.digest("acts", as_id=8).hex() == "310b3ebc2a8fd468344f102d74a9bdfe"


def test_field_named_as_one_of_the_entry_itself_does_not_replace_it() -> None:
    true = Entry(7, AT, READ).digest("audit_log")
    said = {"table": "audit_log", "id": "7", "occurred_at": AT.isoformat(timespec="microseconds")}

    assert Entry(8, AT, READ | {"id": said["id"]}).digest("audit_log") != true
    assert Entry(7, AT + timedelta(days=1), READ | {"occurred_at": said["occurred_at"]}).digest("audit_log") != true
    assert Entry(7, AT, READ | {"table": said["table"]}).digest("acts") != true
