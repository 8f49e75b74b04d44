"""The forms in which a PAN may have been left behind: in the clear, encoded, or as a hash without a key.

Invariant: each form is enough to tell the PAN, or to try all PANs against, and is found whatever stands around it.
"""

import base64
import hashlib
from collections.abc import Iterator

HASHES = ("sha256", "sha1", "md5", "sha512", "sha3_256", "blake2b")
SHORT_HASHES = (16, 32)
"""Bytes that BLAKE2b is usually cut to; it gives another hash for each length."""
HASH_BYTES = 16
"""Of a hash so much of the beginning is looked for: no other hash begins so, and a shortened one keeps as much."""


def forms(pan: str) -> dict[bytes, str]:
    """The name of each form of `pan`, by its bytes: 10 at least and 32 at most."""
    named: dict[bytes, str] = {}
    for form, content in _all_forms(pan):
        named.setdefault(content, form)
    return named


def _all_forms(pan: str) -> Iterator[tuple[str, bytes]]:
    plain = pan.encode()
    yield "as it is", plain
    yield "lower case", plain.lower()
    # Without the outermost zero it is the same in both byte orders.
    yield "utf-16", pan.encode("utf-16-le")[:-1]
    yield "utf-16, lower case", pan.lower().encode("utf-16-le")[:-1]
    yield from _hexadecimal("hexadecimal", plain)
    for offset, partial in enumerate((0, 2, 3)):
        # The bytes before and after the PAN decide the outermost digits: those are left out.
        yield f"base64 at offset {offset}", base64.b64encode(bytes(offset) + plain).rstrip(b"=")[partial:-1]
    for name, digest in _digests(plain):
        yield from _hash_forms(name, digest[:HASH_BYTES])


def _hash_forms(name: str, start: bytes) -> Iterator[tuple[str, bytes]]:
    yield f"{name}, raw", start
    yield from _hexadecimal(f"{name}, hexadecimal", start)
    # The last digit is cut off: it depends on what follows.
    yield f"{name}, base64", base64.b64encode(start).rstrip(b"=")[:-1]
    yield f"{name}, base64 for addresses", base64.urlsafe_b64encode(start).rstrip(b"=")[:-1]


def _digests(plain: bytes) -> Iterator[tuple[str, bytes]]:
    for name in HASHES:
        yield name, hashlib.new(name, plain, usedforsecurity=False).digest()
    for size in SHORT_HASHES:
        yield f"blake2b of {size} bytes", hashlib.blake2b(plain, digest_size=size).digest()


def _hexadecimal(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content.hex().encode()
    yield f"{name}, capitals", content.hex().upper().encode()
