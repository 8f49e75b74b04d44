"""The command line: every command has its help, and every exit code means what `--help` says."""

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from harness.ports import free_ports
from prequal import __version__
from prequal.cli.app import app
from prequal.cli.exit_codes import exit_code_of
from prequal.core.errors import Misconfigured, PrequalError, Refused, Transient, UsageError
from prequal.local.demo import fresh_pan
from tests.local.machine import Up

COMMANDS = [
    "up",
    "apply",
    "status",
    "api",
    "credit",
    "decision",
    "publisher",
    "console",
    "migrate",
    "topics",
    "maintain",
    "republish",
    "trace",
    "scan",
]
PAN = "BNZPM2501F"
APPLICATION_ID = "01a20676-b060-7267-a90a-904b04fd8b54"
DECIDED = {
    "application_id": APPLICATION_ID,
    "status": "PRE_APPROVED",
    "cibil_score": 700,
    "pan_number_masked": "XXXXX2501F",
    "created_at": "2026-01-01T00:00:00+00:00",
    "updated_at": "2026-01-01T00:00:00.012000+00:00",
    "request_id": "r",
}
REFUSAL = {
    "error_code": "INVALID_PAN_FORMAT",
    "message": "pan_number is not a PAN.",
    "details": [{"field": "pan_number", "issue": "must be 10 characters"}],
}
runner = CliRunner()


class Api:
    """An API with one answer to every POST, and one to every GET."""

    def __init__(self, post: tuple[int, dict[str, Any]], get: dict[str, Any]) -> None:
        self.received: list[dict[str, Any]] = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                api.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(*post)

            def do_GET(self) -> None:
                self.answer(200, get)

            def answer(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    api = Api(*getattr(request, "param", ((202, {"application_id": APPLICATION_ID}), DECIDED)))
    serving = threading.Thread(target=api.server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield api
    api.server.shutdown()
    api.server.server_close()
    serving.join()


def prequal(*words: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The console script in a process of its own, with this environment only."""
    command = [sys.executable, "-m", "prequal", *words]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )


def apply(url: str, *more: str, pan: str = PAN) -> Any:
    words = ["apply", "--type", "home", "--income", "75000", "--amount", "1500000", "--url", url, *more]
    return runner.invoke(app, words, env={"PREQUAL_PAN": pan}, catch_exceptions=True)


def every_command(command: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """What can be typed, `prequal` itself and the groups included."""
    yield " ".join(words)
    for name, below in getattr(command, "commands", {}).items():
        yield from every_command(below, (*words, name))


@pytest.mark.parametrize(
    "command", list(every_command(typer.main.get_command(app))), ids=lambda words: words or "prequal"
)
def test_help_of_every_command_has_an_example(command: str) -> None:
    shown = runner.invoke(app, [*command.split(), "--help"])

    assert shown.exit_code == 0
    assert re.search(rf"Examples?\b.*prequal {command}", shown.output, re.DOTALL)


def test_help_lists_every_command_and_every_exit_code() -> None:
    shown = runner.invoke(app, ["--help"]).output

    assert all(
        re.search(rf"^  {command} ", shown, re.MULTILINE)
        for command in [*COMMANDS, "clients", "keys", "dlq", "users", "review"]
    )
    assert all(f"\n    {code}  " in shown for code in (0, 1, 2, 3))


def test_version_is_the_packages() -> None:
    shown = runner.invoke(app, ["--version"])

    assert (shown.exit_code, shown.output) == (0, f"prequal {__version__}\n")


@pytest.mark.parametrize(
    ("problem", "code"),
    [(Refused("no"), 1), (Misconfigured("no"), 2), (UsageError("no"), 2), (Transient("no"), 3)],
    ids=["refused", "misconfigured", "usage", "transient"],
)
def test_kind_of_failure_is_the_exit_code(problem: PrequalError, code: int) -> None:
    assert exit_code_of(problem) == code


@pytest.mark.parametrize(
    "command", ["api", "credit", "decision", "publisher", "console", "migrate", "topics", "maintain"]
)
def test_missing_setting_is_one_sentence_and_exit_code_2(command: str, tmp_path: Path) -> None:
    done = prequal(command, folder=tmp_path)

    assert done.returncode == 2
    assert re.fullmatch(r"prequal: Bad settings: .* is missing.*\n", done.stderr)
    assert done.stdout == ""


def test_unknown_command_is_exit_code_2(tmp_path: Path) -> None:
    assert prequal("nonsense", folder=tmp_path).returncode == 2


def test_status_where_nothing_runs_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = prequal("status", folder=tmp_path)

    assert done.returncode == 2
    assert "prequal up" in done.stderr


def test_up_on_a_busy_port_is_one_sentence_and_exit_code_2(api: Api, stack: Up) -> None:
    stack.ports["API_PORT"] = api.server.server_port

    stack.start()

    assert stack.process is not None
    assert stack.process.wait(30) == 2
    sentence = f"Port {api.server.server_port}, which prequal-api needs, is busy: .* set API_PORT to a free one"
    assert re.fullmatch(f"prequal: {sentence}\n", stack.output.read_text())
    assert not (stack.folder / ".prequal" / "postgres").exists()


KEY_NAMES = ["ENCRYPTION_KEY", "PAN_HASH_KEY", "REPORT_KEY", "RECORD_KEY", "PEOPLE_KEY"]


def test_generated_keys_fit_into_a_dotenv() -> None:
    lines = runner.invoke(app, ["keys", "generate"]).output.splitlines()

    assert [line.split("=", 1)[0] for line in lines] == KEY_NAMES


def test_generated_keys_come_as_json() -> None:
    assert set(json.loads(runner.invoke(app, ["keys", "generate", "--json"]).output)) == set(KEY_NAMES)


def test_apply_shows_the_decision_and_never_the_pan(api: Api) -> None:
    done = apply(api.url)

    assert done.exit_code == 0
    assert "PRE_APPROVED" in done.output
    assert "XXXXX2501F" in done.output
    assert PAN not in done.output


def test_apply_sends_what_was_typed(api: Api) -> None:
    apply(api.url, "--name", "Asha Rao")

    assert api.received == [
        {
            "pan_number": PAN,
            "applicant_name": "Asha Rao",
            "monthly_income_inr": "75000",
            "loan_amount_inr": "1500000",
            "loan_type": "HOME",
        }
    ]


def test_apply_asks_for_the_pan_without_showing_it(api: Api) -> None:
    words = ["apply", "--type", "home", "--income", "1", "--amount", "1", "--url", api.url]

    done = runner.invoke(app, words, input=f"{PAN}\n")

    assert api.received[0]["pan_number"] == PAN
    assert PAN not in done.output


def test_apply_whose_input_ends_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = prequal("apply", "--type", "home", "--income", "1", folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr.strip() == (
        "prequal: The input ended before everything was entered: give the rest as options, see `prequal apply --help`."
    )


def test_ctrl_c_at_a_question_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("getpass.getpass", interrupted)

    with pytest.raises(SystemExit) as end:
        app(["apply", "--type", "home", "--income", "1", "--amount", "1"], prog_name="prequal")

    assert end.value.code == 130


def test_apply_as_json_is_the_final_status(api: Api) -> None:
    status = json.loads(apply(api.url, "--json").output)

    assert (status["status"], status["cibil_score"], status["milliseconds"]) == ("PRE_APPROVED", 700, 12.0)


@pytest.mark.parametrize("api", [((422, REFUSAL), DECIDED)], indirect=True)
def test_refusal_lists_the_issue_of_each_field(api: Api) -> None:
    problem = apply(api.url).exception

    assert isinstance(problem, Refused)
    assert "pan_number: must be 10 characters" in str(problem)


@pytest.mark.parametrize(
    "api", [((422, REFUSAL | {"message": "The request breaks a rule; see details."}), DECIDED)], indirect=True
)
def test_refusal_is_one_sentence_without_doubled_punctuation(api: Api) -> None:
    assert "see details; pan_number: must be" in str(apply(api.url).exception)


@pytest.mark.parametrize("api", [((503, {"error_code": "SERVICE_UNAVAILABLE"}), DECIDED)], indirect=True)
def test_api_that_cannot_accept_it_now_is_out_of_reach(api: Api) -> None:
    assert isinstance(apply(api.url).exception, Transient)


def test_api_that_is_not_there_is_out_of_reach() -> None:
    (port,) = free_ports(1)

    assert isinstance(apply(f"http://127.0.0.1:{port}").exception, Transient)


@pytest.mark.parametrize(
    "api",
    [((202, {"application_id": APPLICATION_ID}), DECIDED | {"status": "PENDING", "cibil_score": None})],
    indirect=True,
)
def test_application_that_stays_undecided_is_exit_code_1(api: Api) -> None:
    assert apply(api.url, "--timeout", "0.05").exit_code == 1


def test_fresh_pan_is_an_individuals() -> None:
    assert re.fullmatch("[A-Z]{3}P[A-Z][0-9]{4}[A-Z]", fresh_pan())


def loads(command: str, module: str) -> bool:
    """Whether a service has loaded a module by the time at which it reads its settings."""
    script = (
        "import sys; from prequal.cli import services; from prequal.core import settings\n"
        f"settings.load = lambda kind: sys.exit(int(sys.modules.get('{module}') is not None))\n"
        f"services.{command}()"
    )
    return subprocess.run([sys.executable, "-c", script], check=False).returncode != 0


@pytest.mark.parametrize("command", ["credit", "decision", "publisher"])
def test_worker_does_not_load_the_api(command: str) -> None:
    assert loads("api", "fastapi")
    assert not loads(command, "fastapi")


@pytest.mark.parametrize("command", ["api", "credit", "decision", "publisher"])
def test_service_does_not_load_what_draws_on_terminals(command: str) -> None:
    assert not loads(command, "rich")


def test_failed_start_ends_with_its_sentence_during_a_request() -> None:
    script = """
from prequal.cli import app, main
from prequal.core.errors import Misconfigured

async def request() -> None: ...

def fails(**_: object) -> None:
    global left
    left = request()
    raise Misconfigured("PAN_HASH_KEY is not the key.")

app.app = fails
main.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (2, "prequal: PAN_HASH_KEY is not the key.\n")
