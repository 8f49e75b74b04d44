"""The settings of TLS to callers, apart from the processes that have them.

Invariant: a certificate comes with its key, which not everybody on the machine may read.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings

from prequal.core.settings import checks


class HttpTlsSettings(BaseSettings):
    """The certificate that callers are shown; none where a balancer in front ends TLS."""

    http_certificate_file: Annotated[str, AfterValidator(checks.file)] = Field(
        "",
        description="PEM file of the certificate for HTTP_PORT, with those between it and its authority; then HTTPS "
        "alone is spoken there, TLS 1.2 or later. Read again within 10 s of a change. Empty: HTTP, for a balancer that "
        "ends TLS.",
    )
    http_key_file: Annotated[str, AfterValidator(checks.secret_file)] = Field(
        "", description="PEM file of its private key, which not everybody may read."
    )

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        names = "HTTP_CERTIFICATE_FILE", "HTTP_KEY_FILE"
        checks.certificate_with_key(names, self.http_certificate_file, self.http_key_file)
        return self
