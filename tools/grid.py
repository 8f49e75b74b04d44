"""The grids of roles and tables, and of users and topics, in `docs/security.md`, made from the code.

Invariant: the rest of the page is left as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from prequal.messaging import acls
from prequal.messaging.acls import KafkaUser
from prequal.schema.grants import DUTIES, GRANTS, Role

PAGE: Final = Path("docs/security.md")
BEGIN: Final = "<!-- grid: made by `make documents` from src/prequal/schema/grants.py -->"
END: Final = "<!-- end of grid -->"
USERS_BEGIN: Final = "<!-- users: made by `make documents` from src/prequal/messaging/acls.py -->"
USERS_END: Final = "<!-- end of users -->"
STRIMZI: Final = Path("deploy/kubernetes/components/stores/kafka-users.yaml")
STRIMZI_HEAD: Final = """\
# The brokers' users, one a process, and what each may do: `prequal topics --acls strimzi`. Strimzi draws passwords.
# Made from the code by `make documents`; this file is not edited by hand.

"""
PROCESSES: Final = (Role.API, Role.CREDIT, Role.DECISION, Role.PUBLISHER)


def page() -> str:
    """The page, with the grids of today."""
    written = (Path(__file__).parent.parent / PAGE).read_text(encoding="utf-8")
    people = [role for role in Role if role not in PROCESSES]
    with_roles = _between(written, BEGIN, END, [*_table(PROCESSES), "", *_table(people)])
    return _between(with_roles, USERS_BEGIN, USERS_END, _users())


def strimzi() -> str:
    """The users as resources for Kubernetes."""
    return STRIMZI_HEAD + "\n".join(acls.as_strimzi()) + "\n"


def _between(page: str, begin: str, end: str, lines: Iterable[str]) -> str:
    return "\n".join([page.split(begin)[0] + begin, *lines, end + page.split(end)[1]])


def _users() -> Iterator[str]:
    """A line a user."""
    yield "| user | used by | topics | groups |"
    yield "|---|---|---|---|"
    for user in KafkaUser:
        allowed = acls.of(user)
        cells = (
            ", ".join(f"{' and '.join(found)} `{name}`" for (kind, name), found in allowed.items() if kind == wanted)
            for wanted in ("topic", "group")
        )
        yield f"| `{user}` | {acls.DUTIES[user]} | {' | '.join(cells)} |"


def _table(roles: Sequence[Role]) -> Iterator[str]:
    """A line a table of which one of these roles may do anything."""
    yield f"| table | {' | '.join(f'`{role}`' for role in roles)} |"
    yield "|---" * (len(roles) + 1) + "|"
    yield f"| used by | {' | '.join(DUTIES[role] for role in roles)} |"
    for table, cells in GRANTS.items():
        if any(role in cells for role in roles):
            yield f"| `{table}` | {' | '.join(cells.get(role, '') for role in roles)} |"
