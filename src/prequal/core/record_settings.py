"""The settings of the chained record.

Invariant: its key is given to nothing that opens or hashes PANs.
"""

from pathlib import Path

from pydantic import Field, SecretStr

from prequal.core.keys import KeyText, KeyTexts
from prequal.core.settings import DatabaseSettings


class RecordSettings(DatabaseSettings):
    """The settings of what chains the record, and of what compares it with its chain."""

    record_key: KeyText = Field(
        description="Chains the record, so that a change of it is found; opens no PAN. Base64 of 32 bytes. Required; "
        "`prequal keys generate`."
    )
    record_keys_retired: KeyTexts = Field(
        SecretStr(""), description="Keys of older blocks of the chain, comma-separated, base64 of 32 bytes each."
    )
    record_heads_folder: Path | None = Field(
        None,
        description="A folder for the newest block's MAC, each hour; outside the database's machine. Default: none.",
    )
