"""What is taken as a password."""

import pytest

from prequal.core.errors import UsageError
from prequal.people import passwords


@pytest.mark.parametrize("password", ["short", "x" * 201, "half a character: \ud800", "of a terminal: \udcff"])
def test_text_that_is_no_password_is_refused_in_words_that_do_not_repeat_it(password: str) -> None:
    with pytest.raises(UsageError, match="password") as refused:
        passwords.require_good(password)

    assert password not in str(refused.value)


def test_password_may_have_any_characters() -> None:
    passwords.require_good("पासवर्ड \0 with 🔑")
