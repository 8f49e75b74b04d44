"""Draw a soak: of each kind of figure a field of lines over the minutes, the highest named at their ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment

from bench.levels import FIGURES, Figure, Points, Sample

COLORS: Final = ("#2d6cdf", "#c2571a", "#2b8a3e", "#8f3fb0", "#b0872b", "#c22f5a", "#3a8f9e", "#777777")
MOST_LINES: Final = len(COLORS)
WIDTH: Final = 330
HEIGHT: Final = 150
NAMES: Final = 170
"""Room for the names at the right of a field."""
TOP: Final = 26
COLUMNS: Final = 2
LINE: Final = 13
"""Between two names."""

PICTURE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" font-family="sans-serif" font-size="11">
<style>
text { fill: #222 } .grid { stroke: #ccc } .line { fill: none; stroke-width: 1.5 } .title { font-weight: bold }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
</style>
{% for field in fields %}<g transform="translate({{ field.x }} {{ field.y }})">
<text class="title" y="-10">{{ field.name }}</text>
<text x="-6" y="4" text-anchor="end">{{ field.top }}</text>
<text x="-6" y="{{ h + 4 }}" text-anchor="end">0</text>
<line class="grid" x2="{{ w }}"/><line class="grid" y1="{{ h }}" y2="{{ h }}" x2="{{ w }}"/>
<text x="{{ w }}" y="{{ h + 14 }}" text-anchor="end">{{ minutes }} min</text>
{% for line in field.lines %}<polyline class="line" stroke="{{ line.color }}" points="{{ line.points }}"/>
<text x="{{ w + 6 }}" y="{{ line.label_y }}"><tspan style="fill: {{ line.color }}">■ </tspan>{{ line.name }}</text>
{% endfor %}</g>
{% endfor %}</svg>
"""


@dataclass(frozen=True)
class Line:
    """One series, in the coordinates of its field."""

    name: str
    color: str
    points: str
    label_y: int


@dataclass(frozen=True)
class Field:
    """All series of one figure."""

    name: str
    top: str
    x: int
    y: int
    lines: list[Line]


def picture(samples: Sequence[Sample]) -> str:
    """The samples as SVG."""
    fields = [_field(figure, samples, number) for number, figure in enumerate(FIGURES)]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    rows = -(-len(FIGURES) // COLUMNS)
    return environment.from_string(PICTURE).render(
        fields=fields,
        w=WIDTH,
        h=HEIGHT,
        minutes=f"{samples[-1]['at'] / 60:.0f}",
        width=COLUMNS * (WIDTH + NAMES + 60),
        height=rows * (HEIGHT + 60) + TOP,
    )


def _field(figure: Figure, samples: Sequence[Sample], number: int) -> Field:
    series = dict([*figure.series(samples).items()][:MOST_LINES])
    top = max((value for points in series.values() for _, value in points), default=0.0) or 1.0
    row, column = divmod(number, COLUMNS)
    x, y = 50 + column * (WIDTH + NAMES + 60), TOP + row * (HEIGHT + 60)
    ends = _apart([round(_y(points[-1][1], top)) for points in series.values()])
    lines = [
        Line(name, color, _line(points, samples[-1]["at"], top), end + 4)
        for (name, points), color, end in zip(series.items(), COLORS, ends, strict=False)
    ]
    return Field(figure.name, f"{top:,.2f}" if top < 10 else f"{top:,.0f}", x, y, lines)


def _line(points: Points, until: float, top: float) -> str:
    return " ".join(f"{at / max(until, 1) * WIDTH:.1f},{_y(value, top):.1f}" for at, value in points)


def _y(value: float, top: float) -> float:
    return HEIGHT * (1 - min(max(value / top, 0), 1))


def _apart(heights: Sequence[int]) -> list[int]:
    """The same from the highest to the lowest, with room for a name between each two."""
    found: list[int] = []
    for height in heights:
        found.append(max(height, found[-1] + LINE) if found else height)
    return found
