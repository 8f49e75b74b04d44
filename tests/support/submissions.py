"""Accepted applications as they stand in the database and on the topics, without an API or a publisher."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from pydantic import SecretStr
from uuid_utils.compat import uuid7

from harness import oracle
from harness.applications import a_pan
from harness.broker import RawMessage
from harness.database import Database
from harness.system import DRAW_KEY, ENCRYPTION_KEY, PAN_HASH_KEY, REPORT_KEY
from prequal.api.queries import Fingerprints, NewApplication
from prequal.core.keys import key_bytes
from prequal.domain.api_client import LOCAL
from prequal.domain.application import LoanApplication, LoanType
from prequal.domain.events import EventType
from prequal.domain.pan import Pan
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted
from prequal.messaging.report_mac import ReportMac
from prequal.security.pan_encryption import KeyRing, PanHasher
from tests import builders

KEY_RING = KeyRing(key_bytes(SecretStr(ENCRYPTION_KEY)))
REPORT_MAC = ReportMac(key_bytes(SecretStr(REPORT_KEY)))
HASHER = PanHasher(key_bytes(SecretStr(PAN_HASH_KEY)))


@dataclass(frozen=True)
class Submission:
    """An application that was accepted, and the events that are published of it."""

    id: UUID
    pan: str
    monthly_income_inr: str
    loan_amount_inr: str
    loan_type: str
    encrypted_pan: bytes
    correlation_id: str = "request-1"

    def but(self, **changes: Any) -> Self:
        """The same application with other values."""
        return replace(self, **changes)

    @property
    def event_id(self) -> UUID:
        return event_id(EventType.APPLICATION_SUBMITTED, self.id)

    @property
    def report_id(self) -> UUID:
        return event_id(EventType.CREDIT_REPORT_GENERATED, self.id)

    @property
    def pan_number_hash(self) -> str:
        return HASHER.hash(Pan(self.pan))

    @property
    def score(self) -> int | None:
        """What the oracle scores it; None where the bureau has no file."""
        return oracle.score(DRAW_KEY, self.pan, self.monthly_income_inr, self.loan_type)

    @property
    def challenge_draw(self) -> int:
        """What the oracle draws for its PAN."""
        return oracle.challenge_draw(DRAW_KEY, self.pan)

    @property
    def outcome(self) -> str:
        """What the oracle decides."""
        return oracle.decision(self.score, self.monthly_income_inr, self.loan_amount_inr)

    @property
    def message(self) -> bytes:
        """`ApplicationSubmitted` in bytes."""
        return builders.a_submitted_message(
            application_id=self.id,
            encrypted_pan=self.encrypted_pan,
            pan_number_hash=self.pan_number_hash,
            monthly_income_inr=self.monthly_income_inr,
            loan_amount_inr=self.loan_amount_inr,
            loan_type=self.loan_type,
        )

    def submitted(self, **changes: Any) -> RawMessage:
        """`ApplicationSubmitted` on its topic."""
        return replace(self._on_topic(self.message, self.event_id), **changes)

    def report(
        self,
        score: int | None = None,
        mac: ReportMac | None = REPORT_MAC,
        challenge_draw: int | None = None,
        **changes: Any,
    ) -> RawMessage:
        """`CreditReportGenerated` on its topic, signed unless `mac` is None; the oracle's score unless one is given."""
        submitted = ApplicationSubmitted.decode(self.message)
        message = builders.a_report_message(
            submitted, self.score if score is None else score, mac=mac, challenge_draw=challenge_draw
        )
        return replace(self._on_topic(message, self.report_id), **changes)

    def _on_topic(self, message: bytes, event: UUID) -> RawMessage:
        headers: list[tuple[str, str | bytes | None]] = [
            ("event_id", str(event)),
            ("correlation_id", self.correlation_id),
        ]
        return RawMessage(message, str(self.id).encode(), headers)


def a_submission(keys: KeyRing = KEY_RING, **changes: Any) -> Submission:
    """An application with an id and a PAN of its own, pre-approved unless changed."""
    application_id, pan = uuid7(), changes.pop("pan", None) or a_pan()
    fields = {"monthly_income_inr": "85000.00", "loan_amount_inr": "1500000.00", "loan_type": "HOME"}
    encrypted = keys.encrypt(Pan(pan), application_id)
    return Submission(id=application_id, pan=pan, encrypted_pan=encrypted, **fields).but(**changes)


def store(database: Database, submissions: Sequence[Submission]) -> None:
    """Write their rows, as the API does when it accepts them."""
    rows = [
        (
            submission.id,
            submission.encrypted_pan,
            submission.pan_number_hash,
            Pan(submission.pan).masked,
            Decimal(submission.monthly_income_inr),
            Decimal(submission.loan_amount_inr),
            submission.loan_type,
        )
        for submission in submissions
    ]
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO applications (
                id, pan_number_encrypted, pan_number_hash, pan_number_masked,
                monthly_income_inr, loan_amount_inr, loan_type
            ) VALUES (%s, %s, %s, %s, %s, %s, %s)
            """,
            rows,
        )


def stored(database: Database, count: int = 1, **changes: Any) -> list[Submission]:
    """New applications, already written."""
    submissions = [a_submission(**changes) for _ in range(count)]
    store(database, submissions)
    return submissions


def a_new_application(keys: KeyRing = KEY_RING) -> NewApplication:
    """An application of the local client, ready to be written by an API that has this ring."""
    pan, id_ = Pan(a_pan()), uuid7()
    return NewApplication(
        application=LoanApplication(id_, pan, None, Decimal(1), Decimal(1), LoanType.HOME),
        encrypted_pan=keys.encrypt(pan, id_),
        pan_number_hash=HASHER.hash(pan),
        request_id="request-1",
        fingerprints=(Fingerprints(HASHER.key_id, None, None, HASHER.hash(pan)),),
        client=LOCAL,
    )
