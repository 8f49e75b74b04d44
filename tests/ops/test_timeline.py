"""The timeline of one application: decided by the real services, and while it waits."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from harness.applications import a_rejected_application, an_application
from harness.broker import SUBMITTED_DLQ, Broker, RawMessage, clients_of
from harness.database import Database
from harness.ports import free_port
from harness.system import System
from harness.waiting import eventually
from prequal.core.errors import Transient, UsageError
from prequal.core.settings import StoresSettings
from prequal.domain.events import EventType
from prequal.messaging.event_ids import event_id
from prequal.ops import request_ids
from prequal.ops.timeline import format_duration, trace
from tests.ops.conftest import Prequal
from tests.support.publishing import INSERT_UNPUBLISHED, an_unpublished_row
from tests.support.submissions import Submission, stored

SUBMISSION, REPORT = EventType.APPLICATION_SUBMITTED, EventType.CREDIT_REPORT_GENERATED


def a_decided(database: Database, system: System, body: dict[str, Any]) -> str:
    """Post an application and wait for its decision, and until all its events are archived."""
    answer = httpx.post(f"{system.api.url}/applications", json=body, timeout=10, trust_env=False)
    application_id: str = answer.json()["application_id"]
    eventually(lambda: database.application(application_id)["status"] != "PENDING")
    eventually(lambda: database.count("outbox_events") == 0)
    return application_id


def an_undecided(database: Database) -> Submission:
    """An application whose first event waits in the outbox."""
    (submission,) = stored(database)
    database.execute(INSERT_UNPUBLISHED, *an_unpublished_row(application_id=submission.id))
    return submission


def publish_all(database: Database) -> None:
    """Move everything from the outbox into the archive."""
    database.execute(
        """
        WITH published AS (DELETE FROM outbox_events RETURNING *)
        INSERT INTO outbox_archive (id, topic, event_id, event_type, application_id, payload, created_at)
        SELECT id, topic, event_id, event_type, application_id, payload, created_at FROM published
        """
    )


def waits(stores: StoresSettings, submission: Submission) -> str:
    return " ".join(trace(stores, stores, submission.id).waits_for)


def acknowledged(event_type: str) -> str:
    return f"recorded Kafka's acknowledgement of {event_type} (its consumer may have read it before)"


# ── decided ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_timeline_of_a_decided_application_has_every_step_in_order(
    database: Database, system: System, stores: StoresSettings
) -> None:
    system.start()
    pan = an_application()
    application_id = a_decided(database, system, pan)

    timeline = trace(stores, None, database.application(application_id)["id"])

    done = [(step.service, step.what) for step in timeline.steps]
    by = {row["event_type"]: row["published_by"] for row in database.rows("SELECT * FROM outbox_archive")}
    assert by["ApplicationSubmitted"] in ("prequal-api", "publisher")
    assert by["CreditReportGenerated"] in ("credit-service", "publisher")
    assert sorted(done) == sorted(
        [
            ("prequal-api", "accepted it and encrypted the PAN"),
            (
                by["ApplicationSubmitted"],
                acknowledged("ApplicationSubmitted"),
            ),
            ("credit-service", "decrypted the PAN"),
            ("credit-service", "scored it"),
            (
                by["CreditReportGenerated"],
                acknowledged("CreditReportGenerated"),
            ),
            ("decision-service", "decided: PRE_APPROVED"),
        ]
    )
    assert done[0] == ("prequal-api", "accepted it and encrypted the PAN")
    assert done.index(("credit-service", "decrypted the PAN")) < done.index(("credit-service", "scored it"))
    assert [step.at for step in timeline.steps] == sorted(step.at for step in timeline.steps)
    assert (timeline.status, timeline.pan_number_masked) == ("PRE_APPROVED", f"XXXXX{pan['pan_number'][5:]}")
    assert (timeline.waits_for, timeline.notes) == ([], [])


def test_step_of_an_event_names_who_published_it_as_far_as_that_is_known(
    database: Database, stores: StoresSettings
) -> None:
    submission = an_undecided(database)
    publish_all(database)
    named = []

    for published_by in ("prequal-api", None):
        database.execute("UPDATE outbox_archive SET published_by = %s", published_by)
        named.append([each.service for each in trace(stores, None, submission.id).steps if "Kafka's" in each.what])

    assert named == [["prequal-api"], ["not known"]]


def test_timeline_lists_the_accesses_to_the_pan_with_their_request(
    database: Database, system: System, stores: StoresSettings
) -> None:
    system.start()
    application_id = a_decided(database, system, an_application())

    timeline = trace(stores, None, database.application(application_id)["id"])

    assert [(each.service, each.action) for each in timeline.pan_accesses] == [
        ("prequal-api", "WRITE"),
        ("credit-service", "READ"),
    ]
    assert {each.request_id for each in timeline.pan_accesses} == {timeline.request_id}


def test_page_and_json_show_decision_and_reason_without_pan_or_name(
    database: Database, system: System, prequal: Prequal
) -> None:
    system.start()
    body = a_rejected_application()
    application_id = a_decided(database, system, body)
    score = database.application(application_id)["cibil_score"]

    page = prequal("trace", application_id)
    timeline = prequal("trace", application_id, "--json")

    assert page.exit_code == 0
    assert f"The credit score of {score} is below the minimum of 650." in page.stdout
    assert timeline["decision"]["rule"] == "SCORE_BELOW_MINIMUM"
    assert timeline["decision"]["reason"] == f"The credit score of {score} is below the minimum of 650."
    assert all(step["waited_ms"] >= 0 <= step["after_ms"] for step in timeline["steps"])
    for output in (page.stdout, json.dumps(timeline)):
        assert body["pan_number"] not in output
        assert body["applicant_name"] not in output


def test_person_without_a_file_is_seen_in_the_timeline(database: Database, stores: StoresSettings) -> None:
    (submission,) = stored(database)
    database.execute(
        """
        UPDATE applications SET status = 'MANUAL_REVIEW', decision_rule = 'NO_CREDIT_FILE',
               decision_measures = '{"cibil_score": null}', policy_version = 'v1' WHERE id = %s
        """,
        submission.id,
    )
    database.execute(
        "INSERT INTO processed_messages VALUES ('credit-service', %s, 'd', now(), %s)",
        submission.event_id,
        submission.id,
    )

    timeline = trace(stores, None, submission.id)

    assert "found no file at the bureau" in [step.what for step in timeline.steps]
    assert timeline.decision is not None
    assert (timeline.decision.cibil_score, timeline.decision.policy_hash) == (None, None)
    assert timeline.decision.reason.startswith("The credit bureau has no file")


def test_application_older_than_the_archive_still_has_a_timeline(database: Database, stores: StoresSettings) -> None:
    (submission,) = stored(database)
    database.execute(
        """
        UPDATE applications SET status = 'REJECTED', cibil_score = 600, decision_rule = 'OF_OLDER_CODE',
               decision_measures = '{"cibil_score": 600}', policy_version = 'v0' WHERE id = %s
        """,
        submission.id,
    )

    timeline = trace(stores, None, submission.id)

    assert [step.service for step in timeline.steps] == ["prequal-api", "decision-service"]
    assert timeline.decision is not None
    assert timeline.decision.reason == "cibil_score 600"
    assert "not known any more" in timeline.notes[0]


def test_reading_changes_nothing(database: Database, stores: StoresSettings) -> None:
    submission = an_undecided(database)
    before = database.everything()

    trace(stores, stores, submission.id)

    assert database.everything() == before


# ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_event_in_the_outbox_is_waited_for(database: Database, stores: StoresSettings) -> None:
    submission = an_undecided(database)

    assert "ApplicationSubmitted waits in the outbox to be published;" in waits(stores, submission)


def test_parked_event_is_waited_for_with_its_reason_and_its_next_try(
    database: Database, stores: StoresSettings
) -> None:
    submission = an_undecided(database)
    database.execute(
        """
        WITH parked AS (DELETE FROM outbox_events RETURNING *)
        INSERT INTO outbox_parked (
            id, topic, attempts, event_id, event_type, application_id, payload, reason, next_try_at
        )
        SELECT id, topic, 3, event_id, event_type, application_id, payload, 'MSG_SIZE_TOO_LARGE', '2030-01-01 00:00+00'
        FROM parked
        """
    )

    assert (
        "ApplicationSubmitted is parked after 3 tries to publish it: MSG_SIZE_TOO_LARGE. "
        "The next try is due at 2030-01-01T00:00:00.000Z." in waits(stores, submission)
    )


def test_published_event_is_waited_for_at_its_consumer(database: Database, stores: StoresSettings) -> None:
    submission = an_undecided(database)
    publish_all(database)

    assert "credit-service has not consumed ApplicationSubmitted, published " in waits(stores, submission)


def test_published_report_is_awaited_after_the_inbox_was_pruned(database: Database, stores: StoresSettings) -> None:
    submission = an_undecided(database)
    database.execute(INSERT_UNPUBLISHED, *an_unpublished_row("credit_reports_generated", application_id=submission.id))
    publish_all(database)

    sentences = waits(stores, submission)

    assert "decision-service has not consumed CreditReportGenerated, published " in sentences
    assert "credit-service" not in sentences


def test_republications_are_shown_with_the_time_of_the_next(database: Database, stores: StoresSettings) -> None:
    submission = an_undecided(database)
    publish_all(database)
    first = waits(stores, submission)
    database.execute(
        "INSERT INTO republications VALUES (%s, 2, '2030-01-01 00:00+00', '2029-12-31 23:59+00')", submission.id
    )

    again = trace(stores, stores, submission.id)

    assert "Its events were not republished so far." in first
    assert "republished 2 times; the next time is due at 2030-01-01T00:00:00.000Z." in again.waits_for[-1]
    assert "republished its events (2 so far)" in [step.what for step in again.steps]


def test_dead_letter_that_holds_it_is_named(
    database: Database, broker: Broker, stores: StoresSettings, prequal: Prequal
) -> None:
    submission, neighbour = an_undecided(database), an_undecided(database)
    publish_all(database)
    headers: list[tuple[str, str | bytes | None]] = [
        ("event_id", str(event_id(SUBMISSION, submission.id))),
        ("dlq.error_kind", b"tampered_token"),
        ("dlq.error_message", b"The token was tampered with."),
    ]
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", str(submission.id).encode(), headers, 0)])

    held = waits(stores, submission)
    prequal("dlq", "discard", f"{SUBMITTED_DLQ}:0:0", "--because", "a test")
    after = trace(stores, stores, submission.id)

    assert f"The dead letter {SUBMITTED_DLQ}:0:0 holds it, tampered_token: The token was tampered with." in held
    assert "dead letter" not in waits(stores, neighbour)
    assert "dead letter" not in " ".join(after.waits_for)
    assert f"discarded the dead letter {SUBMITTED_DLQ}:0:0: a test" in [step.what for step in after.steps]


def test_without_kafka_the_timeline_comes_from_the_database(database: Database, prequal_on_database: Prequal) -> None:
    submission = an_undecided(database)

    page = prequal_on_database("trace", str(submission.id))

    assert page.exit_code == 0
    assert "waits in the outbox" in page.stdout
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in page.stdout


def test_broker_that_is_away_is_a_note(
    database: Database, stores: StoresSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.ops.topic_reader.REQUEST_SECONDS", 1.0)
    submission = an_undecided(database)
    unreachable = stores.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{free_port()}"})

    timeline = trace(stores, unreachable, submission.id)

    assert "waits in the outbox" in timeline.waits_for[0]
    assert timeline.notes[0].startswith("The dead letters were not searched: Kafka at")


def request_is(database: Database, application_id: UUID, request_id: str) -> None:
    database.execute(
        "UPDATE outbox_events SET correlation_id = %s WHERE application_id = %s", request_id, application_id
    )


@pytest.mark.parametrize("where", ["outbox", "archive"])
def test_request_of_an_accepted_application_leads_to_its_timeline(
    database: Database, stores: StoresSettings, where: str
) -> None:
    submission = an_undecided(database)
    an_undecided(database)
    request_is(database, submission.id, "my-request.7")
    if where == "archive":
        database.execute(
            """
            WITH published AS (DELETE FROM outbox_events RETURNING *)
            INSERT INTO outbox_archive (id, topic, event_id, event_type, application_id, payload, correlation_id)
            SELECT id, topic, event_id, event_type, application_id, payload, correlation_id FROM published
            """
        )

    assert trace(stores, None, "my-request.7").application_id == submission.id


def test_request_id_is_found_as_its_client_wrote_it(database: Database, prequal_on_database: Prequal) -> None:
    submission, id_ = an_undecided(database), "01935F6E-7C1A-7B52-9E0B-3F6F2A9D1C44"
    request_is(database, submission.id, id_)

    assert prequal_on_database("trace", id_, "--json")["application_id"] == str(submission.id)


def test_application_id_is_found_however_its_letters_are_written(
    database: Database, prequal_on_database: Prequal
) -> None:
    submission = an_undecided(database)

    found = prequal_on_database("trace", str(submission.id).upper(), "--json")

    assert found["application_id"] == str(submission.id)


def test_applications_that_share_a_request_id_are_all_named(
    database: Database, stores: StoresSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = an_undecided(database), an_undecided(database)
    for submission in (first, second):
        request_is(database, submission.id, "my-request.7")

    with pytest.raises(UsageError, match=f"^2 applications .* first: {second.id}, {first.id}\\.$"):
        trace(stores, None, "my-request.7")
    monkeypatch.setattr(request_ids, "NAMED_MAX", 1)
    with pytest.raises(UsageError, match=f"^More than 1 applications .* first: {second.id} …$"):
        trace(stores, None, "my-request.7")


def test_republished_application_is_one_of_its_request(database: Database, stores: StoresSettings) -> None:
    submission = an_undecided(database)
    request_is(database, submission.id, "my-request.7")
    database.execute(
        """
        INSERT INTO outbox_archive (id, topic, event_id, event_type, application_id, payload, correlation_id)
        SELECT id, topic, event_id, event_type, application_id, payload, correlation_id FROM outbox_events
        """
    )

    assert trace(stores, None, "my-request.7").application_id == submission.id


def test_request_that_submitted_nothing_is_to_be_looked_up_in_the_log(stores: StoresSettings) -> None:
    words = "refused, or that repeated an Idempotency-Key, is a line `request` in the API's log"

    with pytest.raises(UsageError, match=words):
        trace(stores, None, "refused-7")


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_unknown_application_is_refused(stores: StoresSettings) -> None:
    unknown = an_unpublished_row()[3]

    with pytest.raises(UsageError, match=f"There is no application {unknown}"):
        trace(stores, None, unknown)


def test_malformed_id_is_refused_and_its_pan_is_masked(prequal_on_database: Prequal) -> None:
    refused = prequal_on_database("trace", "PQRPS6789T").exception

    assert isinstance(refused, UsageError)
    assert str(refused).startswith("ID `XXXXX6789T` is neither the id of an application nor of a request")


def test_database_that_is_away_is_out_of_reach() -> None:
    away = clients_of().model_copy()
    unreachable = StoresSettings.model_validate(
        away.model_dump() | {"database_url": f"postgresql://u:p@127.0.0.1:{free_port()}/x"}
    )

    with pytest.raises(Transient):
        trace(unreachable, None, an_unpublished_row()[3])


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(milliseconds=12), "12 ms"),
        (timedelta(milliseconds=-3), "0 ms"),
        (timedelta(seconds=3.44), "3.4 s"),
        (timedelta(minutes=2, seconds=10), "2 min 10 s"),
        (timedelta(hours=5, minutes=1), "5 h 1 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
)
def test_duration_is_shown_in_its_two_largest_units(time: timedelta, words: str) -> None:
    assert format_duration(time) == words
