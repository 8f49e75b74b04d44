import hmac

from hypothesis import given
from hypothesis import strategies as st

from prequal.core.keyed_hash import KeyedHash
from tests.builders import a_key


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=80), st.lists(st.binary(max_size=200), max_size=3))
def test_a_keyed_hash_is_hmac_sha_256_of_the_prefix_and_each_text(
    key: bytes, prefix: bytes, texts: list[bytes]
) -> None:
    keyed = KeyedHash(key, prefix)

    assert [keyed.of(text) for text in texts] == [hmac.digest(key, prefix + text, "sha256") for text in texts]


def test_a_keyed_hash_does_not_show_its_key() -> None:
    assert repr(KeyedHash(a_key(1))) == "KeyedHash()"
