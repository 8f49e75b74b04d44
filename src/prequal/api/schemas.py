"""The API's bodies as models, for its description alone: requests are read and answers are written by hand.

Invariant: nothing is validated with these models; the tests compare what they say with what the API does.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from prequal.api.errors import ErrorCode
from prequal.core.circuit_breaker import State
from prequal.domain.application import LoanType, Status

Schema = dict[str, Any]

AMOUNT_PATTERN = r"^(0*[1-9][0-9]{0,9}(\.([0-9]{1,2}0*)?)?|0*\.([1-9][0-9]?|0[1-9])0*)$"
"""What `domain.money.amount_from_text` takes, of `AMOUNT_CHARACTERS_MAX` at most: some rupees, or none and some paise.

Without lookaround, which the regular expressions of Go lack."""
AMOUNT_CHARACTERS_MAX = 100


class _Generator(GenerateJsonSchema):
    """Schemas without titles and defaults, which would say nothing here."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])


class _Body(BaseModel):
    @classmethod
    def schema_of(cls) -> Schema:
        """The body's JSON Schema, whole."""
        schema = cls.model_json_schema(schema_generator=_Generator)
        return {name: value for name, value in schema.items() if name not in {"title", "description"}}


class _Closed(_Body):
    """A body without any other fields."""

    model_config = ConfigDict(extra="forbid")


def _one_of(*words: str) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(words)})


def _names(kind: type[Enum]) -> WithJsonSchema:
    return _one_of(*(member.name for member in kind))


def _or_null(body: type[_Body]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [body.schema_of(), {"type": "null"}]})


Amount = Annotated[
    str,
    WithJsonSchema(
        {
            "description": "Rupees, 0.01 … 9999999999.99. More than two decimals are refused, zeros behind them not "
            "counted; no rule of this schema says so of a number, because a float is no multiple of 0.01. "
            "A string is safe from floats.",
            "anyOf": [
                {"type": "number", "minimum": 0.01, "maximum": 9999999999.99},
                {"type": "string", "pattern": AMOUNT_PATTERN, "maxLength": AMOUNT_CHARACTERS_MAX},
            ],
        }
    ),
]
Name = Annotated[
    str | None, WithJsonSchema({"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": "\\S"})
]
Score = Annotated[
    int | None,
    WithJsonSchema(
        {
            "description": "Null while it is pending, and where the bureau has no file of the applicant.",
            "type": ["integer", "null"],
            "minimum": 300,
            "maximum": 900,
        }
    ),
]


class ApplicationRequest(_Closed):
    """The body of `POST /applications`."""

    pan_number: str = Field(pattern="^[A-Z]{5}[0-9]{4}[A-Z]$", description="The PAN.")
    applicant_name: Name = None
    monthly_income_inr: Amount
    loan_amount_inr: Amount
    loan_type: Annotated[str, _names(LoanType)]


class ApplicationAccepted(_Closed):
    """The body of a 202."""

    application_id: UUID
    status: Annotated[str, WithJsonSchema({"const": Status.PENDING.value})]
    created_at: datetime
    request_id: str


_Outcome = Annotated[str, _one_of(Status.PRE_APPROVED, Status.REJECTED)]


class ReviewOutcome(_Closed):
    """What people decided of an application that the policy left to them."""

    outcome: _Outcome
    reason: str = Field(description="A reason of the closed list of reviews.")


class ExplainedReview(ReviewOutcome):
    """The same, with a sentence for the applicant."""

    sentence: str
    decided_at: datetime


class ApplicationStatus(_Closed):
    """Where an application stands."""

    application_id: UUID
    status: Annotated[str, _names(Status)]
    cibil_score: Score
    pan_number_masked: str = Field(pattern="^XXXXX[0-9]{4}[A-Z]$")
    created_at: datetime
    updated_at: datetime
    review: Annotated[object, WithJsonSchema(ReviewOutcome.schema_of())] = None
    request_id: str


class DecisionFigure(_Closed):
    """A figure of a decision."""

    name: str
    value: Annotated[
        int | str | None,
        WithJsonSchema(
            {
                "type": ["integer", "string", "null"],
                "description": "As stored: rupees and percent as decimal strings; null where it was missing.",
            }
        ),
    ]
    text: str = Field(description="As people read it, amounts grouped as in India.")


class DecisionReason(_Closed):
    """Why an application was decided so."""

    code: str = Field(description="The reason, a name that the policy's version gives it.")
    sentence: str
    measured: Annotated[object, _or_null(DecisionFigure)]
    threshold: Annotated[object, _or_null(DecisionFigure)]


class PolicyReference(_Closed):
    """The version of the policy that decided."""

    version: str
    hash: Annotated[
        str | None,
        WithJsonSchema(
            {
                "type": ["string", "null"],
                "pattern": "^[0-9a-f]{64}$",
                "description": "SHA-256 of its document; null for decisions from before it was stored.",
            }
        ),
    ]


class PathToYes(_Closed):
    """A smaller loan that the same version approves, with everything else as it is."""

    loan_amount_inr: str = Field(pattern=r"^[0-9]{1,10}\.[0-9]{2}$")
    sentence: str


class ApplicationDecision(_Closed):
    """How an application was decided, and why; while it is pending, its status alone.

    Policy, reasons and `decided_at` are the policy's; `review` is people's, and there once they have decided.
    """

    application_id: UUID
    status: Annotated[str, _names(Status)]
    policy: Annotated[object, WithJsonSchema(PolicyReference.schema_of())] = None
    reasons: Annotated[
        object, WithJsonSchema({"type": "array", "minItems": 1, "items": DecisionReason.schema_of()})
    ] = None
    bureau_report_age_seconds: Annotated[
        int | None,
        WithJsonSchema(
            {
                "type": "integer",
                "minimum": 0,
                "description": "How old the bureau's report was; there only where a kept one was used again.",
            }
        ),
    ] = None
    review: Annotated[object, WithJsonSchema(ExplainedReview.schema_of())] = None
    path_to_yes: Annotated[object, WithJsonSchema(PathToYes.schema_of())] = None
    notice: str = Field(default="", description="What a prequalification is not.")
    decided_at: Annotated[datetime | None, WithJsonSchema({"type": "string", "format": "date-time"})] = None
    request_id: str


class ErrorDetail(_Closed):
    """What is wrong with one field."""

    field: str
    issue: str


class Error(_Body):
    """The body of every error."""

    error_code: Annotated[str, _names(ErrorCode)]
    message: str
    details: Annotated[
        list[ErrorDetail] | None, WithJsonSchema({"type": ["array", "null"], "items": ErrorDetail.schema_of()})
    ]
    request_id: str
    timestamp: datetime
    path: str


class Health(_Body):
    """The answer of `/health`."""

    status: str


class Readiness(_Body):
    """The answer of `/ready`; of that the status alone where tokens are asked for, but for the admin port."""

    status: Annotated[str, _one_of("ready", "degraded", "not_ready")] = Field(
        description="`degraded`: applications are taken, and decided once Kafka is back."
    )
    database: Annotated[str, _one_of("connected", "disconnected")] = ""
    kafka: Annotated[str, _one_of("connected", "disconnected")] = ""
    breakers: dict[str, Annotated[str, _one_of(*(state.word for state in State))]] = {}
    key_service: Annotated[str, _one_of("connected", "disconnected")] = Field(
        "", description="Whether the key service unwraps the keys; only where one wrapped any of them."
    )
    reason: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "description": "Why it is not ready, where no dependency is the reason."}),
    ] = None


COMPONENTS: tuple[type[_Body], ...] = (
    ApplicationRequest,
    ApplicationAccepted,
    ApplicationStatus,
    ApplicationDecision,
    Error,
)
"""What the document names; the rest stands where it is used."""

ERROR_HEADERS: Mapping[str, tuple[Any, ...]] = {
    "Retry-After": ("Seconds to wait before trying again.", 409, 429, 503),
    "RateLimit-Policy": ("Which limit was reached: `q` requests within `w` seconds.", 429),
    "RateLimit": ("What is left of it (`r`), and in how many seconds there is more (`t`).", 429),
    "WWW-Authenticate": ("Which token is asked for.", 401, 403),
}
"""Headers of errors: in words, and with which statuses they come."""
