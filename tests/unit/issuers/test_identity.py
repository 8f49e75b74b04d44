"""What fits as an identity of an issuer."""

import pytest

from prequal.core.errors import UsageError
from prequal.issuers.identity import Identity

ISSUER = "https://issuer.example/realm"


def test_subject_that_is_a_uuid_is_taken_though_it_holds_the_letters_and_digits_of_a_pan() -> None:
    subject = "01a22cb6-4395-72c8-be63-bdabbe7357c8"

    assert Identity.of(ISSUER, subject).subject == subject


@pytest.mark.parametrize("subject", ["ABCDE1234F", "abcde 1234 f", "app-ABCDE1234F"])
def test_subject_that_looks_like_a_pan_is_refused(subject: str) -> None:
    with pytest.raises(UsageError, match="looks like a PAN"):
        Identity.of(ISSUER, subject)
