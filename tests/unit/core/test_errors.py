import pytest

from prequal.core.errors import Invalid, Misconfigured, PrequalError, Refused, Transient, UnknownKey, UsageError


@pytest.mark.parametrize("kind", [PrequalError, Refused, Transient, UnknownKey, Misconfigured, UsageError])
def test_an_errors_docstring_is_its_default_message(kind: type[PrequalError]) -> None:
    assert str(kind()) == (kind.__doc__ or "").strip()
    assert str(kind())


def test_an_errors_own_words_come_first() -> None:
    assert str(Transient("the broker is away")) == "the broker is away"


def test_an_invalid_message_has_a_kind_and_words() -> None:
    invalid = Invalid("unknown_version", "message_version: is v9")

    assert (invalid.kind, str(invalid)) == ("unknown_version", "message_version: is v9")


def test_no_kind_of_error_is_a_case_of_another() -> None:
    kinds = [Refused, Invalid, Transient, Misconfigured, UsageError]

    assert not [(one, other) for one in kinds for other in kinds if one is not other and issubclass(one, other)]
