"""Key services that wrap the keys of a ring, behind one protocol, and the keys as they are in memory.

Invariant: an unwrapped key is in memory alone, and in no message.
"""

import os
from typing import Protocol

from prequal.core.errors import Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.keys import KEY_BYTES, key_id
from prequal.core.settings.key_source import KeySourceSettings
from prequal.security.data_key import DataKey
from prequal.security.key_file import RingKeys, StoredKey, WrappedKey


class KeyProvider(Protocol):
    """A key service. Both calls block, for a few seconds at most.

    Raises:
        KeysUnavailable: it does not answer, or not now.
        Misconfigured: it refuses, or a setting for it is missing.
    """

    def generate(self) -> DataKey:
        """A fresh key of 32 bytes, with its wrapped form."""

    def unwrap(self, wrapped: str) -> bytes:
        """The key in its wrapped form, as it is stored in the file of the ring."""


def generate(source: KeySource | None, settings: KeySourceSettings) -> DataKey:
    """A fresh key, made and wrapped by a key service; of no source, made here, and stored as it is.

    Raises and blocks as `KeyProvider` does.
    """
    if source is not None:
        return provider(source, settings).generate()
    key = os.urandom(KEY_BYTES)
    return DataKey(key, key)


def provider(source: KeySource, settings: KeySourceSettings) -> KeyProvider:
    """The key service of this name.

    Raises:
        Misconfigured: a setting for it is missing.
    """
    if source is KeySource.VAULT:
        from prequal.security.vault import VaultTransit  # its client is 10 MiB that other rings do without

        return VaultTransit(settings)
    from prequal.security.aws_kms import AwsKms

    return AwsKms(settings)


def unwrapped(ring: RingKeys, settings: KeySourceSettings) -> tuple[bytes, tuple[bytes, ...]]:
    """The key that encrypts, and those that decrypt only, as they are.

    Blocks while key services are asked, for a few seconds each key at most.

    Raises:
        KeysUnavailable: a key service does not answer.
        Misconfigured: it refuses, a setting for it is missing, or a key is on the ring twice.
    """
    providers = {source: provider(source, settings) for source in ring.sources}

    def plain(stored: StoredKey) -> bytes:
        if not isinstance(stored, WrappedKey):
            return stored
        key = providers[stored.source].unwrap(stored.text)
        if len(key) != KEY_BYTES:
            raise Misconfigured(f"A key of the ring that {stored.source} wrapped is not of {KEY_BYTES} bytes.")
        return key

    active, *decrypting = [plain(stored) for stored in ring.every]
    if len({active, *decrypting}) <= len(decrypting):
        raise Misconfigured("The key ring holds a key twice, wrapped in two ways.")
    return active, tuple(decrypting)


def without(ring: RingKeys, id_: bytes, settings: KeySourceSettings) -> RingKeys:
    """The ring without one of the keys that decrypt only. Raises and blocks as `unwrapped` does."""
    _, decrypting = unwrapped(ring, settings)
    kept = tuple(stored for stored, key in zip(ring.decrypting, decrypting, strict=True) if key_id(key) != id_)
    return RingKeys(ring.active, kept)
