"""The code stays small, and cites nothing that a reader cannot open."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from prequal.schema.grants import GRANTS
from tools import retired_words

ROOT = Path(__file__).parents[2]
MOST_LINES_OF_A_FILE = 350
MOST_LINES_OF_A_BODY = 40
MOST_ATTRIBUTES_OF_AN_OBJECT = 14
MORE_ATTRIBUTES = {
    "messaging/partitions.py Partitions": 17,  # one client, what it has, and what its callbacks found
    "local/supervisor.py LocalStack": 15,  # a folder, two stores, the processes and how each of them is doing
}
SOURCES = sorted((ROOT / "src").rglob("*.py"))
CITED = re.compile(r"\bdocs/[\w/-]+\.(?:md|json)\b")
STATEMENT = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|TRUNCATE)\s+(?:ONLY\s+)?(?:pg_\w+|{'|'.join(GRANTS)})\b")
OF_ONE_SUBJECT = {
    "credit/kept_reports.py",
    "messaging/inbox.py",
    "messaging/outbox.py",
    "people/sessions.py",
    "postgres/bureau_calls.py",
    "postgres/key_checks.py",
    "postgres/key_uses.py",
    "postgres/locks.py",
    "postgres/undecided.py",
    "record/acts.py",
    "schema/retention.py",
    "schema/roles.py",
    "schema/version.py",
}
"""Modules whose whole subject is one table, or one means of the server: they hold their own SQL."""
NOWHERE = re.compile(
    r"\b[Tt]he contract\b|\b[Cc]ontract(?:.s)? ?§|(?<![A-Za-z])(?:the_contract|CONTRACT)(?:s_|(?![A-Za-z]))"
)
"""How a page is cited that no reader of this repository has, in prose and in names."""
HEADERS_ARE_READ = ["messaging/kafka_clients.py", "messaging/messages.py", "ops/stored_dead_letter.py"]
"""Where a message's headers are read: in one place each, that carries them on. A second read can end the process."""


def tracked() -> list[Path]:
    """Every text file of ours that is under version control, or about to be."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    kinds = {".py", ".md", ".yml", ".yaml", ".toml", ".sh", ".sql", ""}
    return [ROOT / name for name in names if (ROOT / name).is_file() and (ROOT / name).suffix in kinds]


def bodies(file: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file, and how many lines its body has, docstring left out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT / "src/prequal")))
def test_file_and_its_functions_stay_small(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    long = {name: length for name, length in bodies(file) if length > MOST_LINES_OF_A_BODY}

    assert lines <= MOST_LINES_OF_A_FILE
    assert long == {}


def attributes(kind: ast.ClassDef) -> set[str]:
    """What the methods of a class set of their object."""
    return {
        node.attr
        for node in ast.walk(kind)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def test_objects_stay_small() -> None:
    numbers = {
        f"{file.relative_to(ROOT / 'src/prequal')} {kind.name}": len(attributes(kind))
        for file in SOURCES
        for kind in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(kind, ast.ClassDef)
    }

    large = {name: number for name, number in numbers.items() if number > MOST_ATTRIBUTES_OF_AN_OBJECT}

    assert large == MORE_ATTRIBUTES


def test_every_page_that_code_or_a_page_cites_is_there() -> None:
    missing = {
        f"{file.relative_to(ROOT)}: {page}"
        for file in tracked()
        for page in CITED.findall(file.read_text(encoding="utf-8"))
        if not (ROOT / page).exists()
    }

    assert missing == set()


def test_no_page_or_comment_cites_a_page_that_no_reader_has() -> None:
    lines = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in tracked()
        if file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if NOWHERE.search(line)
    ]

    assert lines == []


def test_retired_word_that_is_put_back_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"The event is published.\nThe event is {'dloter'[::-1]}.\n", encoding="utf-8")

    assert [line.partition(": ")[0] for line in retired_words.findings([page])] == [f"{page}:2"]


def test_retired_words_are_looked_for_in_everything_that_is_under_version_control() -> None:
    tops = {file.relative_to(ROOT).parts[0] for file in tracked()}

    assert tops - set(retired_words.SEARCHED) - {"LICENSE"} == set()


def test_no_statement_reads_columns_that_it_does_not_name() -> None:
    stars = [str(file) for file in SOURCES if "SELECT *" in file.read_text(encoding="utf-8")]

    assert stars == []


def texts(file: Path) -> Iterator[str]:
    """Each text of a file that is no docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
            yield node.value


def test_sql_stands_in_modules_of_queries_and_in_those_of_one_subject() -> None:
    with_sql = {
        str(file.relative_to(ROOT / "src/prequal"))
        for file in SOURCES
        if "migrations" not in file.parts and any(STATEMENT.search(text) for text in texts(file))
    }
    elsewhere = {name for name in with_sql if not re.search(r"queries(?:/\w+)?\.py$", name)}

    assert elsewhere == OF_ONE_SUBJECT


def reads_of_headers(file: Path) -> int:
    """How often a file names a function that reads a message's headers, or calls a method of that name."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    named = [node for node in nodes if isinstance(node, ast.Name) and node.id in {"read_headers", "message_headers"}]
    called = [node.func for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    of_them = {"headers", "read_headers", "message_headers"}
    return len(named) + sum(function.attr in of_them for function in called)


def test_headers_of_a_message_are_read_in_one_place_of_each_module_that_gets_messages() -> None:
    reads = {str(file.relative_to(ROOT / "src/prequal")): reads_of_headers(file) for file in SOURCES}

    assert {name: count for name, count in reads.items() if count} == dict.fromkeys(HEADERS_ARE_READ, 1)
