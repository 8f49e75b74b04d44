"""Tokens of clients: what is one, and what is kept of it."""

import base64

import pytest

from prequal.api_clients.tokens import client_of, fingerprint, new_id, new_token
from prequal.domain.api_client import LOCAL
from prequal.security.pan_encryption import PanHasher
from tests.builders import a_key

HASHER = PanHasher(a_key(2))


def test_token_names_its_client_and_holds_256_bits() -> None:
    token = new_token("k7m2xq9z")

    assert client_of(token.encode()) == "k7m2xq9z"
    assert len(base64.urlsafe_b64decode(token.split("_", 2)[2] + "=")) == 32


def test_no_two_tokens_and_no_two_ids_are_equal() -> None:
    assert len({new_token("k7m2xq9z") for _ in range(100)}) == 100
    assert len({new_id() for _ in range(100)}) == 100


def test_id_is_what_a_token_can_name() -> None:
    id_ = new_id()

    assert client_of(new_token(id_).encode()) == id_


def test_no_client_is_the_local_one() -> None:
    assert client_of(new_token(LOCAL).encode()) is None
    assert len(new_id()) != len(LOCAL)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"pq_",
        b"pq_k7m2xq9z",
        b"pq_k7m2xq9z_",
        b"pq_k7m2xq9z_" + b"x" * 42,
        b"pq_k7m2xq9z_" + b"x" * 44,
        b"pq_k7m2xq9z_" + b"x" * 43 + b"\n",
        b"pq_k7m2xq9z_" + b"x" * 42 + "é".encode(),
        b"pq_K7M2XQ9Z_" + b"x" * 43,
        b"xx_k7m2xq9z_" + b"x" * 43,
        b"pq_k7m2xq9z_" + b"x" * 16_000,
    ],
)
def test_anything_else_is_no_token(token: bytes) -> None:
    assert client_of(token) is None


def test_fingerprint_is_of_this_token_and_this_key_and_this_purpose() -> None:
    token = new_token("k7m2xq9z").encode()

    assert fingerprint(HASHER, token) == fingerprint(PanHasher(a_key(2)), token)
    assert fingerprint(HASHER, token) != fingerprint(PanHasher(a_key(3)), token)
    assert fingerprint(HASHER, token) != fingerprint(HASHER, token.replace(b"k7m2xq9z", b"k7m2xq9y"))
    assert fingerprint(HASHER, token) != HASHER.fingerprint("idempotency key", token)
