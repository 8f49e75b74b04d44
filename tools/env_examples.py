"""Examples of settings, one file a process and one for `prequal up`, made from the settings classes.

Invariant: copied as it stands, a file names exactly what is required and leaves everything else at its default.
"""

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from prequal.core.settings.login import RolesSettings
from prequal.core.topology import COMMANDS
from prequal.local.services import OF_ONE_PROCESS, SETTINGS
from prequal.local.settings import UpSettings

SERVICES: Mapping[str, type[BaseSettings]] = {command: SETTINGS[command] for command in COMMANDS}

SET_BY_UP = OF_ONE_PROCESS | {"SHUTDOWN_SECONDS"}
"""What `prequal up` sets for each of its children."""

WIDTH = 116
HIGHEST_PORT = 65535

_HEAD = """\
# {title}
#
# {use}
# A line without a value must be filled in. A line that is commented out shows its default: uncomment it to change it.
# Made from the code by `make documents`; this file is not edited by hand.
"""


def files() -> dict[str, str]:
    """Every example, by its path in the repository."""
    services = {f"env/{name}.env.example": _service(name) for name in SERVICES}
    return {".env.example": _up(), **services, "env/roles.env.example": _roles()}


def passed_on() -> dict[str, FieldInfo]:
    """The settings that `prequal up` only passes on to its children, by name."""
    fields = {name.upper(): field for kind in SETTINGS.values() for name, field in kind.model_fields.items()}
    own = {name.upper() for name in UpSettings.model_fields}
    return {name: field for name, field in fields.items() if name not in own | SET_BY_UP}


def _up() -> str:
    head = _HEAD.format(
        title="Settings of `prequal up`, which runs everything on this machine: none of them is required.",
        use="Copy it to .env beside this file, or set the same names in the environment, which wins.",
    )
    own = {name.upper(): field for name, field in UpSettings.model_fields.items()}
    return "\n".join([head, *_lines(own), "# Passed on to the processes that have them:", "", *_lines(passed_on())])


def _service(name: str) -> str:
    kind = SERVICES[name]
    head = _HEAD.format(
        title=f"Settings of {kind.model_fields['service_name'].default} (`prequal {name}`), run on its own.",
        use="Copy it to .env in the process's working folder, or set the same names in its environment, which wins.",
    )
    return "\n".join([head, *_lines(kind.model_fields)])


def _roles() -> str:
    head = _HEAD.format(
        title="Settings of `prequal roles`, which makes the database's roles and the logins of the processes.",
        use="Copy it to .env in the folder where you run it, or set the same names in its environment, which wins.",
    )
    return "\n".join([head, *_lines(RolesSettings.model_fields)])


def _lines(fields: Mapping[str, FieldInfo]) -> Iterable[str]:
    for name, field in fields.items():
        allowed = _allowed(field)
        text = f"{field.description} ({allowed})" if allowed else str(field.description)
        yield from wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield f"{name.upper()}=" if is_required(field) else f"# {name.upper()}={_text(field.default)}"
        yield ""


def is_required(field: FieldInfo) -> bool:
    """Whether the example asks for it: it has no default, or only another setting can take its place."""
    return field.is_required() or "Required without" in (field.description or "")


def _allowed(field: FieldInfo) -> str:
    """The allowed values, where the type limits them to some words or to a range other than that of ports."""
    if get_origin(field.annotation) is Literal:
        return " | ".join(map(str, get_args(field.annotation)))
    signs = {"gt": "over", "ge": "from", "le": "to"}
    limits = {sign: getattr(limit, sign) for limit in field.metadata for sign in signs if hasattr(limit, sign)}
    return "" if limits.get("le") == HIGHEST_PORT else " ".join(f"{signs[sign]} {limits[sign]}" for sign in limits)


def _text(default: object) -> str:
    if default is None:
        return ""
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)
