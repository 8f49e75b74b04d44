"""The methods that an address takes, of all of its routes: the frameworks name those of one of them."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope


def allowed(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """The methods of an address, as `Allow` lists them (RFC 9110, 10.2.1); a file, which has no route, is read."""
    found = set[str]()
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return ", ".join(sorted(found or {"GET", "HEAD"}))
