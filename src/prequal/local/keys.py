"""The keys of PANs, reports, record and people: generated on request, and once for development in the data folder.

Invariant: a key is written to no file but `keys.env`, which only its owner may read.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from prequal.core import files
from prequal.core.errors import Misconfigured
from prequal.core.keys import KEY_BYTES, key_bytes

NAMES = ("ENCRYPTION_KEY", "PAN_HASH_KEY", "REPORT_KEY", "RECORD_KEY", "PEOPLE_KEY")
REPLACEABLE = ("REPORT_KEY", "RECORD_KEY", "PEOPLE_KEY")
"""Keys without which no applicant's data are lost: they are added to a file of an earlier release."""


def generate() -> dict[str, str]:
    """Fresh keys by the names of their settings, base64 of 32 random bytes each."""
    return {name: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() for name in NAMES}


def development_keys(file: Path, needed: Sequence[str] = NAMES) -> dict[str, str]:
    """The needed keys from `file`; without such a file they are generated and written to it, mode 0600.

    Raises:
        Misconfigured: the file exists and does not hold them; but for `REPLACEABLE`, which are added to it.
    """
    if not file.exists():
        files.write(file, "".join(f"{name}={key}\n" for name, key in generate().items()))
    try:
        pairs = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    except (OSError, UnicodeDecodeError):
        pairs = {}
    added = [name for name in REPLACEABLE if name in needed and name not in pairs]
    if added and _all_keys(pairs, needed):
        pairs |= {name: generate()[name] for name in added}
        files.write(file, "".join(f"{name}={key}\n" for name, key in pairs.items()))
    for name in needed:
        if not _is_key(pairs.get(name, "")):
            raise Misconfigured(
                f"{file} holds no good {name}: put it back from where you keep a copy, or set {name}; without the key "
                f"that it was made with, the data beside it cannot be used"
            )
    return {name: pairs[name] for name in needed}


def _all_keys(pairs: Mapping[str, str], needed: Sequence[str]) -> bool:
    return all(_is_key(pairs.get(name, "")) for name in needed if name not in REPLACEABLE)


def _is_key(text: str) -> bool:
    try:
        key_bytes(SecretStr(text))
    except ValueError:
        return False
    return True
