"""The settings of the chained record.

Invariant: its key is given to nothing that decrypts or hashes PANs.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from prequal.core.keys import KeyText, KeyTexts, current_and_retired
from prequal.core.settings import DatabaseSettings


class ChainSettings(BaseSettings):
    """The settings of what may chain the record."""

    record_key: KeyText | None = Field(
        None,
        description="Chains the record, so that a change of it is found; decrypts no PAN. Base64 of 32 bytes; "
        "`prequal keys generate`. Without it the console chains nothing.",
    )
    record_keys_retired: KeyTexts = Field(
        SecretStr(""), description="Keys of older blocks of the chain, comma-separated, base64 of 32 bytes each."
    )
    record_heads_folder: Path | None = Field(
        None,
        description="A folder for the newest block's MAC, each hour; outside the database's machine. Default: none.",
    )

    def record_keys(self) -> list[bytes]:
        """The key of new blocks, then those of older ones; none without RECORD_KEY."""
        return current_and_retired(self.record_key, self.record_keys_retired)


class RecordSettings(ChainSettings, DatabaseSettings):
    """The settings of `prequal audit`."""

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        if self.record_key is None:
            raise ValueError("RECORD_KEY is missing; `prequal keys generate` makes one")
        return self
