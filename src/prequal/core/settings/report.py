"""Settings of the keys by which credit reports are signed and verified.

Invariant: their key is given to nothing else, and decrypts no PAN.
"""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from prequal.core.keys import KeyText, KeyTexts, current_and_retired


class ReportKeySettings(BaseSettings):
    """The key that signs reports."""

    report_key: KeyText = Field(
        description="Signs reports, so that decision-service accepts those of credit-service alone; decrypts no PAN. "
        "Base64 of 32 bytes, the same for both. Required; `prequal keys generate`.",
    )


class VerifiedReportsSettings(ReportKeySettings):
    """The key of reports, and those of before."""

    report_keys_retired: KeyTexts = Field(
        SecretStr(""), description="Keys whose reports are still accepted, comma-separated, base64 of 32 bytes each."
    )

    def report_keys(self) -> list[bytes]:
        """The key that signs, then those whose reports are still accepted."""
        return current_and_retired(self.report_key, self.report_keys_retired)
