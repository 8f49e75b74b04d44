"""The people that `prequal up` makes on a machine where there are none."""

import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from harness.database import Database
from prequal.domain.person import PersonRole
from prequal.local.first_people import make_first_people
from prequal.people import passwords


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def fits(database: Database, line: str) -> bool:
    """Whether the password of a line is the person's."""
    name, _, password = line.partition(" ")
    stored = database.value("SELECT password_hash FROM people WHERE name = %s", name)
    return passwords._fits(password, stored)


def test_one_person_of_each_role_is_made_once_with_the_password_in_the_file(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "people.txt"

    assert make_first_people(database.url, file)
    before = file.read_text()
    assert make_first_people(database.url, file)

    assert file.read_text() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [line.partition(" ")[0] for line in before.splitlines()] == list(PersonRole)
    assert all(fits(database, line) for line in before.splitlines())


def test_start_that_was_killed_half_way_is_made_whole(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    make_first_people(database.url, file)
    database.execute("DELETE FROM people WHERE name IN ('auditor', 'operator')")

    make_first_people(database.url, file)

    lines = file.read_text().splitlines()
    assert sorted(line.partition(" ")[0] for line in lines) == sorted(PersonRole)
    assert all(fits(database, line) for line in lines)


def test_where_others_are_nobody_is_added(database: Database, tmp_path: Path) -> None:
    make_first_people(database.url, tmp_path / "first")
    database.execute("DELETE FROM people WHERE name <> 'auditor'")
    database.execute("UPDATE people SET name = 'asha'")

    assert not make_first_people(database.url, tmp_path / "people.txt")
    assert database.count("people") == 1
