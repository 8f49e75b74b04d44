"""The generated documents say what the code says, and their examples work."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Message
from pydantic_settings import BaseSettings

from prequal.core.errors import Invalid, Misconfigured
from prequal.core.settings import load
from prequal.local.keys import generate
from prequal.local.services import SETTINGS, ServiceProcess, environment_of
from prequal.local.settings import UpSettings
from prequal.messaging import dead_letter_publisher
from prequal.messaging.dead_letter_publisher import DeadLetter
from prequal.messaging.events import Event, Published
from prequal.messaging.messages import ConsumedMessage
from prequal.messaging.outbox import OutboxRow
from prequal.messaging.outbox_producer import headers_of
from prequal.schema.grants import GRANTS
from tools import asyncapi, env_examples, tables
from tools.documents import documents, drifted, write

ROOT = Path(__file__).parents[2]

REQUIRED = {
    "DATABASE_URL": "postgresql://client:secret@127.0.0.1/prequal",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    **generate(),
}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process without settings, in a folder of its own."""
    kinds: list[type[BaseSettings]] = [UpSettings, *env_examples.SERVICES.values()]
    for kind in kinds:
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_files_in_the_repository_are_what_the_code_says() -> None:
    assert drifted(ROOT) == [], "run `make documents`"


def test_writing_makes_them_all_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    written = write(tmp_path)

    assert written == list(documents())
    assert write(tmp_path) == []


def test_every_table_is_on_the_page_of_tables_once() -> None:
    named = [table for group in tables.TABLES.values() for table in group]

    assert sorted([*named, tables.EVERYBODYS]) == sorted(GRANTS)


def test_check_names_what_drifted_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "docs/openapi.json").write_text("{}\n")

    checked = _run("--check", folder=tmp_path)

    assert checked.returncode == 1
    assert "docs/openapi.json" in checked.stderr
    assert "asyncapi" not in checked.stderr
    assert (tmp_path / "docs/openapi.json").read_text() == "{}\n"


def test_an_unknown_word_is_answered_with_the_one_that_is_known(tmp_path: Path) -> None:
    answered = _run("--help-me", folder=tmp_path)

    assert answered.returncode == 1
    assert "--check" in answered.stderr


@pytest.mark.parametrize("event", asyncapi.EVENTS, ids=lambda event: event.__name__)
def test_the_published_example_is_read_by_the_code(event: type[Published]) -> None:
    published = _asyncapi()["components"]["messages"][event.__name__]["examples"][0]["payload"]

    decoded = event.decode(json.dumps(published).encode())

    assert (
        decoded.model_dump(mode="json", exclude_unset=True) | {event.time_field: published[event.time_field]}
        == published
    )


@pytest.mark.parametrize("event", asyncapi.EVENTS, ids=lambda event: event.__name__)
def test_the_published_fields_are_those_that_are_read(event: type[Published]) -> None:
    schema = _asyncapi()["components"]["schemas"][event.__name__]

    assert set(schema["properties"]) == set(event.model_fields)
    assert set(schema["properties"]) - set(schema["required"]) == set(event.model_fields) & {
        "cibil_score",
        "bureau_outcome",
        "report_mac",
        "challenge_draw",
        "challenge_mac",
        *({"client"} if issubclass(event, Event) else ()),
    }


def test_the_published_headers_are_those_that_the_publisher_sends() -> None:
    row = OutboxRow(1, "topic", uuid4(), "ApplicationSubmitted", uuid4(), "{}", "a-request", "a-trace")

    assert [name for name, _ in headers_of(row, row.traceparent)] == list(asyncapi.HEADERS)
    bare = OutboxRow(1, "topic", uuid4(), "ApplicationSubmitted", uuid4(), "{}", None, None)
    assert {name for name, _ in headers_of(bare, None)} == {*asyncapi.HEADERS} - {*asyncapi.OPTIONAL_HEADERS}


def test_the_published_dead_letter_headers_are_those_that_are_sent() -> None:
    message = ConsumedMessage(Message(topic="topic", partition=0, offset=0, value=b"{"), [])
    dead_letter = DeadLetter(message, Invalid("malformed_json", "the body is not JSON"))

    assert [name for name, _ in dead_letter_publisher.headers(dead_letter)] == list(asyncapi.DEAD_LETTER_HEADERS)


def test_operations_are_named_by_what_is_done_with_which_event() -> None:
    messages = _asyncapi()["components"]["messages"]

    for name, operation in _asyncapi()["operations"].items():
        verb = {"send": "publish", "receive": "consume"}[operation["action"]]
        assert name.removeprefix(verb).removesuffix("DeadLetter") in messages


def test_every_reference_leads_somewhere() -> None:
    document = _asyncapi()

    for reference in _references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


@pytest.mark.parametrize("name", env_examples.SERVICES)
def test_service_example_lacks_only_what_is_required(name: str) -> None:
    kind = env_examples.SERVICES[name]
    required = {field.upper() for field, info in kind.model_fields.items() if info.is_required()}

    with pytest.raises(Misconfigured) as refused:
        load(kind, _env_file=ROOT / f"env/{name}.env.example")

    assert {word for word in str(refused.value).replace(";", " ").split() if word in REQUIRED} == required


@pytest.mark.parametrize("name", env_examples.SERVICES)
def test_a_services_example_filled_in_and_uncommented_gives_the_defaults(name: str, tmp_path: Path) -> None:
    kind = env_examples.SERVICES[name]
    filled = tmp_path / "filled.env"
    filled.write_text(_filled(ROOT / f"env/{name}.env.example"))

    loaded = load(kind, _env_file=filled)

    assert _optional(loaded) == {
        field: info.default for field, info in kind.model_fields.items() if not env_examples.is_required(info)
    }


def test_a_service_without_keys_is_shown_none() -> None:
    for name in ("decision", "publisher"):
        shown = (ROOT / f"env/{name}.env.example").read_text()
        assert [key for key in ("ENCRYPTION_KEY", "PAN_HASH_KEY") if key in shown] == []


def test_the_example_of_up_loads_as_it_stands_and_uncommented(tmp_path: Path) -> None:
    uncommented = tmp_path / "uncommented.env"
    uncommented.write_text(_filled(ROOT / ".env.example"))

    assert load(UpSettings, _env_file=ROOT / ".env.example") == load(UpSettings)
    assert load(UpSettings, _env_file=uncommented) == load(UpSettings)


@pytest.mark.parametrize("name", env_examples.passed_on())
def test_what_up_is_said_to_hand_on_reaches_a_child(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(name, "7")

    services = [ServiceProcess(child, 1, tmp_path / "log", {}, tmp_path).environment for child in env_examples.SERVICES]
    errands = [environment_of(job, {}) for job in ("migrate", "maintain", "topics")]

    assert any(environment.get(name) == "7" for environment in [*services, *errands])


def test_what_finds_aws_reaches_those_whose_keys_it_may_have_wrapped_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_PROFILE", "VAULT_ADDR"):
        monkeypatch.setenv(name, "https://vault.example")

    for name in ("AWS_PROFILE", "VAULT_ADDR"):
        given = {child for child in SETTINGS if name in environment_of(child, {})}
        assert given == {"api", "credit"}


def test_empty_variable_does_not_hide_the_env_file_from_a_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("LOG_LEVEL=DEBUG\n")
    monkeypatch.setenv("LOG_LEVEL", "")

    assert environment_of("decision", {})["LOG_LEVEL"] == "DEBUG"


def _asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "docs/asyncapi.json").read_text())
    return document


def _run(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools", *words]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _filled(example: Path) -> str:
    """The example with every setting uncommented that has a value to show, and the required ones filled in."""
    lines = []
    for line in example.read_text().splitlines():
        name, _, value = line.removeprefix("# ").partition("=")
        if name.isupper() and " " not in name and (value or not line.startswith("# ")):
            lines.append(f"{name}={value or REQUIRED[name]}")
    return "\n".join(lines)


def _optional(settings: BaseSettings) -> dict[str, object]:
    return {
        name: getattr(settings, name)
        for name, info in type(settings).model_fields.items()
        if not env_examples.is_required(info)
    }


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [reference for item in node for reference in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if "$ref" in node else []
    return own + [reference for value in node.values() for reference in _references(value)]
