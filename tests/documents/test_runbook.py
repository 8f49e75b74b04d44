"""The runbook and the administration page, and what they speak of: alerts, panels, commands, queries, settings."""

import re
import shlex
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
import yaml

from harness.database import Database
from observability.boards import BOARDS
from prequal.cli.app import app
from prequal.core.errors import KINDS
from prequal.local.services import SETTINGS
from prequal.telemetry.metrics import PUBLISH_ERROR_NAMES
from tools.env_examples import SERVICES

ROOT = Path(__file__).parents[2]
RUNBOOK_PAGE = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
PAGE = RUNBOOK_PAGE + (ROOT / "docs/administration.md").read_text(encoding="utf-8")
RULES = [
    rule
    for file in sorted((ROOT / "observability/rules").glob("*.yml"))
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS: dict[str, Any] = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOK = RUNBOOK_PAGE.partition("\n## Alerts\n")[2]
ENTRIES = {entry.partition("\n")[0]: entry for entry in RUNBOOK.split("\n### ")[1:]}

QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = sorted({*re.findall(r"^prequal (.+)$", SHELL, re.MULTILINE), *re.findall(r"`prequal ([^`]+)`", PAGE)})


def test_every_alert_has_its_entry_and_every_entry_its_alert() -> None:
    assert list(ENTRIES) == list(dict.fromkeys(ENTRIES))
    assert set(ENTRIES) == set(ALERTS)


def test_index_has_every_alert_once_in_the_column_of_its_severity() -> None:
    rows = [
        line.split("|")[2:4] for line in RUNBOOK.partition("\n### ")[0].splitlines() if "](#" in line and line[0] == "|"
    ]
    linked = [
        (name, severity)
        for row in rows
        for severity, cell in zip(("critical", "warning"), row, strict=True)
        for name, place in re.findall(r"\[(\w+)\]\(#(\w+)\)", cell)
        if place == name.lower()
    ]

    assert sorted(linked) == sorted((name, rule["labels"]["severity"]) for name, rule in ALERTS.items())


@pytest.mark.parametrize("name", ALERTS)
def test_alert_leads_to_its_entry_and_says_what_the_user_feels(name: str) -> None:
    rule = ALERTS[name]

    place = '{{ or $externalLabels.runbook "docs/runbook.md" }}'
    assert rule["annotations"]["runbook_url"] == f"{place}#{name.lower()}"
    assert set(rule["annotations"]) == {"summary", "impact", "runbook_url"}
    assert rule["labels"]["severity"] in ("critical", "warning")


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_says_everything_that_is_asked_at_night(name: str) -> None:
    _, severity, *parts = ENTRIES[name].split("\n\n")

    marks = re.findall(r"^\*\*(.+?):\*\*", "\n\n".join(parts), re.MULTILINE)
    assert severity.lower().startswith(ALERTS[name]["labels"]["severity"])
    assert marks == ["The user feels", "Look first", "Likely", "Do"]


def test_every_panel_leads_to_entries_that_are_there() -> None:
    linked = {alert for board in BOARDS for panel in board.panels() for alert in panel.alerts}

    assert linked
    assert linked - set(ENTRIES) == set()


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - anchors == set()


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_taken_as_it_stands(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)
    while hasattr(command, "commands"):
        assert words, f"`prequal {line}` names no command"
        name = words.pop(0)
        assert name in command.commands
        command = command.commands[name]

    context = command.make_context(name, words)

    assert not context.args
    assert context.params.get("reason") in (None, *KINDS)


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_runs(database: Database, query: str) -> None:
    with psycopg.connect(database.url) as connection:
        cursor = connection.execute(query.encode())

        assert cursor.description


def test_every_setting_that_is_named_is_one() -> None:
    kinds = {*SERVICES.values(), *SETTINGS.values()}
    settings = {field.upper() for kind in kinds for field in kind.model_fields}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", PAGE)) - set(PUBLISH_ERROR_NAMES)

    assert named - {"APPLICATION_ID"} - settings == set()
