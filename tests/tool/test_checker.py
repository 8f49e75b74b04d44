"""The checker, invariant by invariant: silent where all is well, and each thing that can go wrong is seen."""

import ast
import dataclasses
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from faults import checker
from faults.checker import verdict
from faults.checker.evidence import AuditRow, Evidence, OutboxRow, Record, StatedPolicy, Violation
from faults.checker.leaks import Finding
from harness import oracle
from harness.journal import (
    Answered,
    Connections,
    Entry,
    Fault,
    Looked,
    Lost,
    Measured,
    Planted,
    Reviewed,
    Reviewing,
    Sending,
    Transaction,
)
from harness.topics import REPORTED, SUBMITTED
from tests.tool.checking import (
    DRAW_KEY,
    ID,
    OTHER_ID,
    OTHER_PAN,
    PAN,
    T,
    a_body,
    a_clean_run,
    a_probe,
    a_record,
    a_row,
    accepted,
    archived,
    changed,
    moment,
    of_rows,
    on_record,
    with_entries,
)

DRAW = oracle.challenge_draw(DRAW_KEY, PAN)
"""Of the first application's PAN."""


def seen(evidence: Evidence) -> list[tuple[str, str]]:
    """Invariant and words of each violation."""
    return [(violation.invariant, violation.words) for violation in verdict.check(evidence)]


def test_clean_run_has_no_violation() -> None:
    assert verdict.check(a_clean_run()) == []


def test_figures_tell_what_was_seen() -> None:
    assert verdict.figures(a_clean_run()) == {
        "sent": 5,
        "accepted": 2,
        "refused": 1,
        "in doubt": 2,
        "applications": 2,
        "records": 5,
        "raw duplicates": 1,
        "dead letters": 0,
        "decrypts": 2,
    }


def test_violation_names_five_and_counts_the_rest() -> None:
    assert str(Violation("I1", "is missing", tuple("abcdefg"))) == "I1 is missing: a, b, c, d, e and 2 more"


def without_row(evidence: Evidence, id_: str) -> Evidence:
    """The application's row is gone, and nothing else."""
    return changed(evidence, applications={key: row for key, row in evidence.applications.items() if key != id_})


def with_row(**changes: object) -> Evidence:
    """The first application's row is otherwise; whatever else there is, is as it was."""
    clean = a_clean_run()
    row = dataclasses.replace(clean.applications[ID], **changes)  # type: ignore[arg-type]
    return changed(clean, applications={**clean.applications, ID: row})


def with_records(*records: Record) -> Evidence:
    clean = a_clean_run()
    return changed(clean, records=(*clean.records, *records))


def test_accepted_application_that_is_missing_is_seen() -> None:
    assert ("I1", "answered 202 and not in the database") in seen(without_row(a_clean_run(), ID))


@pytest.mark.parametrize(
    "changes",
    [
        {"monthly_income_inr": Decimal("85000.01")},
        {"loan_amount_inr": Decimal("1500000.01")},
        {"loan_type": "AUTO"},
        {"pan_number_hash": "77" * 32},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_application_that_is_not_what_was_sent_is_seen(changes: dict[str, object]) -> None:
    assert ("I1", "in the database with other content than was sent") in seen(with_row(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "PENDING", "cibil_score": None, "version": 1}, "has no final status"),
        ({"version": 3}, "moved other than once, and once more by a person"),
        ({"status": "REJECTED"}, "is decided against the policy"),
        ({"cibil_score": 712}, "has another score than the oracle's"),
        ({"cibil_score": None}, "is decided against the policy"),
        ({"policy_version": "v9"}, "names a policy that was not to decide it"),
        ({"policy_hash": "00" * 32}, "names a policy that was not to decide it"),
    ],
)
def test_outcome_other_than_the_oracles_is_seen(changes: dict[str, object], words: str) -> None:
    assert ("I2", words) in seen(with_row(**changes))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (StatedPolicy(900), "is decided against the policy"),
        (StatedPolicy(activated=False), "names a policy that was not to decide it"),
        (StatedPolicy(activated=False, share=DRAW), "names a policy that was not to decide it"),
        (StatedPolicy(activated=False, share=DRAW + 1), None),
    ],
    ids=["another minimum", "never let decide", "a challenger that the PAN is not drawn for", "its challenger"],
)
def test_decision_is_held_against_the_version_that_it_names(policy: StatedPolicy, words: str | None) -> None:
    clean = with_row(policy_version="v2")
    evidence = changed(clean, policies={**clean.policies, ("v2", ""): policy})

    assert [said for invariant, said in seen(evidence) if invariant == "I2"] == [*filter(None, [words])]


@pytest.mark.parametrize("topic", [SUBMITTED, REPORTED])
def test_application_without_an_event_is_seen(topic: str) -> None:
    clean = a_clean_run()
    silent = changed(clean, records=tuple(one for one in clean.records if (one.topic, one.key) != (topic, ID.encode())))

    assert seen(silent) == [("I3", f"has no event in {topic}")]


def test_event_of_before_the_loss_of_its_topic_is_not_missed() -> None:
    clean = with_entries(a_clean_run(), Fault("begin", "broker lost", T + 30, lost=(SUBMITTED, REPORTED)))

    assert verdict.check(changed(clean, records=())) == []


def test_event_that_was_published_after_the_loss_of_its_topic_is_missed() -> None:
    clean = with_entries(a_clean_run(), Fault("begin", "broker lost", T + 1, lost=(SUBMITTED, REPORTED)))

    assert seen(changed(clean, records=()))[0] == ("I3", f"has no event in {SUBMITTED}")


def test_application_of_before_this_run_needs_no_event() -> None:
    old = a_row(at=-10)

    assert verdict.check(of_rows(old, records=())) == []


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (a_record(a_row(), REPORTED, 9, event_id=str(uuid4())), "has several events of one type"),
        (a_record(a_row(), REPORTED, 9, cibil_score=651), "is published with different content under one event id"),
        (a_record(a_row(), REPORTED, 9, loan_type="AUTO"), "is published otherwise than it is stored"),
        (a_record(a_row(), SUBMITTED, 9, monthly_income_inr="1.00"), "is published otherwise than it is stored"),
        (a_record(a_row(), SUBMITTED, 9, monthly_income_inr="much"), "is published otherwise than it is stored"),
        (
            dataclasses.replace(a_record(a_row(), SUBMITTED, 9), key=OTHER_ID.encode()),
            "is published otherwise than it is stored",
        ),
        (
            dataclasses.replace(a_record(a_row(), SUBMITTED, 9), headers=(("event_id", b"another"),)),
            "is published otherwise than it is stored",
        ),
        (Record(SUBMITTED, 0, 9, ID.encode(), b"not JSON"), "is no event"),
        (Record(SUBMITTED, 0, 9, ID.encode(), b"[]"), "is no event"),
        (Record(SUBMITTED, 0, 9, ID.encode(), None), "is no event"),
        (a_record(a_row(), SUBMITTED, 9, created_at="2026-11-23T09:30:01"), "is no event"),
    ],
)
def test_record_that_should_not_be_is_seen(record: Record, words: str) -> None:
    assert ("I3", words) in seen(with_records(record))


def test_event_id_of_two_facts_is_seen() -> None:
    shared = (a_record(a_row(), SUBMITTED).fields() or {})["event_id"]

    wrong = with_records(a_record(a_row(OTHER_ID, OTHER_PAN, at=2.0), SUBMITTED, 9, event_id=shared))

    assert ("I3", "has one event id for several facts") in seen(wrong)


def test_times_and_ciphertext_may_differ_between_two_publications() -> None:
    reencrypted = a_record(a_row(), SUBMITTED, 9, pan_number_encrypted="BBBB")
    later = a_record(a_row(), REPORTED, 9, generated_at=moment(1.7).isoformat())

    assert verdict.check(with_records(reencrypted, later)) == []


@pytest.mark.parametrize(
    ("topic", "changes"),
    [
        (SUBMITTED, {"created_at": moment(1.1).isoformat()}),
        (REPORTED, {"generated_at": moment(1.0).isoformat()}),
        (REPORTED, {"generated_at": moment(2.0).isoformat()}),
    ],
    ids=["submitted at another time", "reported before it was submitted", "decided before it was reported"],
)
def test_events_out_of_causal_order_are_seen(topic: str, changes: dict[str, str]) -> None:
    clean = a_clean_run()
    wrong = a_record(a_row(), topic, 0, **changes)
    records = tuple(wrong if (one.topic, one.key) == (topic, ID.encode()) else one for one in clean.records)

    assert ("I3", "has its events out of causal order") in seen(changed(clean, records=records))


@pytest.mark.parametrize(
    ("submitted_ms", "reported_ms", "lost", "overtaken"),
    [
        pytest.param(1000, 1000, (), False, id="in the same millisecond"),
        pytest.param(1001, 1000, (), True, id="before"),
        pytest.param(1001, 1000, (SUBMITTED,), False, id="republished because its topic was lost"),
        pytest.param(None, 1000, (), False, id="by the producer's clock"),
    ],
)
def test_report_that_its_broker_took_before_the_submission_is_seen(
    submitted_ms: int | None, reported_ms: int, lost: tuple[str, ...], overtaken: bool
) -> None:
    row = a_row()
    submitted = dataclasses.replace(a_record(row, SUBMITTED), appended_ms=submitted_ms)
    reported = dataclasses.replace(a_record(row, REPORTED), appended_ms=reported_ms)
    run = of_rows(row, records=(submitted, reported), entries=(*accepted(), Fault("begin", "f", T + 30, lost=lost)))

    assert (("I3", "was reported on its topic before it was submitted on its own") in seen(run)) == overtaken


def test_event_that_was_written_twice_is_seen() -> None:
    clean = a_clean_run()

    twice = changed(clean, outbox=(*clean.outbox, archived(a_row(), REPORTED)))

    assert seen(twice) == [("I3", "is archived more than once")]


def test_poison_that_a_test_planted_is_no_event_of_the_services() -> None:
    poison = Record(SUBMITTED, 0, 9, b"key", b"not JSON")
    replayed = dataclasses.replace(poison, offset=11)

    run = with_entries(with_records(poison, replayed), Planted(SUBMITTED, 0, 9))

    assert verdict.check(run) == []


PHANTOM = a_row(str(uuid4()), at=1.5)
STRAY = OutboxRow("outbox_archive", REPORTED, str(uuid4()), PHANTOM.id)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"records": (a_record(PHANTOM, REPORTED),)}, "is published and there is no such application"),
        ({"outbox": (STRAY,)}, "has outbox rows and no application"),
        ({"audit": (AuditRow(PHANTOM.id, "WRITE", moment(1)),)}, "is on record and there is no such application"),
        ({"holders": {PHANTOM.id: "pan_claims"}}, "is named by other tables and there is no such application"),
    ],
)
def test_phantom_is_seen(changes: dict[str, object], words: str) -> None:
    clean = a_clean_run()
    more = {
        name: {**getattr(clean, name), **value} if isinstance(value, dict) else (*getattr(clean, name), *value)
        for name, value in changes.items()
        if isinstance(value, dict | tuple)
    }

    assert ("I4", words) in seen(changed(clean, **more))


UNEXPLAINED = ("I4", "is in the database and no send explains it")


def sent(number: int, status: int | None, key: str | None = None, **body: str) -> tuple[Entry, ...]:
    """A POST that was not answered 202."""
    sending = Sending(number, T + 0.5, a_body(**body), key)
    return (sending, Lost(number, T + 1, "cut") if status is None else Answered(number, T + 1, status, "{}"))


@pytest.mark.parametrize("status", [409, 422, 413])
def test_row_of_a_refused_application_is_seen(status: int) -> None:
    assert UNEXPLAINED in seen(of_rows(a_row(), entries=sent(1, status)))


@pytest.mark.parametrize("status", [500, 503, None])
def test_row_of_an_application_in_doubt_is_explained(status: int | None) -> None:
    assert verdict.check(of_rows(a_row(), entries=sent(1, status))) == []


def test_application_in_doubt_that_left_no_row_is_fine() -> None:
    assert verdict.check(of_rows(entries=sent(1, 503))) == []


def test_two_rows_of_one_application_in_doubt_are_seen() -> None:
    rejected = a_row(at=1.0)
    again = a_row(OTHER_ID, at=3.0)

    assert UNEXPLAINED in seen(of_rows(rejected, again, entries=(*sent(1, None, "k"), *sent(2, 503, "k"))))


def test_row_of_other_content_than_the_one_in_doubt_is_seen() -> None:
    assert UNEXPLAINED in seen(of_rows(a_row(), entries=sent(1, 503, loan_amount_inr="2.00")))


def test_row_beside_the_accepted_one_of_a_key_is_seen() -> None:
    extra = a_row(OTHER_ID, at=0.95)

    assert UNEXPLAINED in seen(of_rows(a_row(), extra, entries=(*accepted(), *sent(2, None, "k"))))


def test_two_applications_under_one_key_are_seen() -> None:
    other = a_row(OTHER_ID, at=2.0)
    run = of_rows(a_row(), other, entries=(*accepted(1), *accepted(2, other, at=1.9)))

    assert ("I4", "was accepted, under one key, as several applications") in seen(run)


TAKEN = ("I5", "was accepted while its PAN was taken")


def two_of_one_pan(first_decided_at: float, first_status: str, second_at: float) -> Evidence:
    first = a_row(at=1.0, status=first_status, updated_at=moment(first_decided_at))
    second = a_row(OTHER_ID, at=second_at)
    return of_rows(first, second, entries=(*accepted(1, first, "a"), *accepted(2, second, "b", at=second_at - 0.1)))


@pytest.mark.parametrize("status", ["PRE_APPROVED", "MANUAL_REVIEW"])
def test_second_application_of_a_pan_that_is_taken_is_seen(status: str) -> None:
    assert TAKEN in seen(two_of_one_pan(1.5, status, 86000.0))


def test_second_application_before_the_first_was_rejected_is_seen() -> None:
    assert TAKEN in seen(two_of_one_pan(4.0, "REJECTED", 2.0))


@pytest.mark.parametrize(
    ("decided_at", "status", "second_at"),
    [
        pytest.param(1.5, "REJECTED", 2.0, id="rejected before"),
        pytest.param(2.05, "REJECTED", 2.0, id="rejected while the second was being written"),
        pytest.param(1.5, "PRE_APPROVED", 86402.0, id="a day later"),
    ],
)
def test_second_application_of_a_pan_that_is_free_is_fine(decided_at: float, status: str, second_at: float) -> None:
    assert TAKEN not in seen(two_of_one_pan(decided_at, status, second_at))


def test_pan_in_the_clear_is_seen() -> None:
    leaked = changed(a_clean_run(), findings=(Finding("/data/wal", "XXXXX6789T", "as it is"),))

    assert [str(violation) for violation in verdict.check(leaked)] == [
        "I6 stands in the clear: XXXXX6789T (as it is) in /data/wal"
    ]


def test_planted_pan_that_was_not_found_is_seen() -> None:
    blind = changed(a_clean_run(), controls_missed=("planted through Kafka",))

    assert seen(blind) == [("I6", "was planted and not found, so the search proves nothing")]


def test_scored_application_without_a_read_on_record_is_seen() -> None:
    clean = a_clean_run()
    unread = changed(clean, audit=tuple(row for row in clean.audit if (row.application_id, row.action) != (ID, "READ")))

    assert ("I7", "was scored and nobody recorded that its PAN was opened") in seen(unread)


def test_record_in_the_transaction_of_the_report_is_seen() -> None:
    clean = a_clean_run()
    late = {"application_id": ID, "action": "READ", "occurred_at": moment(1.5)}
    audit = (*(row for row in clean.audit if row != on_record(a_row())[1]), AuditRow(**late))  # type: ignore[arg-type]

    assert seen(changed(clean, audit=audit)) == [("I7", "was opened before the record of it was committed")]


def test_accepted_application_that_is_not_on_record_is_seen() -> None:
    clean = a_clean_run()

    unwritten = changed(clean, audit=tuple(row for row in clean.audit if row != on_record(a_row())[0]))

    assert seen(unwritten) == [("I7", "was accepted and is not on record once")]


def test_more_decrypts_than_are_on_record_are_seen() -> None:
    lives = [Measured("credit", T + 5, pid, 12, 40, decrypts=count) for pid, count in ((7, 1.0), (7, 2.0), (8, 1.0))]

    assert seen(with_entries(a_clean_run(), *lives[:1])) == [("I7", "PANs opened and on record")]
    assert verdict.check(changed(with_entries(a_clean_run(), *lives[:2]), measured=())) == []
    assert seen(changed(with_entries(a_clean_run(), *lives), measured=())) == [("I7", "PANs opened and on record")]


def test_audit_log_that_can_be_changed_is_seen() -> None:
    mutable = changed(a_clean_run(), changes_not_refused=("TRUNCATE audit_log",))

    assert seen(mutable) == [("I7", "changes the audit log and is not refused")]


def look(sent_at: float, status: str | None, code: int = 200, seconds: float = 0.01) -> Looked:
    return Looked(ID, T + sent_at, T + sent_at + seconds, code, status)


def in_review(*entries: Entry, case: str | None = None, **changes: Any) -> Evidence:
    """An application that the policy left to people, and what they then did."""
    row = a_row(loan_amount_inr=Decimal("9000000.00"), **{"status": "MANUAL_REVIEW"} | changes)
    accepted_so = (Sending(1, T + 0.9, a_body(loan_amount_inr="9000000.00"), "k"), Answered(1, T + 1.1, 202, "{}", ID))
    return of_rows(row, cases={ID: case}, entries=(*accepted_so, look(5, "MANUAL_REVIEW"), *entries))


def attempt(number: int, outcome: str = "REJECTED", answer: str | None = "decided") -> tuple[Entry, ...]:
    began = Reviewing(number, T + 6, ID, "asha", outcome)
    return (began,) if answer is None else (began, Reviewed(number, T + 7, answer))


MOVED: dict[str, Any] = {"status": "REJECTED", "version": 3, "case": "REJECTED"}


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(in_review(), id="nobody has decided it"),
        pytest.param(in_review(*attempt(9, answer="NotClaimed")), id="who tried was refused"),
        pytest.param(in_review(*attempt(9), look(8, "REJECTED"), **MOVED), id="one person moved it"),
        pytest.param(in_review(*attempt(9), *attempt(8, answer="AlreadyDecided"), **MOVED), id="one was refused"),
        pytest.param(in_review(*attempt(9, answer=None)), id="who died had not moved it"),
        pytest.param(in_review(*attempt(9, answer=None), **MOVED), id="who died had moved it"),
    ],
)
def test_application_that_people_decide_once_is_fine(evidence: Evidence) -> None:
    assert verdict.check(evidence) == []


ONCE = "moved other than once, and once more by a person"


@pytest.mark.parametrize(
    ("evidence", "violation"),
    [
        pytest.param(in_review(**MOVED), ("I2", ONCE), id="nobody moved it"),
        pytest.param(in_review(*attempt(9, answer="NotClaimed"), **MOVED), ("I2", ONCE), id="refused, and moved"),
        pytest.param(in_review(*attempt(9)), ("I2", ONCE), id="decided, and not moved"),
        pytest.param(in_review(*attempt(9), **MOVED | {"version": 4}), ("I2", ONCE), id="moved twice"),
        pytest.param(
            in_review(*attempt(9), *attempt(8), **MOVED), ("I2", "was decided by several people"), id="two decided"
        ),
        pytest.param(
            in_review(*attempt(9, "PRE_APPROVED"), **MOVED), ("I2", "is decided against the policy"), id="otherwise"
        ),
        pytest.param(
            in_review(*attempt(9), version=3, case="REJECTED"), ("I2", "is decided against the policy"), id="stays"
        ),
        pytest.param(
            in_review(*attempt(9), **MOVED | {"case": None}),
            ("I2", "has a case that says otherwise, or none"),
            id="its case is undecided",
        ),
        pytest.param(
            changed(in_review(), cases={}), ("I2", "has a case that says otherwise, or none"), id="it has no case"
        ),
        pytest.param(
            changed(a_clean_run(), cases={ID: None}), ("I2", "has a case that says otherwise, or none"), id="needless"
        ),
        pytest.param(
            in_review(*attempt(9), look(8, "REJECTED"), look(9, "MANUAL_REVIEW"), **MOVED),
            ("I8", "stepped back"),
            id="back in review",
        ),
        pytest.param(in_review(look(8, "REJECTED")), ("I8", "stepped back"), id="moved by nobody"),
        pytest.param(
            in_review(status="REJECTED", case=None),
            ("I8", "was final with one status and is now another"),
            id="another now",
        ),
    ],
)
def test_application_that_people_did_not_decide_once_is_seen(evidence: Evidence, violation: tuple[str, str]) -> None:
    assert violation in seen(evidence)


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ([look(20, "PENDING")], "stepped back"),
        ([look(20, "MANUAL_REVIEW")], "was final with one status and is now another"),
        ([look(20, None, 404)], "was answered 202 and then 404"),
    ],
)
def test_look_that_should_not_have_been_is_seen(looks: list[Looked], words: str) -> None:
    assert ("I8", words) in seen(with_entries(a_clean_run(), *looks))


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([look(0.1, None, 404)], id="404 before the 202"),
        pytest.param([look(9.8, "PENDING", seconds=5)], id="asked before the final one was answered"),
        pytest.param([look(20, None, 503)], id="503"),
    ],
)
def test_look_that_has_no_order_or_no_answer_is_fine(looks: list[Looked]) -> None:
    assert verdict.check(with_entries(a_clean_run(), *looks)) == []


def second_of_the_api(clean: Evidence, descriptors: int) -> Evidence:
    """A second process of the API that began with 40 descriptors and has so many now."""
    return changed(
        with_entries(clean, Measured("api-2", T, 998, 12, 40)),
        measured=(Measured("api-2", T + 9, 998, 12, descriptors),),
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda clean: changed(
                clean, outbox=(*clean.outbox, dataclasses.replace(archived(a_row(), REPORTED), table="outbox_events"))
            ),
            "is not empty",
        ),
        (
            lambda clean: changed(
                clean, outbox=(*clean.outbox, dataclasses.replace(archived(a_row(), REPORTED), table="outbox_parked"))
            ),
            "is not empty",
        ),
        (lambda clean: changed(clean, lag={"credit-service-group": 1}), "is behind"),
        (
            lambda clean: changed(clean, transactions=(Transaction(T, "prequal-api write", 10.5),)),
            "held a transaction open for too long",
        ),
        (
            lambda clean: with_entries(clean, Transaction(T, "prequal-api write", 10.5)),
            "held a transaction open for too long",
        ),
        (
            lambda clean: changed(clean, connections=Connections(T, {"ready #": 3})),
            "has more connections than at the start",
        ),
        (
            lambda clean: changed(clean, connections=Connections(T, {"prequal-api read": 9})),
            "has more connections than at the start",
        ),
        (
            lambda clean: changed(clean, measured=(Measured("credit", T, 101, 12, 53),)),
            "has more threads or descriptors than at the start",
        ),
        (
            lambda clean: changed(clean, measured=(Measured("api", T, 100, 19, 40),)),
            "has more threads or descriptors than at the start",
        ),
        (
            lambda clean: changed(clean, measured=(Measured("api", T, 100, 12, 57),)),
            "has more threads or descriptors than at the start",
        ),
        (
            lambda clean: second_of_the_api(clean, 57),
            "has more threads or descriptors than at the start",
        ),
    ],
)
def test_what_waits_or_leaked_is_seen(spoil: Callable[[Evidence], Evidence], words: str) -> None:
    assert seen(spoil(a_clean_run())) == [("I9", words)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda clean: with_entries(clean, Transaction(T, "prequal-api write", 9.5)),
        lambda clean: changed(clean, connections=Connections(T, {"prequal-api write #": 3, "prequal-api read": 8})),
        lambda clean: changed(clean, measured=(Measured("api", T, 999, 18, 56),)),
        lambda clean: second_of_the_api(clean, 55),
    ],
    ids=[
        "a short transaction",
        "connections within the slack",
        "threads and descriptors within the slack",
        "a second process within the slack",
    ],
)
def test_what_a_healthy_process_varies_by_is_fine(spoil: Callable[[Evidence], Evidence]) -> None:
    assert verdict.check(spoil(a_clean_run())) == []


BROKER_AWAY = (
    Fault("begin", "frozen", T + 10, ("kafka",)),
    Fault("restore", "frozen", T + 30),
    Fault("heal", "frozen", T + 31),
)
DATABASE_AWAY = (Fault("begin", "gone", T + 10, ("database",)), Fault("heal", "gone", T + 30))
KILLED = (Fault("begin", "killed", T + 10, killed=("credit",)), Fault("heal", "killed", T + 12))
POISON = (Fault("begin", "poison", T + 10, troubled=("credit",)), Fault("heal", "poison", T + 12))

ALIVE = ("I10", "did not say that it is alive")
BLIND = ("I10", "did not say who is away")
LATE = ("I10", "did not say that it is ready")


@pytest.mark.parametrize(
    ("fault", "probe", "violation"),
    [
        pytest.param(BROKER_AWAY, a_probe("api", "/health", 20, 503), ALIVE, id="not healthy without the broker"),
        pytest.param(BROKER_AWAY, a_probe("api", "/health", 20, None), ALIVE, id="silent without the broker"),
        pytest.param(KILLED, a_probe("api", "/health", 11, None), ALIVE, id="silent though another one was killed"),
        pytest.param(KILLED, a_probe("credit", "/health", 43, None), ALIVE, id="silent long after its restart"),
        pytest.param(BROKER_AWAY, a_probe("credit", "/ready", 16), BLIND, id="ready without the broker"),
        pytest.param(
            BROKER_AWAY, a_probe("credit", "/ready", 16, 200, kafka="disconnected"), BLIND, id="200 without the broker"
        ),
        pytest.param(
            BROKER_AWAY, a_probe("api", "/ready", 16, 503, kafka="disconnected"), BLIND, id="the API 503 for the broker"
        ),
        pytest.param(BROKER_AWAY, a_probe("api", "/ready", 16, None), BLIND, id="no answer without the broker"),
        pytest.param(
            DATABASE_AWAY,
            a_probe("api", "/ready", 16, 200, database="disconnected"),
            BLIND,
            id="the API 200 without the database",
        ),
        pytest.param(
            BROKER_AWAY,
            a_probe("credit", "/ready", 42, 503, kafka="disconnected"),
            LATE,
            id="away eleven seconds after the restore",
        ),
        pytest.param(
            BROKER_AWAY,
            a_probe("api", "/ready", 42, 200, kafka="disconnected"),
            LATE,
            id="degraded eleven seconds after the restore",
        ),
        pytest.param(KILLED, a_probe("api", "/ready", 20, 503), LATE, id="not ready for another one's death"),
        pytest.param(KILLED, a_probe("credit", "/ready", 43, 503), LATE, id="not ready long after its restart"),
        pytest.param(POISON, a_probe("credit", "/ready", 30, 503), LATE, id="not ready long after the poison"),
        pytest.param((), a_probe("credit", "/ready", 20, 503), LATE, id="not ready for no reason"),
    ],
)
def test_probe_that_does_not_tell_the_truth_is_seen(
    fault: tuple[Fault, ...], probe: Entry, violation: tuple[str, str]
) -> None:
    assert seen(with_entries(a_clean_run(), *fault, probe)) == [violation]


@pytest.mark.parametrize(
    ("fault", "probe"),
    [
        pytest.param(BROKER_AWAY, a_probe("api", "/health", 20), id="alive without the broker"),
        pytest.param(BROKER_AWAY, a_probe("credit", "/ready", 14), id="not noticed yet"),
        pytest.param(BROKER_AWAY, a_probe("credit", "/ready", 12, 503, kafka="disconnected"), id="noticed at once"),
        pytest.param(BROKER_AWAY, a_probe("credit", "/ready", 20, 503, kafka="disconnected"), id="noticed"),
        pytest.param(BROKER_AWAY, a_probe("api", "/ready", 20, 200, kafka="disconnected"), id="the API degraded"),
        pytest.param(BROKER_AWAY, a_probe("credit", "/ready", 30.5), id="anything between restore and heal"),
        pytest.param(BROKER_AWAY, a_probe("credit", "/ready", 40, 503), id="not back yet"),
        pytest.param(DATABASE_AWAY, a_probe("api", "/ready", 20, 503, database="disconnected"), id="no database"),
        pytest.param(KILLED, a_probe("credit", "/health", 11, None), id="killed"),
        pytest.param(KILLED, a_probe("credit", "/ready", 30, 503), id="killed, and starting"),
        pytest.param(POISON, a_probe("credit", "/ready", 11, 503), id="stopped for poison"),
        pytest.param(
            (dataclasses.replace(BROKER_AWAY[0], seen_by=("credit",)), *BROKER_AWAY[1:]),
            a_probe("decision", "/ready", 20),
            id="away for another one alone",
        ),
    ],
)
def test_probe_that_tells_the_truth_is_fine(fault: tuple[Fault, ...], probe: Entry) -> None:
    assert verdict.check(with_entries(a_clean_run(), *fault, probe)) == []


@pytest.mark.parametrize(
    ("path", "violation"),
    [("/health", ("I10", "did not say that it is alive")), ("/ready", ("I10", "did not say that it is ready"))],
)
def test_service_that_was_killed_is_excused_until_it_is_back_and_no_longer(
    path: str, violation: tuple[str, str]
) -> None:
    back, silent = a_probe("credit", path, 14), a_probe("credit", path, 16, None)

    assert seen(with_entries(a_clean_run(), *KILLED, silent)) == []
    assert seen(with_entries(a_clean_run(), *KILLED, back, silent)) == [violation]


def test_service_that_is_up_and_not_yet_ready_is_not_yet_back() -> None:
    starting = a_probe("api", "/ready", 13, 200, kafka="disconnected")
    killed = dataclasses.replace(KILLED[0], killed=("api",)), KILLED[1]

    assert verdict.check(with_entries(a_clean_run(), *killed, starting, a_probe("api", "/ready", 14))) == []


def test_fault_that_never_heals_goes_on() -> None:
    probe = a_probe("credit", "/ready", 4000, 503, kafka="disconnected")

    assert verdict.check(with_entries(a_clean_run(), BROKER_AWAY[0], probe)) == []


def test_checker_imports_nothing_of_what_it_judges() -> None:
    (folder,) = checker.__path__
    imported = {
        name
        for file in Path(folder).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [n.name for n in getattr(node, "names", [])]
        )
    }

    assert not [name for name in imported if str(name).startswith("prequal")]
