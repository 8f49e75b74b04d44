"""Settings of a Kafka client's authentication, apart from the processes that have them.

Invariant: settings that do not fit together are refused, and say what to set.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from prequal.core.settings import checks

PLAINTEXT: Final = {
    "kafka_security_protocol": "PLAINTEXT",
    **dict.fromkeys(
        (
            *("kafka_sasl_username", "kafka_sasl_password", "kafka_sasl_password_file", "kafka_ssl_ca_location"),
            *("kafka_ssl_certificate_location", "kafka_ssl_key_location", "kafka_ssl_key_password"),
        ),
        "",
    ),
}
"""What connects to a broker that asks for nothing, whatever is set for others."""


class KafkaSecuritySettings(BaseSettings):
    """Encryption, and the user that a client proves: by a password, or by a certificate of its own."""

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Protocol of the brokers. Over any network that is not yours alone: SASL_SSL."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="Mechanism of the user's authentication, for the two SASL protocols."
    )
    kafka_sasl_username: str = Field("", description="User of the brokers; required for the two SASL protocols.")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="Its password; for the two SASL protocols.")
    kafka_sasl_password_file: Annotated[str, AfterValidator(checks.secret_file)] = Field(
        "", description="A file with its password in place of KAFKA_SASL_PASSWORD, which not everybody may read."
    )
    kafka_ssl_ca_location: Annotated[str, AfterValidator(checks.authority)] = Field(
        "", description="PEM file of the authority that signs the brokers' certificates; the system's own if empty."
    )
    kafka_ssl_certificate_location: Annotated[str, AfterValidator(checks.file)] = Field(
        "", description="PEM file of this client's own certificate, where the brokers ask for one."
    )
    kafka_ssl_key_location: Annotated[str, AfterValidator(checks.secret_file)] = Field(
        "", description="PEM file of the certificate's private key, which not everybody may read."
    )
    kafka_ssl_key_password: SecretStr = Field(SecretStr(""), description="Password of that key, if it is encrypted.")

    @property
    def sasl_password(self) -> str:
        """The user's password, of the file as it is now."""
        file = self.kafka_sasl_password_file
        return Path(file).read_text("utf-8").strip() if file else self.kafka_sasl_password.get_secret_value()

    @model_validator(mode="after")
    def _sasl_has_a_user(self) -> Self:
        protocol = self.kafka_security_protocol
        passwords = bool(self.kafka_sasl_password.get_secret_value()), bool(self.kafka_sasl_password_file)
        if all(passwords):
            raise ValueError("KAFKA_SASL_PASSWORD_FILE is set beside KAFKA_SASL_PASSWORD: keep one")
        named = self.kafka_sasl_username and any(passwords)
        if protocol.startswith("SASL") and not named:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD_FILE, or "
                f"KAFKA_SASL_PASSWORD"
            )
        if not protocol.startswith("SASL") and (self.kafka_sasl_username or any(passwords)):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={protocol} proves no user: set SASL_SSL, or unset KAFKA_SASL_USERNAME and "
                f"its password"
            )
        return self

    @model_validator(mode="after")
    def _files_are_for_tls(self) -> Self:
        certificate, key = self.kafka_ssl_certificate_location, self.kafka_ssl_key_location
        if not self.kafka_security_protocol.endswith("SSL") and (self.kafka_ssl_ca_location or certificate or key):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} encrypts nothing: set SASL_SSL or SSL, or "
                f"unset the KAFKA_SSL_… files"
            )
        names = "KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION"
        checks.certificate_with_key(names, certificate, key, self.kafka_ssl_key_password.get_secret_value())
        return self
