"""The PANs of the sandbox."""

from prequal.domain.pan import Pan
from prequal.domain.sandbox import CLAIMED, SCORES, is_free_of_claims


def test_sandboxs_pans_are_free_of_claims_but_for_one_and_no_other_is() -> None:
    free = {pan for pan in (*SCORES, Pan("ABCDE1234F")) if is_free_of_claims(pan)}

    assert free == set(SCORES) - {CLAIMED}
