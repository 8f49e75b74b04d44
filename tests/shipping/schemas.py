"""The schemas of custom resources, from their operators' definitions: an unknown field is an error.

Invariant: `python -m tests.shipping.schemas CRD …` writes them from the operators' own definitions, so that none is
written by hand.
"""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FOLDER = Path(__file__).parent / "schemas"

Schema = dict[str, Any]


def is_custom(resource: Schema) -> bool:
    """Whether there is an operator's schema for it."""
    return _file(resource["apiVersion"], resource["kind"]).exists()


def complaints(resource: Schema) -> list[str]:
    """What is wrong with a custom resource, a line each; nothing if it is right."""
    errors = _validator(resource["apiVersion"], resource["kind"]).iter_errors(resource)
    return [f"{error.json_path}: {error.message}" for error in errors]


@functools.cache
def _validator(version: str, kind: str) -> Any:
    schema = json.loads(_file(version, kind).read_text())
    return jsonschema.Draft202012Validator(_strict(schema, root=True))


def _file(version: str, kind: str) -> Path:
    return FOLDER / f"{kind.lower()}.{version.replace('/', '-')}.json"


def _strict(schema: Schema, *, root: bool = False) -> Schema:
    """As the API server does it: a field that the schema does not name is an error, where it names any."""
    strict = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            strict[key] = _strict(schema[key])
    if "properties" in schema:
        strict["properties"] = {name: _strict(inner) for name, inner in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict.setdefault("additionalProperties", False)
    if root:
        strict["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    return strict


def _bare(schema: Any) -> Any:
    """A schema without its explanations, and without the rules in CEL, which nobody here can evaluate."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _bare(inner) for name, inner in value.items()} if key == "properties" else _bare(value)
        for key, value in schema.items()
        if key not in ("description", "x-kubernetes-validations")
    }


def write(definition: Path) -> list[Path]:
    """Write the schema of each version that a CustomResourceDefinition serves; returns the files."""
    spec = yaml.safe_load(definition.read_text())["spec"]
    written = []
    for version in spec["versions"]:
        schema = _bare(version["schema"]["openAPIV3Schema"])
        schema["properties"].pop("status", None)
        file = _file(f"{spec['group']}/{version['name']}", spec["names"]["kind"])
        file.write_text(json.dumps(schema, separators=(",", ":")) + "\n")
        written.append(file)
    return written


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        write(Path(argument))
