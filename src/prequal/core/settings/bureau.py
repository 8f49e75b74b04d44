"""Settings of the bureau that is asked over HTTP, apart from credit-service, which has them.

Invariant: an applicant's PAN crosses no network in the clear.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from prequal.core.settings import checks


class BureauSettings(BaseSettings):
    """Where the bureau is, and how long it is waited for."""

    bureau_url: Annotated[str, AfterValidator(checks.bureau)] = Field(
        "",
        repr=False,
        description="https://host/path that credit reports are posted to; http:// on a loopback address alone. Empty: "
        "the simulation in the process.",
    )
    bureau_token: SecretStr = Field(SecretStr(""), description="Sent to the bureau as `Authorization: Bearer`, if set.")
    bureau_timeout_seconds: float = Field(
        3.0, gt=0, le=6, description="Seconds that the bureau may take for one answer; then it is asked again."
    )
    bureau_requests_max: int = Field(64, ge=1, le=1000, description="Most requests to the bureau at once, per process.")
    bureau_report_max_age_hours: int = Field(
        0,
        ge=0,
        le=90 * 24,
        description="A client's next application of the same PAN is decided by the bureau's last report if that is "
        "younger than so many hours, and the bureau is not asked. 0: it is always asked, and no report is kept.",
    )
    bureau_max_calls_a_day: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="Most applications that the bureau is asked about on a day of India, over all processes; beyond it "
        "they wait for the next day. 0: no limit, and no count.",
    )
