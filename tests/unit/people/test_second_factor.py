"""The second factor: the codes of RFC 6238, each taken once."""

from base64 import b32encode
from datetime import UTC, datetime

import pytest

from prequal.people.second_factor import address, new_secret, step_of

SECRET = b32encode(b"12345678901234567890").decode()
"""Of the test vectors of RFC 6238, appendix B."""


@pytest.mark.parametrize(("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_code_of_the_standards_test_vectors_is_taken(seconds: int, code: str) -> None:
    assert step_of(SECRET, code, datetime.fromtimestamp(seconds, UTC), 0) == seconds // 30


STEP = 37037036
"""Its code is 081804."""


@pytest.mark.parametrize(("late", "step"), [(-31, None), (-30, STEP), (0, STEP), (59, STEP), (60, None)])
def test_code_is_taken_one_step_early_or_late_and_no_more(late: int, step: int | None) -> None:
    assert step_of(SECRET, "081804", datetime.fromtimestamp(STEP * 30 + late, UTC), 0) == step


def test_code_is_not_taken_twice() -> None:
    assert step_of(SECRET, "287082", datetime.fromtimestamp(59, UTC), 1) is None


@pytest.mark.parametrize("code", ["", "287083", "28708", "२८७०८२", "0287082"])
def test_wrong_code_is_not_taken(code: str) -> None:
    assert step_of(SECRET, code, datetime.fromtimestamp(59, UTC), 0) is None


def test_code_may_be_typed_as_the_telephone_shows_it() -> None:
    assert step_of(SECRET, "287 082", datetime.fromtimestamp(59, UTC), 0) == 1


def test_address_names_the_person_and_the_product() -> None:
    secret = new_secret()

    assert address("asha@lender.example", secret) == (
        f"otpauth://totp/prequal:asha%40lender.example?secret={secret}&issuer=prequal"
    )
