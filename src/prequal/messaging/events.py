"""The events as they stand on the wire: JSON objects, written and read strictly by one class each.

Invariant: what `body` writes, `decode` reads back equal once the database has set the time.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from operator import attrgetter
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from prequal.core.errors import Invalid
from prequal.domain.application import LoanType, Status
from prequal.domain.events import MESSAGE_VERSION, EventType
from prequal.domain.money import NotAnAmount, amount_from_text
from prequal.domain.pan_detection import redact
from prequal.domain.policy.challenge import DRAWS
from prequal.messaging.event_ids import event_id
from prequal.postgres.ids import read_id


def _amount(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        raise NotAnAmount("must be a decimal string")
    return amount_from_text(value)


def _token(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except binascii.Error:
        raise ValueError("must be base64") from None


_DECIMAL_STRING = {"type": "string", "pattern": r"^[0-9]{1,10}\.[0-9]{2}$", "examples": ["85000.00"]}

Amount = Annotated[Decimal, BeforeValidator(_amount), PlainSerializer(str), Field(json_schema_extra=_DECIMAL_STRING)]
Token = Annotated[
    bytes,
    BeforeValidator(_token),
    PlainSerializer(lambda token: base64.b64encode(token).decode()),
    Field(json_schema_extra={"type": "string", "contentEncoding": "base64"}),
]
NO_FACTS = (
    *("event_id", "message_version", "client", "pan_number_encrypted", "report_mac", "bureau_outcome"),
    *("challenge_draw", "challenge_mac"),
)
"""Beside the time, the fields that may differ while the fact is the same, or that another field says as well."""

_BODY = (
    '{"event_id":"%s","application_id":"%s","pan_number_hash":"%s","monthly_income_inr":"%s","loan_amount_inr":"%s",'
    f'"loan_type":"%s","message_version":"{MESSAGE_VERSION}",%s,"%s":null}}'
)
"""What we write, of values none of which holds what JSON escapes: by the model it takes twice as long."""
_NO_FILE = '"cibil_score":null,"bureau_outcome":"NO_FILE"'

ApplicationId = Annotated[UUID, BeforeValidator(read_id)]
PanHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="HMAC-SHA-256 of the PAN, hexadecimal.")]


class Published(BaseModel):
    """What every event carries, ours and those for others."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    type: ClassVar[EventType]
    time_field: ClassVar[str]

    event_id: UUID = Field(description="The same for the same fact, however often it is published.")
    application_id: Annotated[UUID, BeforeValidator(read_id)] = Field(
        description="The application; also the message's key."
    )

    @classmethod
    def decode(cls, content: bytes | None) -> Self:
        """The event in a message's value.

        Raises:
            Invalid: it is empty, not JSON, of an unknown version, has a missing or wrong field or a foreign id.
        """
        if not content:
            raise Invalid("empty_message", "the message has no content")
        try:
            event = cls.model_validate_json(content)
        except ValidationError as error:
            raise _invalid(error) from None
        if event.event_id != event.own_id:
            raise Invalid("wrong_event_id", "the event's id is not the one that its application's event has")
        return event

    @property
    def own_id(self) -> UUID:
        """The id that the event must have."""
        return event_id(self.type, self.application_id)


class Event(Published):
    """What every event that we consume carries; the order of the fields is that of the digest."""

    _facts: ClassVar[Callable[["Event"], tuple[object, ...]]]

    pan_number_hash: PanHash
    monthly_income_inr: Amount = Field(description="Rupees a month.")
    loan_amount_inr: Amount = Field(description="Rupees.")
    loan_type: LoanType = Field(description="What the loan is for.")
    message_version: Literal["v1"] = Field(description="The version of this message's format.")
    client: Annotated[str, Field(pattern=r"^[a-z0-9]{5,8}$")] | None = Field(
        None,
        description="The id of the client that submitted the application; `local` where nobody is asked who he is. "
        "Events of releases before it have none, and nothing is decided by it.",
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        cls._facts = attrgetter(*(name for name in cls.model_fields if name not in {*NO_FACTS, cls.time_field}))

    @property
    def happened_at(self) -> datetime:
        """When the fact came about, by database time."""
        at: datetime = getattr(self, self.time_field)
        return at

    @cached_property
    def facts(self) -> bytes:
        """The facts in their one canonical form: all but the times, and the encrypted PAN, which may change.

        They are joined by `|`, which stands in none of them: two events differ in it when they differ in a fact.
        """
        return _joined(type(self)._facts(self))

    @property
    def digest(self) -> bytes:
        """16 bytes that stand for the facts."""
        return blake2b(self.facts, digest_size=16).digest()


class ApplicationSubmitted(Event):
    """An application was accepted and is to be scored."""

    type = EventType.APPLICATION_SUBMITTED
    time_field = "created_at"

    pan_number_encrypted: Token = Field(description="The PAN, encrypted with AES-256-GCM for this application alone.")
    created_at: AwareDatetime = Field(description="When the application was accepted (database time).")

    @classmethod
    def body(
        cls,
        application_id: UUID,
        *,
        pan_number_encrypted: bytes,
        pan_number_hash: str,
        monthly_income_inr: Decimal,
        loan_amount_inr: Decimal,
        loan_type: LoanType,
        client: str,
    ) -> str:
        """The event as a JSON object; its time is null, and is set by the statement that stores it."""
        return _BODY % (
            event_id(cls.type, application_id),
            application_id,
            pan_number_hash,
            monthly_income_inr,
            loan_amount_inr,
            loan_type,
            f'"client":"{client}","pan_number_encrypted":"{base64.b64encode(pan_number_encrypted).decode()}"',
            cls.time_field,
        )


class CreditReportGenerated(Event):
    """The bureau was asked about an application, which is to be decided: with a score, or because there is no file."""

    type = EventType.CREDIT_REPORT_GENERATED
    time_field = "generated_at"

    cibil_score: Annotated[int, Field(strict=True, ge=300, le=900)] | None = Field(
        default=None, description="The bureau's score; null where it has no file."
    )
    bureau_outcome: Literal["NO_FILE"] | None = Field(
        default=None, description="`NO_FILE` where the bureau has no file of the person; absent beside a score."
    )
    generated_at: AwareDatetime = Field(description="When the bureau answered (database time).")
    # Any text is read, so that a wrong one is a dead letter of its own kind.
    report_mac: str | None = Field(
        None,
        description="HMAC-SHA-256 of the facts under REPORT_KEY, hexadecimal: by it decision-service knows that "
        "credit-service made the report. Reports of releases before it have none.",
    )
    challenge_draw: Annotated[int, Field(strict=True, ge=0, lt=DRAWS)] | None = Field(
        default=None,
        description="A number that is the PAN's own, by which decision-service knows whether a challenger of the "
        "policy decides. Without it, as in reports of releases before it, nothing is decided while there is one.",
    )
    challenge_mac: str | None = Field(
        None,
        description="Where there is a challenge_draw, a MAC as report_mac, of the facts and the draw.",
    )

    @model_validator(mode="after")
    def _score_or_no_file(self) -> Self:
        if (self.cibil_score is None) != (self.bureau_outcome == "NO_FILE"):
            raise ValueError("either cibil_score or the bureau_outcome NO_FILE must be there")
        return self

    @classmethod
    def body(
        cls,
        application_id: UUID,
        make_mac: Callable[[bytes], str],
        *,
        pan_number_hash: str,
        monthly_income_inr: Decimal,
        loan_amount_inr: Decimal,
        loan_type: LoanType,
        cibil_score: int | None,
        client: str | None = None,
        challenge_draw: int | None = None,
    ) -> str:
        """The event as a JSON object; its time is null, and is set by the statement that stores it.

        `client` is that of the application's event, if it names one. `make_mac` makes the MACs of the facts and, where
        there is one, of the facts and the draw.
        """
        fields = (application_id, pan_number_hash, monthly_income_inr, loan_amount_inr, loan_type)
        rest = _NO_FILE if cibil_score is None else f'"cibil_score":{cibil_score}'
        if client is not None:
            rest += f',"client":"{client}"'
        facts = _joined((*fields, cibil_score))
        rest += f',"report_mac":"{make_mac(facts)}"'
        if challenge_draw is not None:
            mac = make_mac(_with_draw(facts, challenge_draw))
            rest += f',"challenge_draw":{challenge_draw},"challenge_mac":"{mac}"'
        return _BODY % (event_id(cls.type, application_id), *fields, rest, cls.time_field)

    @property
    def drawn_facts(self) -> bytes:
        """What `challenge_mac` is made of: the facts and the draw, which is there."""
        assert self.challenge_draw is not None
        return _with_draw(self.facts, self.challenge_draw)


class DecidingPolicy(BaseModel):
    """The version of the policy that decided."""

    version: str = Field(description="Its name.")
    hash: str | None = Field(
        description="SHA-256 of its document, hexadecimal; null of decisions before there were any."
    )


class DecisionReason(BaseModel):
    """Why the policy decided so."""

    code: str = Field(description="As in `reasons` of `GET /applications/{application_id}/decision`.")


class ReviewOutcome(BaseModel):
    """What people decided, after the policy left it to them."""

    outcome: Literal[Status.PRE_APPROVED, Status.REJECTED] = Field(description="The same as the status.")
    reason: str = Field(description="A code of the closed list of reviewers' reasons.")


class ApplicationDecided(Published):
    """An application has a final status: by the policy, or by people after MANUAL_REVIEW.

    Written by the statement that decides, where decisions are published.
    """

    type = EventType.APPLICATION_DECIDED
    time_field = "decided_at"

    client: str = Field(description="The id of the client that submitted the application.")
    version: int = Field(
        strict=True, ge=2, description="The application's: 2 by the policy, 3 by people. The newest holds."
    )
    status: Literal[Status.PRE_APPROVED, Status.REJECTED, Status.MANUAL_REVIEW] = Field(
        description="The status that the application has now. MANUAL_REVIEW alone is followed by another event."
    )
    policy: DecidingPolicy
    reasons: list[DecisionReason] = Field(min_length=1, description="The policy's reasons, also where people decided.")
    review: ReviewOutcome | None = Field(description="What people decided; null where the policy did.")
    monthly_income_inr: Amount = Field(description="Rupees a month.")
    loan_amount_inr: Amount = Field(description="Rupees.")
    loan_type: LoanType = Field(description="What the loan is for.")
    decided_at: AwareDatetime = Field(description="When this status was decided (database time).")
    message_version: Literal["v1"] = Field(description="The version of this message's format.")

    @property
    def own_id(self) -> UUID:
        """Of an application's two decisions each has its own."""
        return event_id(self.type, self.application_id, self.version)


def _joined(facts: Iterable[object]) -> bytes:
    return "|".join(map(str, facts)).encode()


def _with_draw(facts: bytes, challenge_draw: int) -> bytes:
    return b"%b|challenge_draw=%d" % (facts, challenge_draw)


def _invalid(error: ValidationError) -> Invalid:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    words = redact("; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems))[:500]
    words = words.removeprefix(": ")  # of the event as a whole
    if problems[0]["type"] == "json_invalid":
        return Invalid("malformed_json", words)
    if any(problem["loc"] == ("message_version",) and problem["type"] == "literal_error" for problem in problems):
        return Invalid("unknown_version", words)
    return Invalid("invalid_fields", words)
