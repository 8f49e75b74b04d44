"""Encryption of second factors: for one person, under a key that is here."""

import base64

import pytest

from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.people.second_factor_keys import PREFIX, SecondFactorKeys, SecondFactorUnreadable, key_id_of
from tests.builders import DATABASE_URL, a_key, a_key_text

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
KEYS = SecondFactorKeys(a_key(1))
STORES = {"database_url": DATABASE_URL, "kafka_bootstrap_servers": "127.0.0.1:1"}


def test_secret_is_given_back_for_the_person_it_was_encrypted_for() -> None:
    stored = KEYS.encrypted(SECRET, "asha")

    assert KEYS.decrypted(stored, "asha") == SECRET
    assert SECRET not in stored
    assert SECRET.encode() not in base64.b64decode(stored.removeprefix(PREFIX))


def test_nonce_is_fresh() -> None:
    assert KEYS.encrypted(SECRET, "asha") != KEYS.encrypted(SECRET, "asha")


def test_secret_of_another_person_is_not_read() -> None:
    stored = KEYS.encrypted(SECRET, "asha")

    with pytest.raises(SecondFactorUnreadable):
        KEYS.decrypted(stored, "ravi")


@pytest.mark.parametrize("stored", [SECRET, "", PREFIX, f"{PREFIX}not base64", PREFIX + "AAAA"])
def test_second_factor_that_is_not_encrypted_by_us_is_not_read(stored: str) -> None:
    with pytest.raises(SecondFactorUnreadable):
        KEYS.decrypted(stored, "asha")


@pytest.mark.parametrize("place", [0, 7, 8, 19, 20, 51, 52, 67])
def test_altered_byte_is_noticed(place: int) -> None:
    token = bytearray(base64.b64decode(KEYS.encrypted(SECRET, "asha").removeprefix(PREFIX)))
    token[place] ^= 1

    with pytest.raises(SecondFactorUnreadable):
        KEYS.decrypted(PREFIX + base64.b64encode(token).decode(), "asha")


def test_retired_key_decrypts_and_does_not_encrypt() -> None:
    old = KEYS.encrypted(SECRET, "asha")
    rotated = SecondFactorKeys(a_key(2), [a_key(1)])

    assert rotated.decrypted(old, "asha") == SECRET
    assert (rotated.is_current(old), rotated.is_current(rotated.encrypted(SECRET, "asha"))) == (False, True)
    assert key_id_of(old) == KEYS.checks[0].key_id
    assert key_id_of(SECRET) is None
    with pytest.raises(SecondFactorUnreadable):
        SecondFactorKeys(a_key(2)).decrypted(old, "asha")


def test_keys_are_those_of_the_settings_and_are_not_shown() -> None:
    given = {"people_key": a_key_text(1), "people_keys_retired": f"{a_key_text(2)}, {a_key_text(3)}"}

    keys = SecondFactorKeys.of(load(ConsoleSettings, **STORES, **given))

    assert keys is not None
    assert len(keys.checks) == 3
    assert keys.decrypted(KEYS.encrypted(SECRET, "asha"), "asha") == SECRET
    assert a_key_text(1) not in repr(keys)
    assert SecondFactorKeys.of(load(ConsoleSettings, **STORES)) is None
