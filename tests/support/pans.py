"""Any PAN, any text to put one into, and what a text still shows of PANs."""

import re

from hypothesis import strategies as st

NUMBERS = st.from_regex(re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]", re.ASCII), fullmatch=True)
TEXTS = st.text(st.sampled_from("abXYZ019 .,:;/\\\"'{}[]()-_=&?%+\n\t₹é"), max_size=12)
SHAPED = re.compile(r"(?=([A-Za-z]{5}[0-9]{4}[A-Za-z]))")


def shown(text: str) -> list[str]:
    """The PAN-shaped stretches of a text, overlapping ones too, that are more than the mask."""
    return [found for found in SHAPED.findall(text) if not found.startswith("XXXXX")]
