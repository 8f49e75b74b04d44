"""Valid things, by default: a test says only what differs."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from confluent_kafka import KafkaError, Message

from harness import applications
from prequal.core.settings import ServiceSettings
from prequal.domain.application import LoanApplication, LoanType
from prequal.domain.pan import Pan
from prequal.domain.times import rfc3339
from prequal.messaging.events import ApplicationSubmitted, CreditReportGenerated, Event
from prequal.messaging.report_mac import ReportMac

APPLICATION_ID = UUID("01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44")
OTHER_APPLICATION_ID = UUID("01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c45")
PAN = "PQRPS6789T"
CLIENT = "k7m2xq9z"
PAN_HASH = "5e" * 32
MOMENT = datetime(2026, 11, 23, 9, 30, 0, 123456, UTC)
TOKEN = bytes(range(47))
REPORT_MAC = ReportMac(b"r" * 32)
SIGNED = frozenset({"report_mac", "challenge_draw", "challenge_mac"})
"""The fields of a report that those of releases before them lack."""
DATABASE_URL = "postgresql://prequal:correct-horse@127.0.0.1:5432/prequal"


BROKERS = "127.0.0.1:9092"


def a_service() -> ServiceSettings:
    """The settings of a service that need not find its stores."""
    return ServiceSettings.model_validate(
        {"database_url": DATABASE_URL, "kafka_bootstrap_servers": BROKERS, "service_name": "service"}
    )


def a_loan_application(
    *,
    id: UUID = APPLICATION_ID,  # noqa: A002  # the field's own name
    pan: str = PAN,
    applicant_name: str | None = "Asha Rao",
    monthly_income_inr: str = "85000.00",
    loan_amount_inr: str = "1500000.00",
    loan_type: str = "AUTO",
) -> LoanApplication:
    return LoanApplication(
        id, Pan(pan), applicant_name, Decimal(monthly_income_inr), Decimal(loan_amount_inr), LoanType(loan_type)
    )


def a_request(**fields: object) -> dict[str, object]:
    """The fields of a POST that is accepted; a field of `...` is left out."""
    request = applications.an_application(**{"pan_number": PAN, "loan_type": "AUTO"} | fields)
    return {name: value for name, value in request.items() if value is not ...}


def a_body(**fields: object) -> bytes:
    """The body of a POST that is accepted."""
    return json.dumps(a_request(**fields)).encode()


def a_key(number: int = 1) -> bytes:
    """32 bytes, other ones for each number."""
    return bytes([number]) * 32


def a_key_text(number: int = 1) -> str:
    """A key as it stands in a setting."""
    return base64.b64encode(a_key(number)).decode()


def a_submitted_message(
    *,
    application_id: UUID = APPLICATION_ID,
    encrypted_pan: bytes = TOKEN,
    pan_number_hash: str = PAN_HASH,
    monthly_income_inr: str = "85000.00",
    loan_amount_inr: str = "1500000.00",
    loan_type: str = "AUTO",
    client: str = CLIENT,
    created_at: datetime = MOMENT,
) -> bytes:
    """`ApplicationSubmitted` as it is published."""
    body = ApplicationSubmitted.body(
        application_id,
        pan_number_encrypted=encrypted_pan,
        pan_number_hash=pan_number_hash,
        monthly_income_inr=Decimal(monthly_income_inr),
        loan_amount_inr=Decimal(loan_amount_inr),
        loan_type=LoanType(loan_type),
        client=client,
    )
    return _at(created_at, ApplicationSubmitted, body)


def a_report_message(
    submitted: ApplicationSubmitted | None = None,
    cibil_score: int | None = 700,
    generated_at: datetime = MOMENT,
    mac: ReportMac | None = REPORT_MAC,
    challenge_draw: int | None = None,
) -> bytes:
    """`CreditReportGenerated` as it is published, or as it was before there were MACs and draws."""
    submitted = submitted or ApplicationSubmitted.decode(a_submitted_message())
    body = CreditReportGenerated.body(
        submitted.application_id,
        (mac or REPORT_MAC).make,
        pan_number_hash=submitted.pan_number_hash,
        monthly_income_inr=submitted.monthly_income_inr,
        loan_amount_inr=submitted.loan_amount_inr,
        loan_type=submitted.loan_type,
        cibil_score=cibil_score,
        client=submitted.client,
        challenge_draw=challenge_draw,
    )
    if mac is None:
        body = json.dumps({name: value for name, value in json.loads(body).items() if name not in SIGNED})
    return _at(generated_at, CreditReportGenerated, body)


def _at(moment: datetime, event: type[Event], body: str) -> bytes:
    return json.dumps(json.loads(body) | {event.time_field: rfc3339(moment)}).encode()


def a_submitted_event(application_id: UUID = APPLICATION_ID) -> ApplicationSubmitted:
    return ApplicationSubmitted.decode(a_submitted_message(application_id=application_id))


def a_report(cibil_score: int = 700) -> CreditReportGenerated:
    return CreditReportGenerated.decode(a_report_message(cibil_score=cibil_score))


def a_message(
    value: bytes | None = b"{}",
    *,
    topic: str = "credit_reports_generated",
    partition: int = 0,
    offset: int = 0,
    key: bytes | None = b"key",
    headers: list[tuple[str, str | bytes | None]] | None = None,
    error: KafkaError | None = None,
) -> Message:
    """A message as the Kafka client hands it over."""
    return Message(topic=topic, partition=partition, offset=offset, key=key, value=value, headers=headers, error=error)
