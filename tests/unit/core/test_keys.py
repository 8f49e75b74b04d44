"""Keys in settings: what of two settings there is."""

import pytest
from pydantic import SecretStr

from prequal.core.keys import current_and_retired
from tests.builders import a_key, a_key_text


def test_keys_of_two_settings_are_the_current_one_and_then_the_others() -> None:
    held = current_and_retired(SecretStr(a_key_text(1)), SecretStr(f"{a_key_text(2)},{a_key_text(3)}"))

    assert held == [a_key(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("retired", ["", a_key_text(2)])
def test_without_a_current_key_there_is_none(retired: str) -> None:
    assert current_and_retired(None, SecretStr(retired)) == []
