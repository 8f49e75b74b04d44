"""The passwords of the processes' logins in the data folder."""

import json
import stat
from pathlib import Path

import pytest

from prequal.local.logins import Logins
from prequal.schema.grants import Role

OWNER = "postgresql://prequal:secret@127.0.0.1:5432,127.0.0.1:5433/prequal?target_session_attrs=read-write"


def test_passwords_are_drawn_once_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    file = tmp_path / "logins.json"

    first, second = Logins(file), Logins(file)

    assert first.database_url("api", OWNER) == second.database_url("api", OWNER)
    assert json.loads(file.read_text()).keys() == set(Role)
    assert len(set(json.loads(file.read_text()).values())) == len(Role)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_login_takes_the_place_of_the_owner_in_the_address_and_nothing_else(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins.json")

    rest = OWNER.partition("@")[2]
    assert logins.database_url("credit", OWNER).startswith("postgresql://prequal_credit_login:")
    assert logins.database_url("credit", OWNER).endswith(f"@{rest}")
    assert logins.database_url("migrate", OWNER) == OWNER


@pytest.mark.parametrize("content", ["", "[]", "{", '{"prequal_api": ""}', '{"somebody": "else"}'])
def test_file_that_holds_no_passwords_is_written_again(tmp_path: Path, content: str) -> None:
    file = tmp_path / "logins.json"
    file.write_text(content)

    Logins(file)

    assert json.loads(file.read_text()).keys() == set(Role)
