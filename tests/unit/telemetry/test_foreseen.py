"""`telemetry.shown` against the code that counts: every value of a label that it can give exists from the start."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

import pytest

import prequal
from prequal.api.openapi import document
from prequal.core.topology import COMMANDS, Service
from prequal.messaging.handler import ACKNOWLEDGED
from prequal.service import http_answers
from prequal.telemetry import metrics
from prequal.telemetry.shown import SHOWN

SOURCE: Final = Path(prequal.__file__).parent
THROUGH: Final = {
    ("api/authentication.py", "_refusal"): ("AUTHENTICATION_FAILURES", 0),
    ("api/rate_limits.py", "_limited"): ("RATE_LIMITED", 0),
    ("service/http_connections.py", "_let_go"): ("HTTP_CONNECTIONS_CLOSED", 1),
}
"""Functions of ours that are given a label's value: the metric, and which argument it is."""
REFUSED_UNREAD: Final = {"414", "431"}
"""What is refused always before it is a request."""
Given: TypeAlias = tuple[str, str, tuple[str | None, ...]]
"""A module, a metric's name, and the values of its labels; None for one that is known only when it is counted."""


@cache
def given() -> tuple[Given, ...]:
    """Every place of the code that names a label's value."""
    return tuple(chain.from_iterable(_given_in(file) for file in sorted(SOURCE.rglob("*.py"))))


def _given_in(file: Path) -> Iterator[Given]:
    module = str(file.relative_to(SOURCE))
    for call in ast.walk(ast.parse(file.read_text())):
        match call:
            case ast.Call(ast.Attribute(ast.Attribute(ast.Name("metrics"), name), "labels"), arguments):
                yield module, name, tuple(map(_text, arguments))
            case ast.Call(ast.Attribute(_, "use"), [ast.Constant(str(query))]):
                yield module, "DB_SECONDS", (query,)
            case ast.Call(ast.Name(function) | ast.Attribute(_, function), arguments) if (module, function) in THROUGH:
                metric, position = THROUGH[module, function]
                yield module, metric, (_text(arguments[position]),)


def _text(argument: ast.expr) -> str | None:
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def exporters(module: str) -> list[Service]:
    """The process that a module is a part of; all of them for what they share."""
    return [COMMANDS[package]] if (package := module.partition("/")[0]) in COMMANDS else list(Service)


def foreseen(exporter: Service, name: str) -> Sequence[tuple[str, ...]]:
    """The series of a metric that exist from the start of a process; none where it has no such metric."""
    return SHOWN[exporter].get(getattr(metrics, name), ())


@pytest.mark.parametrize("each", [each for each in given() if any(each[2])], ids=str)
def test_value_of_a_label_that_the_code_names_is_foreseen(each: Given) -> None:
    module, name, values = each
    series = chain.from_iterable(foreseen(exporter, name) for exporter in exporters(module))

    assert any(all(ours in (None, theirs) for ours, theirs in zip(values, one, strict=True)) for one in series)


def test_places_that_name_a_value_are_found() -> None:
    assert len(given()) > 60
    assert {metric for metric, _ in THROUGH.values()} <= {name for _, name, values in given() if any(values)}


def test_every_answer_of_the_api_that_is_described_is_foreseen() -> None:
    described = {
        ("other", "other", status) if status in REFUSED_UNREAD else (method.upper(), path, status)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    } | {("other", "other", str(status)) for status in http_answers.WORDS}

    assert sorted(foreseen(Service.API, "HTTP_REQUESTS")) == sorted(described)


@pytest.mark.parametrize("exporter", [Service.CREDIT, Service.DECISION])
def test_every_outcome_of_a_message_is_foreseen(exporter: Service) -> None:
    assert set(ACKNOWLEDGED) <= {outcome for _, outcome in foreseen(exporter, "CONSUMED")}
