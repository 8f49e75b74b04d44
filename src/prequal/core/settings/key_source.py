"""The settings of the key services that a key ring's file may name, apart from the processes, which have them.

Invariant: a key service is asked over TLS, or on this machine: its answers hold keys.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from prequal.core.settings import checks


class KeySourceSettings(BaseSettings):
    """Where the keys of a ring that a key service wrapped are unwrapped, and how long they are kept."""

    key_cache_seconds: int = Field(
        3600,
        ge=5,
        le=7 * 86400,
        description="Seconds that unwrapped keys serve on while the key service is away; then nothing is encrypted or "
        "decrypted until it is back.",
    )
    vault_addr: Annotated[str, AfterValidator(checks.key_service)] = Field(
        "",
        description="https://host:8200 of a Vault whose transit engine wrapped keys of ENCRYPTION_KEY_FILE; http:// on "
        "a loopback address alone.",
    )
    vault_token: SecretStr = Field(SecretStr(""), description="Token for it; better VAULT_TOKEN_FILE.")
    vault_token_file: Annotated[str, AfterValidator(checks.secret_file)] = Field(
        "", description="File of the token, read at each use: the sink of a Vault Agent, which renews it."
    )
    vault_cacert: Annotated[str, AfterValidator(checks.authority)] = Field(
        "", description="PEM file of the authority that signs Vault's certificate; the system's authorities if empty."
    )
    vault_namespace: str = Field("", max_length=200, description="Namespace of Vault; empty for none.")
    vault_transit_mount: str = Field(
        "transit", pattern=r"^[A-Za-z0-9_./-]+$", description="Path at which Vault's transit engine is mounted."
    )
    vault_transit_key: str = Field(
        "", pattern=r"^[A-Za-z0-9_.-]*$", description="Name of the transit key that wraps keys of the ring."
    )
    kms_key_id: str = Field(
        "",
        max_length=300,
        pattern=r"^[A-Za-z0-9:/_.-]*$",
        description="ARN, id or alias/name of the AWS KMS key that wraps keys of the ring; credentials are found by "
        "botocore.",
    )
    kms_region: str = Field("", pattern=r"^[a-z0-9-]*$", description="Its region; as botocore finds it if empty.")
    kms_endpoint_url: Annotated[str, AfterValidator(checks.key_service)] = Field(
        "", description="https:// address of KMS, such as of a VPC endpoint; the region's own if empty."
    )
