import base64
import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from prequal.core.errors import Invalid, KeysUnavailable, Misconfigured, UnknownKey
from prequal.core.keys import check_value, key_id
from prequal.core.settings import ApiSettings, load
from prequal.domain.pan import Pan
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import recorded_key
from prequal.security import key_file
from prequal.security.key_file import RingKeys
from prequal.security.pan_encryption import TOKEN_BYTES, KeyRing, PanHasher
from tests.builders import APPLICATION_ID, DATABASE_URL, OTHER_APPLICATION_ID, PAN, a_key, a_key_text
from tests.support.pans import NUMBERS


def a_ring(current: int = 1, *retired: int) -> KeyRing:
    return KeyRing(a_key(current), [a_key(number) for number in retired])


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_token(ring: KeyRing | None = None) -> bytes:
    return (ring or a_ring()).encrypt(Pan(PAN), APPLICATION_ID)


def flipped(token: bytes, bit: int) -> bytes:
    return (int.from_bytes(token) ^ 1 << bit).to_bytes(len(token))


@given(NUMBERS, st.uuids())
def test_an_encrypted_pan_is_decrypted_beside_its_application(number: str, id_: UUID) -> None:
    token = a_ring().encrypt(Pan(number), id_)

    assert a_ring().decrypt(token, id_).reveal() == number


def test_a_token_is_47_bytes_of_version_key_id_nonce_ciphertext_and_tag() -> None:
    token = a_token()

    assert len(token) == TOKEN_BYTES == 1 + 8 + 12 + 10 + 16
    assert token[:9] == b"\x01" + key_id(a_key(1))


# Pinned: what was encrypted by yesterday's release is decrypted by tomorrow's.
def test_a_token_of_an_earlier_release_opens() -> None:
    token = bytes.fromhex(
        "01afa54291bd1d82a1680694bb8b9f15af9e8971e6c6b43f2c05c4acc0b7965b2751f668041020f5041ee5539b5400"
    )

    assert a_ring(1).decrypt(token, APPLICATION_ID) == Pan(PAN)


def test_keys_serve_until_their_time_is_over_and_are_then_forgotten() -> None:
    clock = Clock()
    ring = KeyRing(None, clock=clock)
    ring.replace(a_key(1), [a_key(2)], good_until=110.0)
    clock.now = 109.9
    token = a_token(ring)
    assert ring.decrypt(token, APPLICATION_ID) == Pan(PAN)

    clock.now = 110.0

    for use in (lambda: a_token(ring), lambda: ring.require_key(token), lambda: ring.decrypt(token, APPLICATION_ID)):
        with pytest.raises(KeysUnavailable):
            use()
    assert (ring.is_open, ring.checks, ring.is_current(token)) == (False, (), False)
    assert repr(ring) == "KeyRing(current=, keys=0)"


def test_closed_ring_opens_again_with_the_keys_that_it_is_given() -> None:
    ring = KeyRing(None)
    assert not ring.is_open

    ring.replace(a_key(1))

    assert ring.decrypt(a_token(), APPLICATION_ID) == Pan(PAN)


@given(st.uuids())
@example(OTHER_APPLICATION_ID)
def test_another_applications_token_does_not_open(other: UUID) -> None:
    token = a_token()

    with pytest.raises(Invalid) as altered:
        a_ring().decrypt(token, other)

    words = "the encrypted PAN was altered or belongs to another application"
    assert (altered.value.kind, str(altered.value)) == ("tampered_token", words)
    assert altered.value.__cause__ is None


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_closes_the_token(bit: int) -> None:
    token = a_token()

    for place in range(TOKEN_BYTES):
        with pytest.raises((Invalid, UnknownKey)):
            a_ring().decrypt(flipped(token, 8 * place + bit), APPLICATION_ID)


def test_token_with_the_key_id_of_another_key_does_not_decrypt() -> None:
    token = a_token(a_ring(1))
    swapped = token[:1] + key_id(a_key(2)) + token[9:]

    with pytest.raises(Invalid) as altered:
        a_ring(1, 2).decrypt(swapped, APPLICATION_ID)

    assert altered.value.kind == "tampered_token"


@given(st.binary(max_size=60))
@example(b"")
@example(a_token()[:-1])
@example(a_token() + b"\x00")
@example(b"\x02" + a_token()[1:])
def test_bytes_that_are_no_token_are_invalid_and_not_a_missing_key(content: bytes) -> None:
    with pytest.raises(Invalid) as unreadable:
        a_ring().decrypt(content, APPLICATION_ID)

    words = "the encrypted PAN is not a token of a known version"
    assert (unreadable.value.kind, str(unreadable.value)) == ("unreadable_token", words)


def test_a_token_under_an_unknown_key_names_that_key() -> None:
    token = a_token(a_ring(7))

    with pytest.raises(UnknownKey, match=key_id(a_key(7)).hex()) as unknown:
        a_ring(1, 2).decrypt(token, APPLICATION_ID)

    assert not isinstance(unknown.value, Invalid)
    assert "ENCRYPTION_KEYS_RETIRED" in str(unknown.value)


def test_encryptions_are_counted_by_key_until_they_are_taken() -> None:
    ring = a_ring(1, 2)
    a_token(ring)
    a_token(ring)

    assert [ring.take_uses(), ring.take_uses()] == [{key_id(a_key(1)): 2}, {}]


def test_token_is_of_the_current_key_or_of_another() -> None:
    ring = a_ring(1, 2)

    assert [ring.is_current(a_token(a_ring(number))) for number in (1, 2)] == [True, False]


def test_requiring_a_key_opens_nothing() -> None:
    a_ring().require_key(flipped(a_token(), 0))


def test_a_retired_key_still_opens() -> None:
    token = a_token(a_ring(1))

    assert a_ring(2, 1).decrypt(token, APPLICATION_ID) == Pan(PAN)


def test_encryption_takes_the_current_key_and_never_a_retired_one() -> None:
    token = a_token(a_ring(2, 1, 3))

    assert a_ring(2).decrypt(token, APPLICATION_ID) == Pan(PAN)


def test_nonces_are_never_the_same_twice() -> None:
    ring = a_ring()

    nonces = {ring.encrypt(Pan(PAN), APPLICATION_ID)[9:21] for _ in range(2000)}

    assert len(nonces) == 2000


def test_the_ring_of_the_settings_opens_with_current_and_retired_keys() -> None:
    ring = KeyRing.from_settings(SecretStr(a_key_text(3)), SecretStr(f" {a_key_text(1)} ,{a_key_text(2)},"))

    opened = [ring.decrypt(a_token(a_ring(number)), APPLICATION_ID) for number in (1, 2, 3)]

    assert opened == [Pan(PAN)] * 3
    assert ring.current_id == key_id(a_key(3))


def test_ring_is_that_of_the_file_only_where_no_key_is_given(tmp_path: Path) -> None:
    file, stores = tmp_path / "ring", {"database_url": DATABASE_URL, "kafka_bootstrap_servers": "127.0.0.1:9092"}
    key_file.write(file, RingKeys(a_key(1), (a_key(2),)))
    common = stores | {"pan_hash_key": a_key_text(9), "encryption_key": None}

    given = load(ApiSettings, **common | {"encryption_key": a_key_text(3), "encryption_keys_retired": a_key_text(4)})
    filed = load(ApiSettings, **common, encryption_key_file=str(file), score_draw_key=a_key_text(8))

    assert KeyRing.of(given).checks == KeyRing(a_key(3), [a_key(4)]).checks
    assert KeyRing.of(filed).checks == KeyRing(a_key(1), [a_key(2)]).checks


def test_hasher_of_the_settings_has_the_keys_of_both() -> None:
    settings = load(
        ApiSettings,
        database_url=DATABASE_URL,
        kafka_bootstrap_servers="127.0.0.1:9092",
        encryption_key=a_key_text(9),
        pan_hash_key=a_key_text(1),
        pan_hash_keys_retired=a_key_text(2),
    )

    assert [each.hash(Pan(PAN)) for each in PanHasher.of(settings).every] == [
        PanHasher(a_key(number)).hash(Pan(PAN)) for number in (1, 2)
    ]


def test_a_ring_without_retired_keys_is_a_ring() -> None:
    ring = KeyRing.from_settings(SecretStr(a_key_text(3)), SecretStr(""))

    assert ring.decrypt(a_token(a_ring(3)), APPLICATION_ID) == Pan(PAN)


def spellings(key: bytes) -> list[str]:
    return [key.hex(), repr(key)[2:-1], base64.b64encode(key).decode()]


def test_neither_ring_nor_hasher_shows_key_material() -> None:
    key, other = bytes(range(65, 97)), bytes(range(97, 129))

    text = repr(KeyRing(key, [other])) + str(KeyRing(key)) + repr(PanHasher(key)) + str(PanHasher(other))

    assert not [spelt for each in (key, other) for spelt in spellings(each) if spelt in text]
    assert key_id(key).hex() in text


def test_a_key_id_and_a_check_value_tell_nothing_of_each_other() -> None:
    key = a_key()

    assert len(key_id(key)) == 8
    assert len(check_value(key)) == 32
    assert not check_value(key).startswith(key_id(key))


# Pinned: the database holds ids and check values since its first start.
def test_a_known_key_keeps_its_id_and_check_value() -> None:
    assert key_id(a_key(1)).hex() == "afa54291bd1d82a1"
    assert check_value(a_key(1)).hex() == "d5da5b45c0c8896ffeca5907d997b9a56575a3c2059cc9789f0d9d194212b6c2"


# ── hashing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(NUMBERS)
def test_a_pans_hash_is_its_hmac_in_lower_case_hexadecimal(number: str) -> None:
    hashed = PanHasher(a_key(5)).hash(Pan(number))

    assert hashed == hmac.new(a_key(5), number.encode(), sha256).hexdigest()


def test_a_pans_hash_depends_on_the_key_and_is_no_plain_digest() -> None:
    hashes = {PanHasher(a_key(number)).hash(Pan(PAN)) for number in (1, 2)} | {sha256(PAN.encode()).hexdigest()}

    assert len(hashes) == 3


def test_fingerprints_of_two_purposes_differ_from_each_other_and_from_the_hash() -> None:
    hasher = PanHasher(a_key())

    prints = {hasher.fingerprint(purpose, PAN.encode()).hex() for purpose in ("idempotency key", "request body")}

    assert len(prints | {hasher.hash(Pan(PAN))}) == 3


def test_a_fingerprint_is_the_same_in_every_process_with_the_key() -> None:
    ours, theirs = PanHasher(a_key()), PanHasher(a_key())

    prints = [hasher.fingerprint("request body", b"content") for hasher in (ours, theirs, ours)]

    assert prints[0] == prints[1] == prints[2]
    assert prints[0] != PanHasher(a_key(2)).fingerprint("request body", b"content")


def test_other_hash_keys_are_beside_the_active_one_and_change_nothing_of_it() -> None:
    hasher = PanHasher(a_key(1), [a_key(2), a_key(3)])

    assert [each.hash(Pan(PAN)) for each in hasher.every] == [PanHasher(a_key(n)).hash(Pan(PAN)) for n in (1, 2, 3)]
    assert [each.key_id for each in hasher.every] == [key_id(a_key(n)) for n in (1, 2, 3)]
    assert PanHasher(a_key(1)).every[1:] == ()
    assert hasher.hash(Pan(PAN)) == PanHasher(a_key(1)).hash(Pan(PAN))


def test_claim_of_a_client_is_the_hmac_that_is_stored() -> None:
    key = hmac.digest(a_key(1), b"prequal claim of a client", sha256)

    claim = PanHasher(a_key(1)).claim(Pan(PAN), "k7m2xq9z")

    assert claim == hmac.digest(key, f"k7m2xq9z {PAN}".encode(), sha256).hex()


def test_fingerprints_of_two_contents_differ() -> None:
    hasher = PanHasher(a_key())

    assert hasher.fingerprint("request body", b"one") != hasher.fingerprint("request body", b"two")


# ── check values ────────────────────────────────────────────────────────────────────────────────────────────────────


class KeyChecks:
    """The table `key_checks` and a connection to it: SQL is the integration tests' matter, the judgement is here."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, bytes]]] = {}
        self.locked = False

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield
        self.locked = False

    async def fetch(self, _: str, purpose: str) -> list[dict[str, bytes]]:
        assert self.locked, "two first starts at once would both be first"
        return self.rows.get(purpose, [])

    async def execute(self, statement: str, *values: Any) -> None:
        if "lock" in statement:
            self.locked = True
        else:
            purpose, name, value = values
            self.rows.setdefault(purpose, []).append({"key_id": name, "check_value": value})


def key_check(holder: KeyRing | PanHasher) -> Callable[[Connection], Awaitable[None]]:
    if isinstance(holder, KeyRing):
        return recorded_key("ENCRYPTION_KEY", *holder.checks)
    return recorded_key("PAN_HASH_KEY", holder.check)


async def checked(table: KeyChecks, *holders: KeyRing | PanHasher) -> KeyChecks:
    for holder in holders:
        await key_check(holder)(cast("Connection", table))
    return table


async def test_the_first_start_records_the_keys() -> None:
    table = await checked(KeyChecks(), a_ring(1), PanHasher(a_key(2)))

    assert table.rows == {
        "ENCRYPTION_KEY": [{"key_id": key_id(a_key(1)), "check_value": check_value(a_key(1))}],
        "PAN_HASH_KEY": [{"key_id": key_id(a_key(2)), "check_value": check_value(a_key(2))}],
    }


async def test_the_same_keys_start_again_and_record_nothing_more() -> None:
    table = await checked(KeyChecks(), a_ring(1), PanHasher(a_key(2)))

    await checked(table, a_ring(1), PanHasher(a_key(2)))

    assert [len(rows) for rows in table.rows.values()] == [1, 1]


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [(a_ring(1), a_ring(2), "ENCRYPTION_KEY"), (PanHasher(a_key(1)), PanHasher(a_key(2)), "PAN_HASH_KEY")],
)
async def test_a_valid_but_wrong_key_stops_the_start_and_names_both(
    right: KeyRing | PanHasher, wrong: KeyRing | PanHasher, name: str
) -> None:
    table = await checked(KeyChecks(), right)

    with pytest.raises(Misconfigured, match=name) as stopped:
        await checked(table, wrong)

    assert key_id(a_key(1)).hex() in str(stopped.value)
    assert key_id(a_key(2)).hex() in str(stopped.value)


async def test_a_key_that_was_rotated_in_is_known() -> None:
    table = await checked(KeyChecks(), a_ring(1))
    table.rows["ENCRYPTION_KEY"].append({"key_id": key_id(a_key(2)), "check_value": check_value(a_key(2))})

    await checked(table, a_ring(2, 1))

    assert len(table.rows["ENCRYPTION_KEY"]) == 2
