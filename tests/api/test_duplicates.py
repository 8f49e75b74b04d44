"""The 24-hour rule: one accepted application a PAN, unless it was rejected."""

import asyncio

import httpx
import pytest

from harness.applications import a_pan, an_application, an_idempotency_key
from tests.support.api import Api, assert_error


def decide(api: Api, application_id: str, status: str) -> None:
    api.database.execute(
        """
        UPDATE applications
        SET status = %s, cibil_score = 640, decision_rule = 'r', decision_measures = '{}', policy_version = 'v1'
        WHERE id = %s
        """,
        status,
        application_id,
    )


def let_a_day_pass(api: Api, application_id: str, less: str = "0 seconds") -> None:
    touched = api.database.execute(
        "UPDATE pan_claims SET expires_at = expires_at - interval '24 hours' + %s::interval WHERE application_id = %s",
        less,
        application_id,
    )
    assert touched == 1


def test_same_pan_again_is_409_duplicate(api: Api) -> None:
    pan = a_pan()
    api.accepted(an_application(pan_number=pan))

    response = api.post(an_application(pan_number=pan))

    body = assert_error(response, 409, "DUPLICATE_APPLICATION")
    assert body["details"] is None


def test_duplicate_is_refused_whatever_else_it_says(api: Api) -> None:
    pan = a_pan()
    api.accepted(an_application(pan_number=pan))

    response = api.post(an_application(pan_number=pan, loan_type="AUTO", loan_amount_inr=1, applicant_name="Ravi"))

    assert_error(response, 409, "DUPLICATE_APPLICATION")


def test_duplicate_does_not_learn_the_other_applications_id(api: Api) -> None:
    pan = a_pan()
    application_id = api.accepted(an_application(pan_number=pan))

    response = api.post(an_application(pan_number=pan))

    assert application_id not in response.text + str(response.headers)
    assert "location" not in response.headers


def test_duplicate_leaves_no_row(api: Api) -> None:
    pan = a_pan()
    api.accepted(an_application(pan_number=pan))
    before = api.database.everything()

    api.post(an_application(pan_number=pan), an_idempotency_key())

    assert api.database.everything() == before


@pytest.mark.parametrize("status", ["PRE_APPROVED", "MANUAL_REVIEW"])
def test_decided_application_still_holds_its_pan(api: Api, status: str) -> None:
    pan = a_pan()
    decide(api, api.accepted(an_application(pan_number=pan)), status)

    response = api.post(an_application(pan_number=pan))

    assert_error(response, 409, "DUPLICATE_APPLICATION")


def test_rejected_application_lets_its_pan_go(api: Api) -> None:
    pan = a_pan()
    decide(api, api.accepted(an_application(pan_number=pan)), "REJECTED")

    response = api.post(an_application(pan_number=pan))

    assert response.status_code == 202


def test_application_after_a_rejected_one_claims_the_pan_again(api: Api) -> None:
    pan = a_pan()
    decide(api, api.accepted(an_application(pan_number=pan)), "REJECTED")
    api.accepted(an_application(pan_number=pan))

    response = api.post(an_application(pan_number=pan))

    assert_error(response, 409, "DUPLICATE_APPLICATION")


def test_same_pan_is_accepted_after_24_hours(api: Api) -> None:
    pan = a_pan()
    let_a_day_pass(api, api.accepted(an_application(pan_number=pan)))

    response = api.post(an_application(pan_number=pan))

    assert response.status_code == 202


def test_same_pan_is_a_duplicate_shortly_before_24_hours(api: Api) -> None:
    pan = a_pan()
    let_a_day_pass(api, api.accepted(an_application(pan_number=pan)), less="10 seconds")

    response = api.post(an_application(pan_number=pan))

    assert_error(response, 409, "DUPLICATE_APPLICATION")


def test_24_hours_begin_again_with_the_next_accepted_application(api: Api) -> None:
    pan = a_pan()
    let_a_day_pass(api, api.accepted(an_application(pan_number=pan)))
    api.accepted(an_application(pan_number=pan))

    response = api.post(an_application(pan_number=pan))

    assert_error(response, 409, "DUPLICATE_APPLICATION")


async def post_at_once(api: Api, pans: list[str], apart_seconds: float = 0.0) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=len(pans))
    async with httpx.AsyncClient(timeout=15, trust_env=False, limits=limits) as client:

        async def post(number: int, pan: str) -> httpx.Response:
            await asyncio.sleep(number * apart_seconds)
            return await client.post(f"{api.client.base_url}/applications", json=an_application(pan_number=pan))

        return await asyncio.gather(*(post(number, pan) for number, pan in enumerate(pans)))


async def test_of_50_posts_of_one_pan_at_once_exactly_one_is_accepted(api: Api) -> None:
    pan = a_pan()

    answers = await post_at_once(api, [pan] * 50)

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 49
    (accepted,) = (answer.json() for answer in answers if answer.status_code == 202)
    (claim,) = api.database.rows("SELECT * FROM pan_claims WHERE application_id = %s", accepted["application_id"])
    stored = api.database.rows("SELECT id FROM applications WHERE pan_number_hash = %s", claim["pan_number_hash"])
    assert [str(row["id"]) for row in stored] == [accepted["application_id"]]


async def test_of_50_posts_after_a_rejection_exactly_one_is_accepted(api: Api) -> None:
    pan = a_pan()
    decide(api, api.accepted(an_application(pan_number=pan)), "REJECTED")

    answers = await post_at_once(api, [pan] * 50)

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 49


async def test_of_50_posts_across_the_end_of_the_24_hours_exactly_one_is_accepted(api: Api) -> None:
    pan = a_pan()
    let_a_day_pass(api, api.accepted(an_application(pan_number=pan)), less="250 milliseconds")

    answers = await post_at_once(api, [pan] * 50, apart_seconds=0.01)

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 49


async def test_duplicates_do_not_disturb_their_neighbours(api: Api) -> None:
    pan, others = a_pan(), [a_pan() for _ in range(20)]

    answers = await post_at_once(api, [name for other in others for name in (other, pan)])

    assert [answer.status_code for answer in answers[::2]] == [202] * 20
    assert sorted(answer.status_code for answer in answers[1::2]) == [202] + [409] * 19
