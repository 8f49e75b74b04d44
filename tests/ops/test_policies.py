"""`prequal policy`: what a risk officer sees of a version and of a draft."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from prequal.cli.app import app
from prequal.domain.policy import packaged
from tests.unit.domain.policy.documents import WITH_FOIR
from tools import policy_schema


def prequal(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["policy", *words])
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """Policy v1, as a file."""
    file = tmp_path / "v2.toml"
    file.write_text(prequal("show", "v1", "--toml"), "utf-8")
    return file


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_list_names_each_version_and_the_one_that_decides() -> None:
    versions = json.loads(prequal("list", "--json"))["versions"]

    assert [each["version"] for each in versions if each["current"]] == [packaged.CURRENT]
    assert f"* v1         {packaged.current().hash}" in prequal("list")


def test_show_has_every_row_with_its_reason_in_both_languages() -> None:
    page = prequal("show")

    for row in packaged.current().document.rows:
        assert all(part in page for part in (row.reason, row.outcome, row.en, row.hi))


def test_show_as_json_has_the_document_and_its_hash() -> None:
    shown = json.loads(prequal("show", "v1", "--json"))

    assert (shown["hash"], shown["current"]) == (packaged.current().hash, True)
    assert shown["document"]["limits"]["minimum_cibil_score"] == {"score": 650}


def test_document_that_is_shown_is_checked_as_it_is(draft: Path) -> None:
    assert packaged.current().hash in prequal("check", str(draft))
    assert json.loads(prequal("check", str(draft), "--json"))["hash"] == packaged.current().hash


def test_check_says_as_json_how_much_it_holds_and_its_warning(draft: Path) -> None:
    plain = json.loads(prequal("check", str(draft), "--json"))
    draft.write_text(WITH_FOIR, "utf-8")
    warned = json.loads(prequal("check", str(draft), "--json"))

    assert plain.keys() == {"valid", "version", "hash", "title", "rows", "tests", "warning"}
    document = packaged.current().document
    assert (plain["rows"], plain["tests"], plain["warning"]) == (len(document.rows), len(document.tests), "")
    assert warned["warning"].startswith("It reads stated_obligations_inr")


def test_policy_that_reads_what_no_application_has_is_checked_with_a_warning(draft: Path) -> None:
    assert "Warning" not in prequal("check", str(draft))
    draft.write_text(WITH_FOIR, "utf-8")

    assert prequal("check", str(draft)).splitlines()[2:] == [
        "Warning: It reads stated_obligations_inr, which no application has, so people would review every application."
    ]


def test_fault_is_named_with_its_line_and_ends_with_exit_code_1(draft: Path) -> None:
    change(draft, "{ score = 650 }", "{ score = 700 }")

    problems: list[dict[str, Any]] = json.loads(prequal("check", str(draft), "--json", code=1))["problems"]

    assert problems[0]["place"] == "test 2"
    assert draft.read_text("utf-8").splitlines()[problems[0]["line"] - 1] == "[[tests]]"
    assert "must be INCOME_COVERS_LOAN" in problems[0]["sentence"]


def test_diff_names_what_differs_and_nothing_else(draft: Path) -> None:
    change(draft, 'version = "v1"', 'version = "v2"')
    change(draft, "step = { rupees = 1000 }", "step = { rupees = 500 }")
    change(draft, "so people look at the application.", "so people look at it.")

    found = json.loads(prequal("diff", "v1", str(draft), "--json"))["changes"]

    assert [(each["place"], each["before"]) for each in found][:2] == [
        ("version", "v1"),
        ("path_to_yes.step.rupees", 1000),
    ]
    assert {each["place"] for each in found[2:]} == {"missing monthly_income_inr.en", "missing loan_amount_inr.en"}
    assert "path_to_yes.step.rupees\n  - 1000\n  + 500\n" in prequal("diff", "v1", str(draft))


def test_diff_names_each_figure_of_a_test_that_differs(draft: Path) -> None:
    income = "monthly_income_inr = {{ rupees = {} }}\nloan_amount_inr"
    change(draft, f"cibil_score = 649\n{income.format(85000)}", f"cibil_score = 648\n{income.format(84000)}")

    assert prequal("diff", "v1", str(draft)) == (
        "test 1.cibil_score\n  - 649\n  + 648\ntest 1.monthly_income_inr.rupees\n  - 85000\n  + 84000\n"
    )


def test_diff_of_a_version_with_itself_is_none(draft: Path) -> None:
    assert prequal("diff", "v1", str(draft)) == "They are the same.\n"


def test_diff_shows_what_only_one_of_them_has(draft: Path) -> None:
    text = draft.read_text("utf-8")
    path = text[text.index("[path_to_yes]") : text.index("[notice]")]
    draft.write_text(text.replace(path, ""), "utf-8")

    assert "path_to_yes.least.rupees\n  - 1000\n  + (none)\n" in prequal("diff", "v1", str(draft))


@pytest.mark.parametrize("words", [("check", "nowhere.toml"), ("diff", "v1", "v0"), ("show", "v0")])
def test_file_or_version_that_is_not_there_is_bad_usage(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["policy", *words])

    assert type(done.exception).__name__ == "UsageError"


def test_file_that_is_no_text_is_bad_usage(tmp_path: Path) -> None:
    file = tmp_path / "v2.toml"
    file.write_bytes(b"\xff")

    done = CliRunner().invoke(app, ["policy", "check", str(file)])

    assert "is not text in UTF-8" in str(done.exception)


@pytest.mark.parametrize("words", [("check",), ("diff", "v1")])
def test_draft_that_is_refused_is_named_with_all_faults(draft: Path, words: tuple[str, ...]) -> None:
    change(draft, "{ score = 650 }", "{ score = 700 }")

    done = CliRunner().invoke(app, ["policy", *words, str(draft)])

    assert type(done.exception).__name__ == "Refused"
    assert str(done.exception).startswith(f"{draft} is refused.\n  line ")


def test_schema_takes_every_version_and_refuses_what_the_reader_refuses() -> None:
    schema = policy_schema.document()
    jsonschema.Draft202012Validator.check_schema(schema)
    for version in packaged.versions():
        document = tomllib.loads(packaged.text_of(version) or "")
        jsonschema.validate(document, schema)

        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | {"limits": {"minimum_cibil_score": {"score": 650.5}}}, schema)
