"""What the API answers when all is well: the 202, the status, the probes, and the headers of each."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from harness.applications import a_pan, an_application
from harness.oracle import outcome
from harness.system import DRAW_KEY
from harness.waiting import eventually
from tests.support.api import Api

UNKNOWN = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")


def decide(api: Api, application_id: str, status: str, score: int | None) -> None:
    """Decide an application as decision-service does."""
    api.database.execute(
        """
        UPDATE applications
        SET status = %s, cibil_score = %s, decision_rule = 'r', decision_measures = '{}', policy_version = 'v1',
            version = version + 1, updated_at = created_at + interval '1 second'
        WHERE id = %s
        """,
        status,
        score,
        application_id,
    )


# ── POST ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_accepted_application_is_answered_with_id_status_time_and_request_id(api: Api) -> None:
    response = api.post(an_application(), X_Request_ID="req-1")

    body = response.json()
    assert response.status_code == 202
    assert response.headers["content-type"] == "application/json"
    assert list(body) == ["application_id", "status", "created_at", "request_id"]
    assert UUID(body["application_id"]).version == 7
    assert body["status"] == "PENDING"
    assert MOMENT.fullmatch(body["created_at"])
    assert abs(datetime.fromisoformat(body["created_at"]) - datetime.now(UTC)) < timedelta(seconds=30)
    assert body["request_id"] == "req-1"


def test_location_leads_to_the_status(api: Api) -> None:
    response = api.post(an_application())

    status = api.client.get(response.headers["location"])
    assert response.headers["location"] == f"/applications/{response.json()['application_id']}/status"
    assert status.json()["application_id"] == response.json()["application_id"]


def test_answer_gives_the_time_that_the_database_wrote(api: Api) -> None:
    response = api.post(an_application())

    stored = api.database.application(response.json()["application_id"])["created_at"]
    assert datetime.fromisoformat(response.json()["created_at"]) == stored


def test_application_is_stored_whole_and_its_pan_encrypted(api: Api) -> None:
    pan = a_pan()

    application_id = api.accepted(an_application(pan_number=pan, loan_type="AUTO"))

    stored = api.database.application(application_id)
    assert stored["pan_number_masked"] == f"XXXXX{pan[5:]}"
    assert re.fullmatch("[0-9a-f]{64}", stored["pan_number_hash"])
    assert len(stored["pan_number_encrypted"]) == 47
    assert (stored["applicant_name"], stored["loan_type"], stored["status"]) == ("Asha Rao", "AUTO", "PENDING")
    assert (stored["version"], stored["cibil_score"], stored["updated_at"]) == (1, None, stored["created_at"])
    assert pan not in str(api.database.rows("SELECT t::text FROM applications AS t WHERE id = %s", application_id))


def test_accepted_application_leaves_one_write_in_the_audit_log(api: Api) -> None:
    application_id = api.post(an_application(), X_Request_ID="audited").json()["application_id"]

    record = api.database.row("SELECT * FROM audit_log WHERE application_id = %s", application_id)
    assert (record["service"], record["action"], record["request_id"]) == ("prequal-api", "WRITE", "audited")


def test_accepted_application_leaves_one_event_in_the_outbox(api: Api) -> None:
    application_id = api.post(an_application(), X_Request_ID="mine").json()["application_id"]

    event = api.database.row(
        "SELECT *, payload::jsonb AS content FROM outbox_events WHERE application_id = %s", application_id
    )
    stored = api.database.application(application_id)
    assert (event["topic"], event["event_type"]) == ("loan_applications_submitted", "ApplicationSubmitted")
    assert event["correlation_id"] == "mine"
    assert event["content"] == {
        "event_id": str(event["event_id"]),
        "application_id": application_id,
        "pan_number_encrypted": event["content"]["pan_number_encrypted"],
        "pan_number_hash": stored["pan_number_hash"],
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": "HOME",
        "message_version": "v1",
        "client": "local",
        "created_at": stored["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def test_refused_application_leaves_no_row_anywhere(api: Api) -> None:
    before = api.database.everything()

    response = api.post(an_application(loan_type="GOLD"), key="refused-key")

    assert response.status_code == 422
    assert api.database.everything() == before


def test_trace_of_the_caller_travels_with_the_event(api: Api) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    application_id = api.post(an_application(), traceparent=trace).json()["application_id"]

    event = api.database.row("SELECT traceparent FROM outbox_events WHERE application_id = %s", application_id)
    assert event["traceparent"] == trace


def test_two_traces_are_none(api: Api) -> None:
    traces = [("traceparent", f"00-{digit * 32}-00f067aa0ba902b7-01") for digit in "12"]

    response = api.client.post("/applications", json=an_application(), headers=traces)

    id_ = response.json()["application_id"]
    event = api.database.row("SELECT traceparent FROM outbox_events WHERE application_id = %s", id_)
    assert event["traceparent"] is None


def test_text_that_is_no_trace_is_dropped(api: Api) -> None:
    application_id = api.post(an_application(), traceparent=f"00-{a_pan()}-x-01").json()["application_id"]

    event = api.database.row("SELECT traceparent FROM outbox_events WHERE application_id = %s", application_id)
    assert event["traceparent"] is None


# ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("field", ["monthly_income_inr", "loan_amount_inr"])
@pytest.mark.parametrize(
    ("literal", "stored"),
    [
        ("0.01", "0.01"),
        ("9999999999.99", "9999999999.99"),
        ('"9999999999.99"', "9999999999.99"),
        ("9999999999.990000000000000000000000", "9999999999.99"),
        ("75000", "75000.00"),
        ('"75000"', "75000.00"),
        ("75000.1", "75000.10"),
        ('"75000.10000"', "75000.10"),
        ("4503599627.37", "4503599627.37"),
        ("1e5", "100000.00"),
        ("7.5E4", "75000.00"),
        ("1000e-2", "10.00"),
        ('"007.50"', "7.50"),
        ('".5"', "0.50"),
        ('"5."', "5.00"),
        ("0.1", "0.10"),
        ("0.07", "0.07"),
    ],
)
def test_amount_is_stored_and_published_to_the_paisa(api: Api, field: str, literal: str, stored: str) -> None:
    content = json.dumps(an_application(**{field: "@"})).replace('"@"', literal)

    response = api.post_raw(content.encode())

    application_id = response.json()["application_id"]
    published = api.database.row(
        "SELECT payload::jsonb AS content FROM outbox_events WHERE application_id = %s", application_id
    )
    assert api.database.application(application_id)[field] == Decimal(stored)
    assert published["content"][field] == stored


# ── GET …/status ────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_of_a_pending_application(api: Api) -> None:
    pan = a_pan()
    accepted = api.post(an_application(pan_number=pan)).json()

    response = api.client.get(f"/applications/{accepted['application_id']}/status", headers={"X-Request-ID": "asked-1"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert list(response.json().items()) == [
        ("application_id", accepted["application_id"]),
        ("status", "PENDING"),
        ("cibil_score", None),
        ("pan_number_masked", f"XXXXX{pan[5:]}"),
        ("created_at", accepted["created_at"]),
        ("updated_at", accepted["created_at"]),
        ("request_id", "asked-1"),
    ]


@pytest.mark.parametrize("status", ["PRE_APPROVED", "REJECTED", "MANUAL_REVIEW"])
def test_status_of_a_decided_application(api: Api, status: str) -> None:
    application_id = api.accepted(an_application())
    decide(api, application_id, status, 712)

    body = api.status(application_id).json()

    assert (body["status"], body["cibil_score"]) == (status, 712)
    assert datetime.fromisoformat(body["updated_at"]) - datetime.fromisoformat(body["created_at"]) == timedelta(
        seconds=1
    )


def test_status_of_a_person_without_a_file_is_final_and_has_no_score(api: Api) -> None:
    application_id = api.accepted(an_application())
    decide(api, application_id, "MANUAL_REVIEW", None)

    body = api.status(application_id).json()

    assert (body["status"], body["cibil_score"]) == ("MANUAL_REVIEW", None)


def test_status_is_never_stored_by_anybody_on_the_way(api: Api) -> None:
    response = api.status(api.accepted(an_application()))

    assert response.headers["cache-control"] == "no-store"


def test_status_is_there_as_soon_as_the_202(api: Api) -> None:
    answers = [api.status(api.accepted(an_application())).status_code for _ in range(50)]

    assert answers == [200] * 50


def test_id_in_capitals_is_the_same_id(api: Api) -> None:
    application_id = api.accepted(an_application())

    response = api.status(application_id.upper())

    assert response.json()["application_id"] == application_id


def test_reading_decrypts_no_pan_and_records_no_decryption(api: Api) -> None:
    application_id = api.accepted(an_application())

    api.status(application_id)

    actions = api.database.rows("SELECT action FROM audit_log WHERE application_id = %s", application_id)
    assert actions == [{"action": "WRITE"}]


# ── nothing of a PAN in what is answered ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    ["/{}", "/applications/{}/status", "/applications/{}/decision", "/x/{}/y/{}", "/%2F{}%2F", "/{}.json?pan={}"],
)
@pytest.mark.parametrize("case", [str.upper, str.lower], ids=["upper", "lower"])
def test_pan_in_the_path_is_masked(api: Api, path: str, case: Any) -> None:
    pan = a_pan()

    response = api.client.get(path.format(case(pan), case(pan)))

    assert response.status_code in (404, 422)
    assert pan[:5] not in response.text.upper()
    assert f"XXXXX{case(pan[5:])}" in response.json()["path"]


# ── probes and documents ────────────────────────────────────────────────────────────────────────────────────────


def test_health_is_healthy(api: Api) -> None:
    response = api.client.get("/health")

    assert (response.status_code, response.json()) == (200, {"status": "healthy"})


def test_ready_names_both_dependencies(api: Api) -> None:
    response = eventually(lambda: answer if (answer := api.client.get("/ready")).json()["status"] == "ready" else None)
    assert response is not None

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": "connected",
        "kafka": "connected",
        "breakers": {"database": "closed"},
    }


def test_metrics_count_what_was_answered(api: Api) -> None:
    def count() -> float:
        lines = api.client.get("/metrics").text.splitlines()
        sample = 'http_requests_total{method="POST",route="/applications",service="prequal-api",status="202"} '
        return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))

    before = count()

    api.accepted(an_application())

    assert count() == before + 1


def test_metrics_carry_no_id_and_nothing_a_client_chose(api: Api) -> None:
    application_id = api.accepted(an_application())
    api.status(application_id)
    api.client.get("/chosen-by-a-client", headers={"X-Request-ID": "chosen-by-a-client"})
    api.client.request("BREW", "/applications")

    text = api.client.get("/metrics").text
    assert application_id not in text
    assert "chosen-by-a-client" not in text
    assert "BREW" not in text


def test_openapi_describes_exactly_the_paths_there_are(api: Api) -> None:
    document = api.client.get("/openapi.json").json()

    assert set(document["paths"]) == {
        "/applications",
        "/applications/{application_id}/status",
        "/applications/{application_id}/decision",
        "/health",
        "/ready",
        "/metrics",
    }


def test_example_of_the_openapi_document_works_when_pasted(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    content = document["paths"]["/applications"]["post"]["requestBody"]["content"]["application/json"]
    example = content["examples"]["pre_approved"]["value"] | {"pan_number": a_pan()}

    api.accepted(example)

    money = example["monthly_income_inr"], example["loan_amount_inr"]
    assert outcome(DRAW_KEY, example["pan_number"], *money, example["loan_type"])[1] == "PRE_APPROVED"
