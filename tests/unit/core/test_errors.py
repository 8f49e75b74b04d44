import pytest

from prequal.core.errors import Invalid, Misconfigured, PrequalError, Refused, Transient, UnknownKey


@pytest.mark.parametrize("kind", [PrequalError, Refused, Transient, UnknownKey, Misconfigured])
def test_an_errors_docstring_is_its_default_message(kind: type[PrequalError]) -> None:
    assert str(kind()) == (kind.__doc__ or "").strip()
    assert str(kind())


def test_an_errors_own_words_come_first() -> None:
    assert str(Transient("the broker is away")) == "the broker is away"


def test_an_invalid_message_has_a_kind_and_words() -> None:
    invalid = Invalid("unknown_version", "message_version: is v9")

    assert (invalid.kind, str(invalid)) == ("unknown_version", "message_version: is v9")


def test_the_four_kinds_are_told_apart() -> None:
    kinds = [Refused, Invalid, Transient, Misconfigured]

    assert not [(one, other) for one in kinds for other in kinds if one is not other and issubclass(one, other)]
