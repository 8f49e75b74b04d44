"""The keys of a system that runs, as the environment or its data folder holds them."""

import base64
import os
from pathlib import Path
from typing import Final

PAN_HASH_KEYS: Final = ("PAN_HASH_KEY",)
DRAW_KEYS: Final = ("SCORE_DRAW_KEY", "ENCRYPTION_KEY")
"""The first of these that is set draws the simulated scores."""


class Unknown(Exception):
    """The system does not say what must be known of it."""


def key(file: Path, names: tuple[str, ...]) -> bytes:
    """The key under the first of `names` that the environment or `file`, a `keys.env`, knows.

    Raises:
        Unknown: neither knows one.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    for name in names:
        if text := os.environ.get(name) or pairs.get(name):
            return base64.b64decode(text)
    raise Unknown(f"{' or '.join(names)} is neither in the environment nor in {file}")
