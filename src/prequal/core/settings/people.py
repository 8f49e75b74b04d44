"""Settings of processes and commands that read or write people's second factors.

Invariant: their key is given to nothing that serves applicants.
"""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from prequal.core.keys import KeyText, KeyTexts, current_and_retired
from prequal.core.settings import DatabaseSettings


class PeopleKeySettings(BaseSettings):
    """The key of second factors, and those of before."""

    people_key: KeyText | None = Field(
        None,
        description="Encrypts the secrets of people's second factors; decrypts no PAN. Base64 of 32 bytes; "
        "`prequal keys generate`. Without it nobody can have a second factor.",
    )
    people_keys_retired: KeyTexts = Field(
        SecretStr(""),
        description="Keys that may still decrypt second factors, comma-separated, base64 of 32 bytes each; each start "
        "of the console encrypts what they encrypted under PEOPLE_KEY.",
    )

    def people_keys(self) -> list[bytes]:
        """The key that encrypts, then those that decrypt only; none without PEOPLE_KEY."""
        return current_and_retired(self.people_key, self.people_keys_retired)


class PeopleSettings(PeopleKeySettings, DatabaseSettings):
    """The settings of a command that makes a second factor."""

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        if self.people_key is None:
            raise ValueError("PEOPLE_KEY is missing; `prequal keys generate` makes one, the same for the console")
        return self
