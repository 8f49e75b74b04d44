"""How much text is normalised (Unicode), which takes time that grows with the square of a text of marks."""

import unicodedata
from typing import Any

import pytest

MARKS = "\u0300\u0316"
"""Marks above and below by turns: normalisation sorts them, by insertion."""


def lengths_normalised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of texts beyond ASCII that any module normalises from now on; of ASCII it is a look at a flag."""
    lengths: list[int] = []
    normalize: Any = unicodedata.normalize

    def noting(form: str, text: str) -> str:
        if not text.isascii():
            lengths.append(len(text))
        normal: str = normalize(form, text)
        return normal

    monkeypatch.setattr(unicodedata, "normalize", noting)
    return lengths
