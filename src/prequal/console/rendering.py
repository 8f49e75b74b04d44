"""Pages from templates: what is inserted is escaped, numbers are grouped as in India, times are of one zone.

Invariant: no template switches the escaping off, or has the text of a script or a style in it; a test holds that.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from prequal.domain import counts
from prequal.domain.money import rupees
from prequal.ops.timeline import format_duration

MISSING: Final = "–"
_CODE: Final = re.compile("`([^`]+)`")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)", re.ASCII)


class Renderer:
    """The templates, with times of one zone."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        self._templates = Environment(
            loader=PackageLoader("prequal.console"),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["style"] = _address("console.css")
        self._templates.globals["script"] = _address("live.js")
        self._templates.filters |= {
            "at": self.at,
            "count": count,
            "noun": counts.noun,
            "inr": inr,
            "said": self.said,
            "timed": self.timed,
            "value": value,
            "coded": coded,
            "duration": lambda span: MISSING if span is None else format_duration(span),
            "words": lambda name: str(name).replace("_", " "),
        }

    def compile(self) -> None:
        """Compile every template, so that nobody's first look waits for it."""
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def page(self, template: str, values: Mapping[str, Any]) -> str:
        """A template with its values."""
        return self._templates.get_template(template).render(values)

    def at(self, moment: datetime | None, *, milliseconds: bool = False) -> str:
        """`28 Nov 2026, 18:24:51 IST`, or `18:24:51.042`."""
        if moment is None:
            return MISSING
        local = moment.astimezone(self._zone)
        parts = f".{local.microsecond // 1000:03d}" if milliseconds else ""
        return f"{local:%-d %b %Y, %H:%M:%S}{parts} {local:%Z}"

    def said(self, detail: object) -> str:
        """A detail of an act: `yes` and `no` for what is true or false, times as everywhere."""
        if isinstance(detail, bool):
            return "yes" if detail else "no"
        if isinstance(detail, str) and _TIME.fullmatch(detail):
            return self.timed(detail)
        return MISSING if detail is None else str(detail)

    def timed(self, sentence: str) -> str:
        """A sentence of ours, with the times in it as everywhere; what only looks like a time stays as it is."""
        return _TIME.sub(lambda found: self._time(found[0]), sentence)

    def _time(self, text: str) -> str:
        try:
            return self.at(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return text


def _address(name: str) -> str:
    """The address of a file of ours with its hash in it, so that a new release's pages get a new one at once."""
    content = (files("prequal.console") / "static" / name).read_bytes()
    return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"


def inr(amount: Decimal | str | None) -> str:
    """`₹12,34,567.50`."""
    return MISSING if amount is None else rupees(Decimal(amount))


def count(number: int | None) -> str:
    """`12,34,567`."""
    return MISSING if number is None else counts.grouped(number)


def coded(sentence: str) -> Markup:
    """A sentence of ours, with what stands in it between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(sentence))))  # noqa: S704  # escaped before


def value(found: object) -> str:
    """A value of a policy's document: text as it stands, everything else as JSON."""
    return MISSING if found is None else found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
