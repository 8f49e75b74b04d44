import json
from typing import Any

import httpx
import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prequal.api.decision_examples import EXAMPLE_ID
from prequal.api.errors import ErrorCode, words_at
from prequal.api.openapi import document
from prequal.api.request import parse
from prequal.core.settings import ServiceSettings
from prequal.core.topology import Service
from prequal.domain.api_client import ClientScope
from prequal.service.key_watch import KEY_SERVICE
from prequal.service.readiness import Readiness
from tests.builders import a_body, a_request
from tests.unit.api.test_app import an_api
from tests.unit.api.test_request import status_of

DOCUMENT = document()
ERROR = {"$ref": "#/components/schemas/Error"}


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A validator of one of the document's schemas, references and formats included."""
    return jsonschema_rs.Draft202012Validator(schema | {"components": DOCUMENT["components"]}, validate_formats=True)


def contents() -> list[Any]:
    """Every JSON body that the document describes, by where it stands."""
    found = []
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                if content := body.get("content", {}).get("application/json"):
                    found.append(pytest.param(content, id=f"{method} {path} {name}"))
    return found


def error_examples(answer: dict[str, Any]) -> dict[str, Any]:
    """The examples of an answer that is an error, by their codes."""
    content = answer["content"].get("application/json", {})
    examples: dict[str, Any] = content["examples"] if content.get("schema") == ERROR else {}
    return examples


@pytest.mark.parametrize("content", contents())
def test_every_schema_is_a_schema_and_every_example_fits_it(content: dict[str, Any]) -> None:
    examples = (
        [content["example"]] if "example" in content else [each["value"] for each in content["examples"].values()]
    )

    jsonschema_rs.meta.validate(content["schema"] | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
    for each in examples:
        validator(content["schema"]).validate(each)
    assert examples


def test_the_example_of_a_request_is_accepted() -> None:
    content = DOCUMENT["paths"]["/applications"]["post"]["requestBody"]["content"]["application/json"]

    for each in content["examples"].values():
        assert parse(json.dumps(each["value"]).encode())


def test_every_error_code_that_a_client_can_meet_on_its_paths_is_described() -> None:
    described = {
        code
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for code in error_examples(answer)
    }

    assert described == {code.name for code in ErrorCode} - {"NOT_FOUND", "METHOD_NOT_ALLOWED"}


def test_every_error_stands_under_its_own_status() -> None:
    for operations in DOCUMENT["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for code in error_examples(answer):
                    assert str(ErrorCode[code].status) == status


def test_every_example_of_an_error_names_its_path_and_has_the_words_of_that_path() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            for answer in operation["responses"].values():
                for code, shown in error_examples(answer).items():
                    body = shown["value"]
                    assert body["path"] == path.replace("{application_id}", EXAMPLE_ID)
                    assert body["message"] == words_at(ErrorCode[code], body["path"])


def test_503_of_a_post_is_described_as_one_whose_application_may_have_been_stored() -> None:
    words = DOCUMENT["paths"]["/applications"]["post"]["responses"]["503"]["description"]

    assert "may have been stored" in words
    assert "again with the same Idempotency-Key" in words


def test_no_read_speaks_of_an_idempotency_key() -> None:
    reads = [operations["get"] for operations in DOCUMENT["paths"].values() if "get" in operations]

    assert len(reads) > 2
    assert "Idempotency-Key" not in json.dumps(reads)


def test_every_error_is_of_the_one_schema() -> None:
    others = [
        answer["content"]["application/json"]["schema"]
        for path, operations in DOCUMENT["paths"].items()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if status >= "400" and path != "/ready" and not error_examples(answer)
    ]

    assert others == []
    assert "allOf" not in json.dumps(DOCUMENT)


def test_every_operation_says_which_right_of_a_client_it_takes() -> None:
    operations = [operation for each in DOCUMENT["paths"].values() for operation in each.values()]

    write, read = [{"client": [ClientScope.WRITE]}], [{"client": [ClientScope.READ]}]
    rights = {"submitApplication": write, "showApplicationStatus": read, "showApplicationDecision": read}
    assert {each["operationId"]: each["security"] for each in operations if each["security"]} == rights
    assert all("security" in each for each in operations)
    assert DOCUMENT["components"]["securitySchemes"]["client"]["scheme"] == "bearer"
    assert DOCUMENT["servers"]


@pytest.mark.parametrize(
    ("up", "reason", "status"),
    [
        ({"database": True, "kafka": True}, None, "ready"),
        ({"database": True, "kafka": False}, None, "degraded"),
        ({"database": False, "kafka": True}, None, "not_ready"),
        ({"database": True, "kafka": True}, "stopping", "not_ready"),
    ],
)
@pytest.mark.parametrize("state", ["connected", "disconnected", None])
def test_every_answer_of_ready_is_described(
    up: dict[str, bool | None], reason: str | None, status: str, state: str | None
) -> None:
    settings = ServiceSettings.model_validate(
        {"database_url": "postgresql://u@127.0.0.1/d", "kafka_bootstrap_servers": "127.0.0.1:9", "service_name": "api"}
    )
    details = {KEY_SERVICE: state} if state else {}
    readiness = Readiness(Service.API, settings, lambda: reason, lambda: details, needs_kafka=False)
    readiness._up, readiness.started = up, True

    code, body = readiness.answer()

    schema = DOCUMENT["paths"]["/ready"]["get"]["responses"][str(code)]["content"]["application/json"]["schema"]
    assert body["status"] == status
    validator(schema | {"additionalProperties": False}).validate(body)


async def test_the_document_is_what_is_served() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(an_api()), base_url="http://api") as client:
        served = (await client.get("/openapi.json")).json()

    assert served == json.loads(json.dumps(DOCUMENT))


REQUEST = validator(DOCUMENT["components"]["schemas"]["ApplicationRequest"])


@given(st.integers(1, 999_999_999_999), st.integers(0, 5))
def test_every_amount_that_is_taken_as_a_string_fits_the_schema(paise: int, zeros: int) -> None:
    amount = f"{paise // 100}.{paise % 100:02d}" + "0" * zeros

    assert REQUEST.is_valid(a_request(loan_amount_inr=amount))


def spellings() -> st.SearchStrategy[str]:
    """Strings of digits, points and minuses, most of them nearly an amount."""
    digits = st.text("0159", max_size=12)
    zeros = st.text("0", max_size=100)
    return st.tuples(
        st.sampled_from(["", "", "", "-"]), zeros, digits, st.sampled_from(["", ".", "."]), digits, zeros
    ).map("".join)


@given(spellings())
@example("1.")
@example(".5")
@example(".")
@example("00000000001.00")
@example("9" * 10 + ".99")
@example("9" * 11)
@example("0" * 99 + "1")
@example("0" * 100 + "1")
def test_a_string_fits_the_schema_exactly_when_it_is_taken_as_an_amount(text: str) -> None:
    taken = status_of(a_body(loan_amount_inr=text)) == 202

    assert REQUEST.is_valid(a_request(loan_amount_inr=text)) == taken


@given(st.integers(1, 999_999_999_999))
def test_every_amount_that_is_taken_as_a_number_fits_the_schema(paise: int) -> None:
    assert REQUEST.is_valid(a_request(loan_amount_inr=paise / 100))


def test_no_rule_of_the_document_divides_floats() -> None:
    assert (1.12 / 0.01).is_integer() is False
    assert "multipleOf" not in json.dumps(DOCUMENT)


@pytest.mark.parametrize("field", ["pan_number", "monthly_income_inr", "loan_amount_inr", "loan_type"])
def test_field_that_the_schema_requires_is_required(field: str) -> None:
    assert not REQUEST.is_valid(a_request(**{field: ...}))
    assert status_of(a_body(**{field: ...})) == 422


@pytest.mark.parametrize(
    "fields",
    [
        {"pan_number": "abcde1234f"},
        {"pan_number": 1},
        {"loan_type": "BOAT"},
        {"applicant_name": ""},
        {"monthly_income_inr": 0},
        {"monthly_income_inr": "-1"},
        {"monthly_income_inr": "1e3"},
        {"monthly_income_inr": None},
        {"loan_amount_inr": 10_000_000_000},
        {"loan_amount_inr": "1.001"},
        {"x": 1},
    ],
)
def test_value_that_the_schema_refuses_is_refused(fields: dict[str, object]) -> None:
    assert not REQUEST.is_valid(a_request(**fields))
    assert status_of(a_body(**fields)) == 422
