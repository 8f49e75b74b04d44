"""`security.vault` and `security.key_providers`, over HTTP to a stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from prequal.core.errors import KeysUnavailable, Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.keys import key_id
from prequal.core.settings import WrappingSettings, load
from prequal.security import key_providers
from prequal.security.key_file import RingKeys, WrappedKey
from tests.builders import a_key
from tests.support.vault import TOKEN, Vault, a_vault


@pytest.fixture(scope="module")
def running() -> Iterator[Vault]:
    with a_vault() as vault:
        yield vault


@pytest.fixture
def vault(running: Vault) -> Vault:
    running.answers = None
    running.asked.clear()
    return running


def settings_of(vault: Vault, **changes: object) -> WrappingSettings:
    return load(WrappingSettings, **{name.lower(): value for name, value in vault.settings.items()} | changes)


def wrapped(vault: Vault, key: bytes) -> WrappedKey:
    return WrappedKey(KeySource.VAULT, vault.wrapped(key))


def test_fresh_key_is_unwrapped_to_itself(vault: Vault) -> None:
    fresh = key_providers.generate(KeySource.VAULT, settings_of(vault))

    assert len(fresh.key) == 32
    assert key_providers.unwrapped(RingKeys(fresh.stored), settings_of(vault)) == (fresh.key, ())


def test_fresh_key_of_no_service_is_held_as_it_is(vault: Vault) -> None:
    fresh, other = (key_providers.generate(None, settings_of(vault)) for _ in range(2))

    assert len(fresh.key) == 32
    assert fresh.stored == fresh.key != other.key
    assert not vault.asked


def test_ring_of_plain_and_wrapped_keys_is_unwrapped_in_its_order(vault: Vault) -> None:
    ring = RingKeys(wrapped(vault, a_key(2)), (a_key(1), wrapped(vault, a_key(3))))

    assert key_providers.unwrapped(ring, settings_of(vault)) == (a_key(2), (a_key(1), a_key(3)))


def test_wrapped_key_is_taken_off_a_ring_by_its_id(vault: Vault) -> None:
    kept, gone = wrapped(vault, a_key(1)), wrapped(vault, a_key(2))

    left = key_providers.without(RingKeys(a_key(3), (kept, gone)), key_id(a_key(2)), settings_of(vault))

    assert left == RingKeys(a_key(3), (kept,))


def test_same_key_wrapped_twice_is_refused(vault: Vault) -> None:
    ring = RingKeys(wrapped(vault, a_key(1)), (wrapped(vault, a_key(1)),))

    with pytest.raises(Misconfigured, match="holds a key twice"):
        key_providers.unwrapped(ring, settings_of(vault))


def test_key_of_another_length_is_refused(vault: Vault) -> None:
    with pytest.raises(Misconfigured, match="is not of 32 bytes"):
        key_providers.unwrapped(RingKeys(wrapped(vault, b"short")), settings_of(vault))


def test_token_is_read_from_its_file_at_each_use_and_the_namespace_is_sent(vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("expired")
    settings = settings_of(vault, vault_token="", vault_token_file=str(file), vault_namespace="lending")

    with pytest.raises(Misconfigured, match="VAULT_TOKEN_FILE"):
        key_providers.generate(KeySource.VAULT, settings)
    file.write_text(f"{TOKEN}\n")
    key_providers.generate(KeySource.VAULT, settings)

    assert {headers["X-Vault-Namespace"] for headers in vault.asked} == {"lending"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vault_addr": ""}, "VAULT_ADDR is missing"),
        ({"vault_transit_key": ""}, "VAULT_TRANSIT_KEY is missing"),
        ({"vault_token": ""}, "VAULT_TOKEN_FILE, or VAULT_TOKEN, is missing"),
        ({"vault_token": "of an intruder"}, "refuses the token of VAULT_TOKEN .* lack `update` on transit/datakey"),
        ({"vault_transit_key": "another"}, "VAULT_TRANSIT_KEY or VAULT_NAMESPACE is wrong"),
        ({"vault_transit_mount": "elsewhere"}, "status 404: VAULT_TRANSIT_MOUNT"),
    ],
)
def test_lasting_problem_is_one_sentence_that_names_the_setting(
    vault: Vault, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(Misconfigured, match=words) as refused:
        key_providers.generate(KeySource.VAULT, settings_of(vault, **changes))

    assert TOKEN not in str(refused.value)


def test_token_file_that_went_away_is_named(vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(TOKEN)
    settings = settings_of(vault, vault_token="", vault_token_file=str(file))
    file.unlink()

    with pytest.raises(Misconfigured, match="VAULT_TOKEN_FILE cannot be read: FileNotFoundError"):
        key_providers.generate(KeySource.VAULT, settings)


def test_key_that_another_vault_wrapped_is_refused_without_repeating_it(vault: Vault) -> None:
    strange = wrapped(Vault(), a_key(1))

    with pytest.raises(Misconfigured, match="did not wrap the key of the ring") as refused:
        key_providers.unwrapped(RingKeys(strange), settings_of(vault))

    assert strange.text not in str(refused.value)


@pytest.mark.parametrize("status", [429, 472, 500, 502, 503])
def test_vault_that_is_sealed_or_overloaded_is_waited_for(vault: Vault, status: int) -> None:
    vault.answers = status, b'{"errors": ["Vault is sealed"]}'

    with pytest.raises(KeysUnavailable, match=f"status {status}"):
        key_providers.generate(KeySource.VAULT, settings_of(vault))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": null}',
        json.dumps({"data": {"plaintext": 1, "ciphertext": "vault:v1:"}}).encode(),
        json.dumps({"data": {"plaintext": "no base64!", "ciphertext": "vault:v1:"}}).encode(),
    ],
)
def test_answer_that_is_none_of_vaults_is_waited_out(vault: Vault, body: bytes) -> None:
    vault.answers = 200, body

    with pytest.raises(KeysUnavailable, match="does not answer as Vault does"):
        key_providers.generate(KeySource.VAULT, settings_of(vault))


def test_vault_that_is_away_is_waited_for() -> None:
    with pytest.raises(KeysUnavailable, match="VAULT_ADDR cannot be reached: ConnectError"):
        key_providers.generate(KeySource.VAULT, settings_of(Vault()))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authority_of_vault_that_cannot_be_read_any_more_is_waited_for(
    vault: Vault, tmp_path: Path, content: str | None
) -> None:
    settings = settings_of(vault).model_copy(update={"vault_cacert": str(tmp_path / "ca.pem")})
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)

    with pytest.raises(KeysUnavailable, match=r"VAULT_CACERT cannot be read: (FileNotFoundError|SSLError)"):
        key_providers.generate(KeySource.VAULT, settings)


def test_fresh_key_is_not_shown(vault: Vault) -> None:
    fresh = key_providers.generate(KeySource.VAULT, settings_of(vault))

    assert repr(fresh.key) not in repr(fresh)
