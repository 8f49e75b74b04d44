"""The documents that are made from the code: OpenAPI, AsyncAPI, grids of rights, tables, examples of settings.

Invariant: nothing is said here that the code does not say; what only the documents know is a title or an example.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prequal.api import openapi
from prequal.console.api import app as console_api
from tools import asyncapi, env_examples, grid, policy_schema, tables


def documents() -> dict[Path, str]:
    """Every generated file, by its path in the repository, with its whole content."""
    return {
        Path("docs/openapi.json"): _json(openapi.document()),
        Path("docs/console-openapi.json"): _json(console_api.document()),
        Path("docs/asyncapi.json"): _json(asyncapi.document()),
        Path("docs/policy.schema.json"): _json(policy_schema.document()),
        grid.PAGE: grid.page(),
        grid.STRIMZI: grid.strimzi(),
        tables.PAGE: tables.page(),
        **{Path(name): text for name, text in env_examples.files().items()},
    }


def write(root: Path, files: Mapping[Path, str] | None = None) -> list[Path]:
    """Write what differs below `root`, of `files` or of all documents; returns the paths that did."""
    files = documents() if files is None else files
    changed = drifted(root, files)
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    return changed


def drifted(root: Path, files: Mapping[Path, str] | None = None) -> list[Path]:
    """The files below `root` that are missing or are not what the code says."""
    return [path for path, text in (documents() if files is None else files).items() if _found(root / path) != text]


def _found(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
