"""Pages from templates: what is inserted is escaped, numbers are grouped as in India, times are of one zone.

Invariant: no template switches the escaping off, or has a script or a style in it; a test holds that.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from prequal.domain.policy.sentences import rupees
from prequal.ops.timeline import format_duration

MISSING: Final = "–"


class Renderer:
    """The templates, with times of one zone."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        self._templates = Environment(
            loader=PackageLoader("prequal.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["style"] = f"/static/console.css?{_hash_of_style()}"
        self._templates.filters |= {
            "at": self.at,
            "count": count,
            "inr": inr,
            "duration": lambda span: MISSING if span is None else format_duration(span),
            "words": lambda name: str(name).replace("_", " "),
        }

    def page(self, template: str, values: Mapping[str, Any]) -> str:
        """A template with its values."""
        return self._templates.get_template(template).render(values)

    def at(self, moment: datetime | None) -> str:
        """`28 Nov 2026, 18:24:51 IST`."""
        if moment is None:
            return MISSING
        return f"{moment.astimezone(self._zone):%-d %b %Y, %H:%M:%S %Z}"


def _hash_of_style() -> str:
    """Part of the style sheet's address, so that a new release's pages get a new one at once."""
    return hashlib.sha256((files("prequal.console") / "static" / "console.css").read_bytes()).hexdigest()[:12]


def inr(amount: Decimal | str | None) -> str:
    """`₹12,34,567.50`."""
    return MISSING if amount is None else rupees(Decimal(amount))


def count(number: int | None) -> str:
    """`12,34,567`."""
    return MISSING if number is None else rupees(Decimal(number)).removeprefix("₹").removesuffix(".00")
