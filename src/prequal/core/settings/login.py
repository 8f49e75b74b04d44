"""The settings of `prequal roles`: the passwords of the logins of processes and of the people who run them.

Invariant: a password has only characters that need no escaping in an address.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from prequal.core.settings import DatabaseSettings

PASSWORD: Final = re.compile(r"[A-Za-z0-9_-]{16,}")


def _password(secret: SecretStr) -> SecretStr:
    if not PASSWORD.fullmatch(secret.get_secret_value()):
        raise ValueError("must be 16 or more letters, digits, - and _")
    return secret


LoginPassword = Annotated[SecretStr, AfterValidator(_password)]


def _of(login: str) -> LoginPassword | None:
    description = (
        f"Password of the login {login}: 16 or more letters, digits, - and _. Without it no such login is made."
    )
    found: LoginPassword | None = Field(None, description=description)
    return found


class RolesSettings(DatabaseSettings):
    """What `prequal roles` needs: the address of a user who may make roles, and the passwords of the logins."""

    api_database_password: LoginPassword | None = _of("prequal_api_login")
    credit_database_password: LoginPassword | None = _of("prequal_credit_login")
    decision_database_password: LoginPassword | None = _of("prequal_decision_login")
    publisher_database_password: LoginPassword | None = _of("prequal_publisher_login")
    console_database_password: LoginPassword | None = _of("prequal_console_login")
    administrator_database_password: LoginPassword | None = _of("prequal_administrator_login")
    operator_database_password: LoginPassword | None = _of("prequal_operator_login")
    reader_database_password: LoginPassword | None = _of("prequal_reader_login")
    auditor_database_password: LoginPassword | None = _of("prequal_auditor_login")

    def passwords(self) -> dict[str, str]:
        """The passwords that are given, by the end of the role's name."""
        ends = [name.partition("_")[0] for name in type(self).model_fields if name.endswith("_database_password")]
        found = {end: getattr(self, f"{end}_database_password") for end in ends}
        return {end: password.get_secret_value() for end, password in found.items() if password}
