"""Draw what `bench.compare --record FILE` wrote: each pair's ratio of other to base a dot, their median a bar.

    python -m bench.plots docs/performance/e0502c8.jsonl docs/performance/e0502c8.svg

An aim is a hollow mark. Ratios lie on a logarithmic scale, so that half and double are as far from 1.
"""

import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Final

from jinja2 import Environment

from bench.pairs import lines_of as lines_of_record

SHOWN: Final = {
    "all": "CPU",
    "python": "CPU of Python",
    "postgres": "CPU of PostgreSQL",
    "kafka": "CPU of Kafka",
    "a second": "decisions a second",
    "final p50": "202 → final, p50",
    "final p99": "202 → final, p99",
    "whole p50": "due → final, p50",
    "whole p99": "due → final, p99",
}
AIMS: Final = {
    ("bursts", "all"): 0.5,
    ("bursts", "a second"): 2.0,
    ("200/s", "final p50"): 0.4,
    ("200/s", "final p99"): 0.5,
    ("5/s", "final p50"): 0.6,
    ("5/s", "all"): 0.6,
    ("idle", "all"): 0.6,
}
SIZE: Final = re.compile(" of | for ")
"""Behind the name of a load."""
LEAST: Final = 0.25
GREATEST: Final = 4.0
LEFT: Final = 250
WIDTH: Final = 480
ROW: Final = 22
TICKS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)

PICTURE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ left + width + 70 }} {{ height }}" font-family="sans-serif"
 font-size="12">
<style>
text { fill: #222 } .grid { stroke: #ccc } .dot { fill: #2d6cdf; opacity: 0.5 } .median { stroke: #12356f }
.aim { fill: none; stroke: #b3590b; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .grid { stroke: #444 } .median { stroke: #a9c6ff } .aim { stroke: #f0a35e } }
</style>
{% for tick in ticks %}<line class="grid" x1="{{ x(tick) }}" x2="{{ x(tick) }}" y1="20" y2="{{ height - 8 }}"/>
<text x="{{ x(tick) }}" y="14" text-anchor="middle">{{ "%g" % tick }}</text>
{% endfor %}
{% for line in lines %}<text x="{{ left - 10 }}" y="{{ line.y + 4 }}" text-anchor="end">{{ line.name }}</text>
{% for ratio in line.ratios %}<circle class="dot" cx="{{ x(ratio) }}" cy="{{ line.y }}" r="4"/>
{% endfor %}
<line class="median" x1="{{ x(line.median) }}" x2="{{ x(line.median) }}" y1="{{ line.y - 7 }}" y2="{{ line.y + 7 }}"
 stroke-width="3"/>
{% if line.aim %}<circle class="aim" cx="{{ x(line.aim) }}" cy="{{ line.y }}" r="6"/>
{% endif %}<text x="{{ left + width + 10 }}" y="{{ line.y + 4 }}">{{ "%.2f" % line.median }}</text>
{% endfor %}</svg>
"""


@dataclass(frozen=True)
class Line:
    """One figure of one load: the ratios of the pairs, and what is aimed at."""

    name: str
    ratios: list[float]
    aim: float | None
    y: int

    @property
    def median(self) -> float:
        """Of the ratios."""
        return statistics.median(self.ratios)


def x(ratio: float) -> float:
    """Where a ratio lies; what is outside lies at the border."""
    part = (log2(min(max(ratio, LEAST), GREATEST)) - log2(LEAST)) / (log2(GREATEST) - log2(LEAST))
    return round(LEFT + part * WIDTH, 1)


def lines_of(record: str) -> Iterator[Line]:
    """The lines of a picture, by load and figure in the order of the record; of each load its last sides' pairs."""
    found: dict[tuple[str, str], list[float]] = {}
    pairs = [*lines_of_record(record)]
    sides = {each["load"]: each.get("sides") for each in pairs}
    for each in pairs:
        if each.get("sides") != sides[each["load"]]:
            continue
        for figure in filter(SHOWN.__contains__, each["base"]):
            found.setdefault((each["load"], figure), []).append(each["other"][figure] / each["base"][figure])
    for number, ((load, figure), ratios) in enumerate(found.items()):
        aim = AIMS.get((SIZE.split(load)[0], figure))
        yield Line(f"{load}: {SHOWN[figure]}", ratios, aim, 34 + number * ROW)


def picture(record: str) -> str:
    """The record as SVG."""
    lines = [*lines_of(record)]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.from_string(PICTURE).render(
        lines=lines, ticks=TICKS, x=x, left=LEFT, width=WIDTH, height=34 + len(lines) * ROW
    )


def main() -> None:
    """Read the record, write the picture."""
    record, drawn = map(Path, sys.argv[1:])
    drawn.write_text(picture(record.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
