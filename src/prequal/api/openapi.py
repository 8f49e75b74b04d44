"""The API's description: every path, status, header and error body, with examples that work when pasted.

Invariant: what is declared here is what the tests of the error table see.
"""

from functools import cache
from typing import Any

from prequal import __version__
from prequal.api import schemas
from prequal.api.decision_examples import EXAMPLE_ID, EXAMPLE_REQUEST, EXAMPLE_TIME, decision_examples
from prequal.api.errors import ErrorCode, words_at
from prequal.domain.api_client import ClientScope
from prequal.domain.policy.document import LANGUAGES
from prequal.telemetry.metrics import DECISION_ROUTE, STATUS_ROUTE, SUBMIT_ROUTE

Document = dict[str, Any]

ERRORS_OF_ALL = (ErrorCode.URI_TOO_LONG, ErrorCode.HEADERS_TOO_LARGE, ErrorCode.INTERNAL_ERROR)
ERRORS_SHARED = (ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN, ErrorCode.RATE_LIMITED, ErrorCode.SERVICE_UNAVAILABLE)
ERRORS_OF_SUBMIT = (
    *ERRORS_SHARED,
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
)
ERRORS_OF_STATUS = (*ERRORS_SHARED, ErrorCode.APPLICATION_NOT_FOUND, ErrorCode.VALIDATION_ERROR)

NO_CREDENTIALS: list[Document] = []
"""Probes ask nobody who he is."""


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
        "servers": [{"url": "/", "description": "The host that serves this document."}],
        "paths": {
            SUBMIT_ROUTE: {"post": _submit()},
            STATUS_ROUTE: {"get": _show_status()},
            DECISION_ROUTE: {"get": _show_decision()},
            "/health": {"get": _probe("health", "Whether the process lives.", schemas.Health, _HEALTH)},
            "/ready": {"get": _probe("ready", "Whether applications can be taken.", schemas.Readiness, _READY)},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": {model.__name__: model.schema_of() for model in schemas.COMPONENTS},
            "securitySchemes": {"client": _CLIENT},
        },
    }


_CLIENT = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "pq_<id>_<secret>",
    "description": "A client's token, as `prequal clients add` prints it, or, where API_JWT_ISSUER is set, an access "
    "token (JWT) of that issuer. Where API_AUTHENTICATION is `none`, on one machine alone, nobody is asked for one.",
}
_HEALTH: dict[str, dict[str, Document]] = {"200": {"healthy": {"status": "healthy"}}}
_CONNECTED = {"database": "connected", "kafka": "connected", "breakers": {"database": "closed"}}
_READY: dict[str, dict[str, Document]] = {
    "200": {
        "ready": {"status": "ready", **_CONNECTED},
        "degraded": {"status": "degraded", **_CONNECTED, "kafka": "disconnected"},
        "bare": {"status": "ready"},
    },
    "503": {
        "not_ready": {
            "status": "not_ready",
            **_CONNECTED,
            "database": "disconnected",
            "breakers": {"database": "open"},
        },
        "starting": {"status": "not_ready", **_CONNECTED, "reason": "starting"},
    },
}


_MAY_BE_STORED = (
    ": the application may have been stored, or be stored a moment later. Send it again with the same Idempotency-Key: "
    "if it was stored, the answer is that of the first. Without a key it is then a 409 that names the application."
)


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
    errors = _errors(SUBMIT_ROUTE, *ERRORS_OF_SUBMIT, *ERRORS_OF_ALL)
    errors["503"]["description"] += _MAY_BE_STORED
    return {
        "operationId": "submitApplication",
        "summary": "Submit an application",
        "security": [{"client": [ClientScope.WRITE.value]}],
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
        "responses": {"202": accepted, **errors},
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
        "description": "Of a client's own applications; another's is answered as one that is not there.",
        "security": [{"client": [ClientScope.READ.value]}],
        "parameters": [_APPLICATION_ID_PARAMETER, _REQUEST_ID_PARAMETER],
        "responses": {"200": shown, **_errors(STATUS_ROUTE, *ERRORS_OF_STATUS, *ERRORS_OF_ALL)},
    }


def _show_decision() -> Document:
    shown = _content("The decision, or that it is pending", "ApplicationDecision", {})
    shown["content"]["application/json"] = {
        "schema": {"$ref": "#/components/schemas/ApplicationDecision"},
        "examples": _named(decision_examples()),
    }
    shown["headers"] = {
        "Cache-Control": {"description": "Never stored.", "schema": {"const": "no-store"}},
        "Vary": {"description": "The sentences depend on it.", "schema": {"const": "Accept-Language"}},
        "Content-Language": {"description": "The language of the sentences.", "schema": {"enum": [*LANGUAGES]}},
        **_REQUEST_ID_HEADER,
    }
    return {
        "operationId": "showApplicationDecision",
        "summary": "Read why an application was decided so",
        "security": [{"client": [ClientScope.READ.value]}],
        "description": "The reason with its figures and a sentence for the applicant, what the same version of the "
        "policy would approve, and what a prequalification is not. While the application is pending, its status alone.",
        "parameters": [
            _APPLICATION_ID_PARAMETER,
            {
                "name": "Accept-Language",
                "in": "header",
                "description": "`en` or `hi`, with weights (RFC 9110); English without it.",
                "schema": {"type": "string"},
                "example": "hi, en;q=0.5",
            },
            _REQUEST_ID_PARAMETER,
        ],
        "responses": {"200": shown, **_errors(DECISION_ROUTE, *ERRORS_OF_STATUS, *ERRORS_OF_ALL)},
    }


def _probe(
    name: str,
    summary: str,
    body: type[schemas.Health] | type[schemas.Readiness],
    answers: dict[str, dict[str, Document]],
) -> Document:
    return {
        "operationId": name,
        "summary": summary,
        "security": NO_CREDENTIALS,
        "responses": {
            status: {
                "description": " or ".join(examples),
                "headers": _REQUEST_ID_HEADER,
                "content": {"application/json": {"schema": body.schema_of(), "examples": _named(examples)}},
            }
            for status, examples in answers.items()
        },
    }


def _named(examples: dict[str, Document]) -> Document:
    return {name: {"value": example} for name, example in examples.items()}


def _metrics() -> Document:
    return {
        "operationId": "metrics",
        "summary": "What the process counts, for Prometheus",
        "description": "Where tokens are asked for, at the admin port alone.",
        "security": NO_CREDENTIALS,
        "responses": {
            "200": {
                "description": "Prometheus text",
                "headers": _REQUEST_ID_HEADER,
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    }


_APPLICATION_ID_PARAMETER = {
    "name": "application_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "example": EXAMPLE_ID,
}
_REQUEST_ID_PARAMETER = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Your own id for this request, `[A-Za-z0-9._-]{1,64}`; anything else is replaced.",
    "schema": {"type": "string"},
}
_REQUEST_ID_HEADER = {"X-Request-ID": {"description": "The request's id.", "schema": {"type": "string"}}}


def _errors(route: str, *codes: ErrorCode) -> Document:
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        by_status.setdefault(code.status, []).append(code)
    path = route.format(application_id=EXAMPLE_ID)
    return {str(status): _error_answer(codes, path) for status, codes in sorted(by_status.items())}


def _error_answer(codes: list[ErrorCode], path: str) -> Document:
    headers = _REQUEST_ID_HEADER | {
        name: {"description": words, "schema": {"type": "string"}}
        for name, (words, *statuses) in schemas.ERROR_HEADERS.items()
        if codes[0].status in statuses
    }
    return {
        "description": " or ".join(code.name for code in codes),
        "headers": headers,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {code.name: {"value": _error_example(code, path)} for code in codes},
            }
        },
    }


def _content(description: str, schema: str, example: Document) -> Document:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


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
        "request_id": EXAMPLE_REQUEST,
    }


def _status_example() -> Document:
    return {
        "application_id": EXAMPLE_ID,
        "status": "PRE_APPROVED",
        "cibil_score": 790,
        "pan_number_masked": "XXXXX1234F",
        "created_at": EXAMPLE_TIME,
        "updated_at": "2026-11-23T09:30:00.131072Z",
        "request_id": EXAMPLE_REQUEST,
    }


def _error_example(code: ErrorCode, path: str) -> Document:
    details = [{"field": "loan_amount_inr", "issue": "must be greater than zero"}]
    return {
        "error_code": code.name,
        "message": words_at(code, path),
        "details": details if code is ErrorCode.NEGATIVE_AMOUNT else None,
        "request_id": EXAMPLE_REQUEST,
        "timestamp": EXAMPLE_TIME,
        "path": path,
    }
