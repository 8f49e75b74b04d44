"""The API's description: every path, status, header and error body, with examples that work when pasted.

Invariant: what is declared here is what the tests of the error table see.
"""

from functools import cache
from typing import Any

from prequal import __version__
from prequal.api.errors import ErrorCode
from prequal.core.circuit_breaker import State
from prequal.domain.application import LoanType, Status

Document = dict[str, Any]

ERRORS_OF_ALL = (ErrorCode.INTERNAL_ERROR,)
ERRORS_OF_SUBMIT = (
    ErrorCode.MALFORMED_REQUEST,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.DUPLICATE_APPLICATION,
    ErrorCode.IDEMPOTENCY_KEY_IN_USE,
    ErrorCode.PAYLOAD_TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.INVALID_PAN_FORMAT,
    ErrorCode.NEGATIVE_AMOUNT,
    ErrorCode.INVALID_LOAN_TYPE,
    ErrorCode.VALIDATION_ERROR,
    ErrorCode.IDEMPOTENCY_KEY_REUSED,
    ErrorCode.DATABASE_ERROR,
    ErrorCode.SERVICE_UNAVAILABLE,
)
ERRORS_OF_STATUS = (ErrorCode.APPLICATION_NOT_FOUND, ErrorCode.VALIDATION_ERROR, ErrorCode.SERVICE_UNAVAILABLE)

EXAMPLE_ID = "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44"
EXAMPLE_TIME = "2026-11-23T09:30:00.123456Z"
AMOUNT_PATTERN = r"^(?=.*[1-9])(0*[0-9]{1,10}(\.([0-9]{1,2}0*)?)?|\.[0-9]{1,2}0*)$"
"""What `domain.money.amount_from_text` takes, of `AMOUNT_CHARACTERS_MAX` at most."""
AMOUNT_CHARACTERS_MAX = 100


@cache
def document() -> Document:
    """The OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Loan Prequalification",
            "version": __version__,
            "description": "Post an application, get an id at once, and read its decision a moment later.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/applications": {"post": _submit()},
            "/applications/{application_id}/status": {"get": _show_status()},
            "/health": {"get": _probe("health", "Whether the process lives.", {"200": {"status": "healthy"}})},
            "/ready": {"get": _probe("ready", "Whether applications can be taken.", _READY)},
            "/metrics": {"get": _metrics()},
        },
        "components": {"schemas": _schemas()},
    }


_READY = {
    "200": {"status": "ready", "database": "connected", "kafka": "connected", "breakers": {"database": "closed"}},
    "503": {"status": "not_ready", "database": "disconnected", "kafka": "connected", "breakers": {"database": "open"}},
}


def _submit() -> Document:
    accepted = _content("Accepted", "ApplicationAccepted", _accepted_example())
    accepted["headers"] = {
        "Location": {"description": "Where the status is read.", "schema": {"type": "string"}},
        "Idempotency-Replayed": {
            "description": "`true` when this is the first answer to the same key, given again.",
            "schema": {"const": "true"},
        },
        **_REQUEST_ID_HEADER,
    }
    return {
        "operationId": "submitApplication",
        "summary": "Submit an application",
        "description": "Answered after the application is stored for good; the decision follows within milliseconds.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key and body within 24 hours give the first answer again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            },
            _REQUEST_ID_PARAMETER,
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ApplicationRequest"},
                    "examples": {"pre_approved": {"value": _request_example()}},
                }
            },
        },
        "responses": {"202": accepted, **_errors(*ERRORS_OF_SUBMIT, *ERRORS_OF_ALL)},
    }


def _show_status() -> Document:
    shown = _content("The application's status", "ApplicationStatus", _status_example())
    shown["headers"] = {
        "Cache-Control": {"description": "Never stored.", "schema": {"const": "no-store"}},
        **_REQUEST_ID_HEADER,
    }
    return {
        "operationId": "showApplicationStatus",
        "summary": "Read an application's status",
        "parameters": [
            {
                "name": "application_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "format": "uuid"},
                "example": EXAMPLE_ID,
            },
            _REQUEST_ID_PARAMETER,
        ],
        "responses": {"200": shown, **_errors(*ERRORS_OF_STATUS, *ERRORS_OF_ALL)},
    }


def _probe(name: str, summary: str, answers: dict[str, Document]) -> Document:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            status: {
                "description": example["status"],
                "headers": _REQUEST_ID_HEADER,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {key: _type_of(value) for key, value in example.items()},
                            "required": list(example),
                        },
                        "example": example,
                    }
                },
            }
            for status, example in answers.items()
        },
    }


def _type_of(example: str | Document) -> Document:
    if isinstance(example, str):
        return {"type": "string"}
    return {"type": "object", "additionalProperties": {"enum": [state.word for state in State]}}


def _metrics() -> Document:
    return {
        "operationId": "metrics",
        "summary": "What the process counts, for Prometheus",
        "responses": {
            "200": {
                "description": "Prometheus text",
                "headers": _REQUEST_ID_HEADER,
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    }


_REQUEST_ID_PARAMETER = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Your own id for this request, `[A-Za-z0-9._-]{1,64}`; anything else is replaced.",
    "schema": {"type": "string"},
}
_REQUEST_ID_HEADER = {"X-Request-ID": {"description": "The request's id.", "schema": {"type": "string"}}}


def _errors(*codes: ErrorCode) -> Document:
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        by_status.setdefault(code.status, []).append(code)
    return {str(status): _error_answer(codes) for status, codes in sorted(by_status.items())}


def _error_answer(codes: list[ErrorCode]) -> Document:
    headers = dict(_REQUEST_ID_HEADER)
    if codes[0].status in (409, 503):
        headers["Retry-After"] = {"description": "Seconds to wait before trying again.", "schema": {"type": "string"}}
    return {
        "description": " or ".join(code.name for code in codes),
        "headers": headers,
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Error"},
                        {"properties": {"error_code": {"enum": [code.name for code in codes]}}},
                    ]
                },
                "examples": {code.name: {"value": _error_example(code)} for code in codes},
            }
        },
    }


def _content(description: str, schema: str, example: Document) -> Document:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


def _schemas() -> Document:
    text: Document = {"type": "string"}
    moment: Document = {"type": "string", "format": "date-time"}
    identifier: Document = {"type": "string", "format": "uuid"}
    amount: Document = {
        "description": "Rupees, 0.01 … 9999999999.99. More than two decimals are refused, zeros behind them not "
        "counted; no rule of this schema says so of a number, because a float is no multiple of 0.01. "
        "A string is safe from floats.",
        "anyOf": [
            {"type": "number", "minimum": 0.01, "maximum": 9999999999.99},
            {"type": "string", "pattern": AMOUNT_PATTERN, "maxLength": AMOUNT_CHARACTERS_MAX},
        ],
    }
    score: Document = {"type": ["integer", "null"], "minimum": 300, "maximum": 900}
    masked: Document = {"type": "string", "pattern": "^XXXXX[0-9]{4}[A-Z]$"}
    detail = _object({"field": text, "issue": text})
    return {
        "ApplicationRequest": _object(
            {
                "pan_number": {"type": "string", "pattern": "^[A-Z]{5}[0-9]{4}[A-Z]$", "description": "The PAN."},
                "applicant_name": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": "\\S"},
                "monthly_income_inr": amount,
                "loan_amount_inr": amount,
                "loan_type": {"enum": [loan_type.value for loan_type in LoanType]},
            },
            optional=("applicant_name",),
        ),
        "ApplicationAccepted": _object(
            {"application_id": identifier, "status": {"const": "PENDING"}, "created_at": moment, "request_id": text}
        ),
        "ApplicationStatus": _object(
            {
                "application_id": identifier,
                "status": {"enum": [status.value for status in Status]},
                "cibil_score": score,
                "pan_number_masked": masked,
                "created_at": moment,
                "updated_at": moment,
                "request_id": text,
            }
        ),
        "Error": {
            "type": "object",
            "properties": {
                "error_code": {"enum": [code.name for code in ErrorCode]},
                "message": text,
                "details": {"type": ["array", "null"], "items": detail},
                "request_id": text,
                "timestamp": moment,
                "path": text,
            },
            "required": ["error_code", "message", "details", "request_id", "timestamp", "path"],
        },
    }


def _object(properties: Document, optional: tuple[str, ...] = ()) -> Document:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _request_example() -> Document:
    return {
        "pan_number": "ABCDE1234F",
        "applicant_name": "Asha Rao",
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": "HOME",
    }


def _accepted_example() -> Document:
    return {
        "application_id": EXAMPLE_ID,
        "status": "PENDING",
        "created_at": EXAMPLE_TIME,
        "request_id": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
    }


def _status_example() -> Document:
    return {
        "application_id": EXAMPLE_ID,
        "status": "PRE_APPROVED",
        "cibil_score": 790,
        "pan_number_masked": "XXXXX1234F",
        "created_at": EXAMPLE_TIME,
        "updated_at": "2026-11-23T09:30:00.131072Z",
        "request_id": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
    }


def _error_example(code: ErrorCode) -> Document:
    details = [{"field": "loan_amount_inr", "issue": "must be greater than zero"}]
    return {
        "error_code": code.name,
        "message": code.words,
        "details": details if code is ErrorCode.NEGATIVE_AMOUNT else None,
        "request_id": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        "timestamp": EXAMPLE_TIME,
        "path": "/applications",
    }
