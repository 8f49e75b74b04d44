"""`Idempotency-Key`: the same key and body give the first answer again, and nothing else ever does."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

from harness.applications import a_pan, a_rejected_application, an_application, an_idempotency_key
from harness.waiting import eventually
from tests.support.api import Api, assert_error
from tests.support.submissions import HASHER


def hmac_of(key: str) -> bytes:
    """What the database keeps of a key."""
    return HASHER.fingerprint("idempotency key", key.encode())


def expire(api: Api, table: str, application_id: str) -> None:
    """Let 24 hours pass for what an application holds in a table."""
    touched = api.database.execute(
        f"UPDATE {table} SET expires_at = expires_at - interval '24 hours 1 second' WHERE application_id = %s",
        application_id,
    )
    assert touched == 1


def test_same_key_and_body_give_the_first_answer_again_byte_for_byte(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    first = api.post(application, key)

    again = api.post(application, key)

    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]


def test_only_a_replay_says_that_it_is_one(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()

    first = api.post(application, key)
    again = api.post(application, key)

    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_replay_has_the_request_id_of_its_own_request_in_the_header_alone(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    api.post(application, key, X_Request_ID="first")

    again = api.post(application, key, X_Request_ID="second")

    assert again.headers["x-request-id"] == "second"
    assert again.json()["request_id"] == "first"


def test_replay_gives_the_first_answer_though_the_application_was_decided_since(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    first = api.post(application, key)
    api.database.execute(
        """
        UPDATE applications
        SET status = 'REJECTED', cibil_score = 600, decision_rule = 'r', decision_measures = '{}', policy_version = 'v1'
        WHERE id = %s
        """,
        first.json()["application_id"],
    )

    again = api.post(application, key)

    assert again.content == first.content


def test_replay_leaves_no_row(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    api.accepted(application, key)
    before = api.database.everything()

    api.post(application, key)

    assert api.database.everything() == before


@pytest.mark.parametrize(
    "spelled_otherwise",
    [
        {"monthly_income_inr": 85000},
        {"monthly_income_inr": "85000"},
        {"loan_amount_inr": "1500000.000"},
        {"loan_amount_inr": 1.5e6},
        {"applicant_name": "  Asha Rao "},
    ],
    ids=str,
)
def test_same_fields_in_another_spelling_are_the_same_body(api: Api, spelled_otherwise: dict[str, Any]) -> None:
    application, key = an_application(), an_idempotency_key()
    first = api.post(application, key)

    again = api.post(application | spelled_otherwise, key)

    assert again.content == first.content


@pytest.mark.parametrize(
    "change",
    [
        {"monthly_income_inr": "85000.01"},
        {"loan_amount_inr": "1500000.01"},
        {"loan_type": "AUTO"},
        {"applicant_name": "Asha  Rao"},
        {"applicant_name": None},
    ],
    ids=str,
)
def test_same_key_with_another_body_is_422_key_reused(api: Api, change: dict[str, Any]) -> None:
    application, key = an_application(), an_idempotency_key()
    api.accepted(application, key)

    response = api.post(application | change, key)

    assert_error(response, 422, "IDEMPOTENCY_KEY_REUSED")


def test_same_key_with_another_pan_is_422_key_reused_and_takes_no_pan(api: Api) -> None:
    application, key, pan = an_application(), an_idempotency_key(), a_pan()
    api.accepted(application, key)

    response = api.post(application | {"pan_number": pan}, key)

    assert_error(response, 422, "IDEMPOTENCY_KEY_REUSED")
    assert api.post(an_application(pan_number=pan)).status_code == 202


def test_reuse_does_not_harm_the_first_answer(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    first = api.post(application, key)
    api.post(application | {"loan_type": "AUTO"}, key)

    again = api.post(application, key)

    assert again.content == first.content


def test_key_is_looked_up_before_the_duplicate_rule(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    first = api.post(application, key)
    assert_error(api.post(application), 409, "DUPLICATE_APPLICATION")

    again = api.post(application, key)

    assert (again.status_code, again.content) == (202, first.content)


def test_key_is_looked_up_after_validation(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    api.accepted(application, key)

    response = api.post(application | {"loan_type": "GOLD"}, key)

    assert_error(response, 422, "INVALID_LOAN_TYPE")


def test_invalid_request_does_not_use_its_key_up(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    api.post(application | {"loan_type": "GOLD"}, key)

    response = api.post(application, key)

    assert response.status_code == 202
    assert "idempotency-replayed" not in response.headers


def test_duplicate_does_not_use_its_key_up(api: Api) -> None:
    pan, key = a_pan(), an_idempotency_key()
    api.accepted(an_application(pan_number=pan))
    assert_error(api.post(an_application(pan_number=pan), key), 409, "DUPLICATE_APPLICATION")

    response = api.post(an_application(), key)

    assert response.status_code == 202
    assert "idempotency-replayed" not in response.headers


def test_duplicate_with_a_key_stays_a_duplicate_when_asked_again(api: Api) -> None:
    pan, key = a_pan(), an_idempotency_key()
    api.accepted(an_application(pan_number=pan))

    answers = [api.post(an_application(pan_number=pan), key) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert api.database.rows("SELECT FROM idempotency_keys WHERE key_hmac = %s", hmac_of(key)) == []


def test_two_keys_are_two_requests(api: Api) -> None:
    first = api.post(an_application(), an_idempotency_key())

    second = api.post(an_application(), an_idempotency_key())

    assert second.status_code == 202
    assert second.json()["application_id"] != first.json()["application_id"]


def test_keys_are_case_sensitive(api: Api) -> None:
    key = "Key-" + an_idempotency_key()
    api.accepted(an_application(), key)

    response = api.post(an_application(), key.upper())

    assert response.status_code == 202


def test_key_is_forgotten_after_24_hours(api: Api) -> None:
    application, key = a_rejected_application(), an_idempotency_key()
    first = api.accepted(application, key)
    expire(api, "idempotency_keys", first)
    expire(api, "pan_claims", first)

    response = api.post(application, key)

    assert response.status_code == 202
    assert "idempotency-replayed" not in response.headers
    assert response.json()["application_id"] != first


def test_key_lives_as_long_as_the_claim_of_its_pan(api: Api) -> None:
    application_id = api.accepted(an_application(), an_idempotency_key())

    lives = api.database.row(
        """
        SELECT k.expires_at = c.expires_at AS together, k.expires_at - a.created_at AS span
        FROM idempotency_keys AS k JOIN pan_claims AS c USING (application_id)
             JOIN applications AS a ON a.id = application_id
        WHERE application_id = %s
        """,
        application_id,
    )
    assert lives["together"]
    assert lives["span"].total_seconds() == 24 * 60 * 60


def test_forgotten_key_may_name_another_body(api: Api) -> None:
    key = an_idempotency_key()
    first = api.accepted(an_application(), key)
    expire(api, "idempotency_keys", first)
    other = an_application()

    second = api.post(other, key)
    again = api.post(other, key)

    assert second.status_code == 202
    assert again.content == second.content


def test_forgotten_key_of_a_duplicate_is_a_duplicate(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    first = api.accepted(application, key)
    expire(api, "idempotency_keys", first)

    response = api.post(application, key)

    assert_error(response, 409, "DUPLICATE_APPLICATION")


def test_key_and_body_are_kept_as_hmacs_only(api: Api) -> None:
    pan = a_pan()

    application_id = api.accepted(an_application(pan_number=pan), key=f"my-key-{pan}")

    row = api.database.row("SELECT * FROM idempotency_keys WHERE application_id = %s", application_id)
    assert pan not in str(row)
    assert pan.encode() not in bytes(row["key_hmac"]) + bytes(row["request_hmac"])
    assert "my-key" not in str(row)


async def test_same_key_posted_50_times_at_once_makes_one_application(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    url = f"{api.client.base_url}/applications"
    limits = httpx.Limits(max_connections=50)

    async with httpx.AsyncClient(timeout=15, trust_env=False, limits=limits) as client:
        posts = [client.post(url, json=application, headers={"Idempotency-Key": key}) for _ in range(50)]
        answers = await asyncio.gather(*posts)

    accepted = [answer for answer in answers if answer.status_code == 202]
    others = [answer for answer in answers if answer.status_code != 202]
    assert len({answer.content for answer in accepted}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in accepted) == 1
    assert all(answer.json()["error_code"] == "IDEMPOTENCY_KEY_IN_USE" for answer in others)


async def test_same_key_with_other_bodies_at_once_accepts_one_of_them(api: Api) -> None:
    key = an_idempotency_key()
    url = f"{api.client.base_url}/applications"

    async with httpx.AsyncClient(timeout=15, trust_env=False) as client:
        posts = [client.post(url, json=an_application(), headers={"Idempotency-Key": key}) for _ in range(20)]
        answers = await asyncio.gather(*posts)

    codes = [answer.json().get("error_code", "accepted") for answer in answers]
    assert sorted(codes) == ["IDEMPOTENCY_KEY_REUSED"] * 19 + ["accepted"]


def test_key_of_a_first_request_still_in_flight_is_409_in_use(api: Api) -> None:
    application, key = an_application(), an_idempotency_key()
    with api.database.connect() as first:
        first.execute(
            "INSERT INTO idempotency_keys VALUES (%s, %s, gen_random_uuid(), 'first', now() + interval '1 day')",
            [hmac_of(key), b"r" * 32],
        )

        response = api.post(application, key)

        body = assert_error(response, 409, "IDEMPOTENCY_KEY_IN_USE")
        first.rollback()
    assert int(response.headers["retry-after"]) >= 1
    assert body["details"] is None
    assert api.post(application, key).status_code == 202


def test_neighbours_of_a_key_in_use_are_accepted_meanwhile(api: Api) -> None:
    key, locked = an_idempotency_key(), []
    with api.database.connect() as first:
        first.execute(
            "INSERT INTO idempotency_keys VALUES (%s, %s, gen_random_uuid(), 'first', now() + interval '1 day')",
            [hmac_of(key), b"r" * 32],
        )
        waiter = threading.Thread(target=lambda: locked.append(api.post(an_application(), key)))
        waiter.start()
        eventually(lambda: locked or api.database.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        neighbours = [api.post(an_application()).status_code for _ in range(3)]

        waiter.join()
        first.rollback()
    assert neighbours == [202, 202, 202]
    assert locked[0].status_code == 409
