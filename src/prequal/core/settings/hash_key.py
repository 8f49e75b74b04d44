"""Settings of the keys that hash PANs, apart from the API and from commands, which have them.

Invariant: no key stands there twice.
"""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from prequal.core.keys import KeyText, KeyTexts, current_and_retired


class HashKeySettings(BaseSettings):
    """The hash key, and those beside it while it rotates."""

    pan_hash_key: KeyText = Field(
        description="Hashes PANs for the 24-hour rule, and the secrets of clients: base64 of 32 bytes. Required."
    )
    pan_hash_keys_retired: KeyTexts = Field(
        SecretStr(""),
        description="Other keys of the same use, comma-separated, base64 of 32 bytes each: while PAN_HASH_KEY rotates, "
        "PANs are looked up and claimed under each of them too.",
    )

    @model_validator(mode="after")
    def _no_hash_key_twice(self) -> Self:
        keys = current_and_retired(self.pan_hash_key, self.pan_hash_keys_retired)
        if len(set(keys)) < len(keys):
            raise ValueError("PAN_HASH_KEYS_RETIRED holds PAN_HASH_KEY, or a key twice: keep each once")
        return self
