"""The grid of roles and tables in `docs/security.md`, made from `prequal.schema.grants`.

Invariant: the rest of the page is left as it is.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from prequal.schema.grants import DUTIES, GRANTS, Role

PAGE: Final = Path("docs/security.md")
BEGIN: Final = "<!-- grid: made by `make documents` from src/prequal/schema/grants.py -->"
END: Final = "<!-- end of grid -->"
PROCESSES: Final = (Role.API, Role.CREDIT, Role.DECISION, Role.PUBLISHER)


def page() -> str:
    """The page, with the grid of today."""
    written = (Path(__file__).parent.parent / PAGE).read_text(encoding="utf-8")
    before, after = written.split(BEGIN)[0], written.split(END)[1]
    people = [role for role in Role if role not in PROCESSES]
    return "\n".join([f"{before}{BEGIN}", *_table(PROCESSES), "", *_table(people), END + after])


def _table(roles: Sequence[Role]) -> Iterator[str]:
    """A line a table of which one of these roles may do anything."""
    yield f"| table | {' | '.join(f'`{role}`' for role in roles)} |"
    yield "|---" * (len(roles) + 1) + "|"
    yield f"| used by | {' | '.join(DUTIES[role] for role in roles)} |"
    for table, cells in GRANTS.items():
        if any(role in cells for role in roles):
            yield f"| `{table}` | {' | '.join(cells.get(role, '') for role in roles)} |"
