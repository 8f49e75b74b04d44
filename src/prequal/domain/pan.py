"""The applicant's Permanent Account Number, and every way of not showing it.

Invariant: whatever prints, logs, formats, copies or pickles a `Pan` sees the mask only.
"""

import re

SHAPE = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")
MASK = "XXXXX"


class Pan:
    """A well-formed PAN in memory: ten characters, `[A-Z]{5}[0-9]{4}[A-Z]` (Income-tax Act 1961, s. 139A).

    `repr`, `str`, `format`, pickling and copying give the mask; `reveal` is the only way to the number.
    """

    __slots__ = ("_number",)

    def __init__(self, number: str) -> None:
        """Take `number` as it is.

        Raises:
            ValueError: it is not exactly a PAN; the message does not repeat it.
        """
        if not SHAPE.fullmatch(number):
            raise ValueError("not a PAN: five capital letters, four digits and a capital letter are expected")
        self._number = number

    @property
    def masked(self) -> str:
        """The mask and the last five characters, `XXXXX1234F`: the most that may ever be shown."""
        return MASK + self._number[5:]

    @property
    def holder_type(self) -> str:
        """The fourth letter: `P` for an individual, `C` for a company, `H` for a Hindu undivided family, and so on."""
        return self._number[3]

    @property
    def serial(self) -> str:
        """The four digits, which begin at 0001."""
        return self._number[5:9]

    def is_in(self, text: str) -> bool:
        """Whether `text` holds the number as it is."""
        return self._number in text

    def reveal(self) -> str:
        """The number in the clear. Every call is worth a search: only encryption and hashing need it."""
        return self._number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pan) and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)

    def __repr__(self) -> str:
        return f"Pan({self.masked})"

    def __str__(self) -> str:
        return self.masked

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.masked,)
