"""`prequal policy`: versions of the credit policy shown, checked, compared and backtested.

Invariant: nothing is stored but a backtest that is to be recorded.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from prequal.domain.counts import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prequal.domain.policy.document import Row
    from prequal.domain.policy.policy import Policy
    from prequal.domain.policy.problems import NotAPolicy

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a page.")]
FILE = typer.Argument(metavar="FILE", help="A policy document in TOML.")


@app.callback()
def policy() -> None:
    """The credit policy: its versions, drafts of new ones, and which is in force.

    docs/policy.md says how a version is written, and how it comes into force. After `prequal login` all of it goes over
    the console, as you; otherwise it works beside the database, as the user of this machine.

    \b
    Examples:
      prequal policy show
      prequal policy show v1 --toml > v2.toml
      prequal policy check v2.toml
    """


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the versions and how far each came; the one with the star decides.

    A challenger and a shadow are named as such behind how far they came.

    Those of the database of DATABASE_URL or of a running `prequal up`; without either, those that come with this code.

    \b
    Example:
      prequal policy list
    """
    from datetime import datetime

    from prequal.cli.connection_settings import database_if_known
    from prequal.cli.signed_in import current
    from prequal.ops import policies

    if person := current():
        versions = person.listed("/policy/versions", "versions", "version")
        found = sorted(versions, key=lambda each: (datetime.fromisoformat(each["proposed_at"]), each["version"]))
    else:
        database = database_if_known()
        found = policies.packaged_versions() if database is None else policies.listed(database)
    if as_json:
        typer.echo(json.dumps({"versions": found}))
        return
    for each in found:
        star = "*" if each["current"] else " "
        state = policies.state_in_words(each)
        typer.echo(f"{star} {each['version']:<10} {each['hash']}  {state:<10} {each['title']}")


@app.command()
def show(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="By default the one in force.")] = None,
    as_toml: Annotated[bool, typer.Option("--toml", help="The document itself, to begin a new one from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a version: its table, its reasons, its hash, who proposed and approved it, and on which backtest.

    Without DATABASE_URL and a running `prequal up` it knows the versions that come with this code.

    \b
    Examples:
      prequal policy show
      prequal policy show v2
      prequal policy show v1 --toml > v2.toml
    """
    from prequal.cli.connection_settings import database_if_known
    from prequal.cli.signed_in import current
    from prequal.ops import policies

    if person := current():
        path = "/policy/in-force" if version is None else f"/policy/versions/{quote(version, safe='')}"
        found = policies.ShownVersion.of_json(person.call("GET", path))
    else:
        found = policies.shown(version, database_if_known())
    if as_toml:
        typer.echo(found.text, nl=False)
        return
    if as_json:
        typer.echo(json.dumps(policies.as_json(found)))
        return
    life = [] if found.life is None else ["", *_life(found.life)]
    typer.echo("\n".join([*_page(found.policy), *life]))


@app.command()
def check(file: Annotated[Path, FILE], as_json: AsJson = False) -> None:
    """Check a document: it is a policy, or each fault is named by line and sentence.

    Ends with exit code 1 when the document is refused.

    \b
    Example:
      prequal policy check v2.toml
    """
    from prequal.core.topology import ExitCode
    from prequal.domain.counts import noun
    from prequal.domain.policy.problems import NotAPolicy
    from prequal.ops.policies import checked, load_file

    try:
        found = load_file(file)
    except NotAPolicy as refusal:
        if not as_json:
            raise refused(str(file), refusal) from None
        typer.echo(json.dumps({"valid": False, "problems": _problems(refusal)}))
        raise typer.Exit(ExitCode.REFUSED) from None
    if as_json:
        typer.echo(json.dumps({"valid": True, **checked(found)}))
        return
    rows, tests = len(found.document.rows), len(found.document.tests)
    typer.echo(
        f"{file} is policy {found.version}: {rows} {noun(rows, 'row')}, "
        f"{tests} {noun(tests, 'test that passes', 'tests that pass')}.\n"
        f"Its hash is {found.hash}."
    )
    if found.warning:
        typer.echo(f"Warning: {found.warning}")


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A version or a file.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Show what differs between two policies.

    \b
    Example:
      prequal policy diff v1 v2.toml
    """
    from prequal.ops.policies import changes, compared

    old, new = loaded(before), loaded(after)
    if as_json:
        typer.echo(json.dumps(compared(old, new)))
        return
    found = changes(old, new)
    for change in found:
        typer.echo(f"{change.place}\n  - {_value(change.before)}\n  + {_value(change.after)}")
    if not found:
        typer.echo("They are the same.")


@app.command()
def backtest(
    candidate: Annotated[str, typer.Argument(metavar="FILE", help="A policy document in TOML, or a version.")],
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="Accepted at or after: 2026-11-23T09:30:00Z, or 30d for 30 days ago."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Accepted before: likewise.")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record the report with the proposed version: it is what is approved.")
    ] = False,
    replace: Annotated[
        str | None, typer.Option(metavar="SHA256", help="With --record: in the place of this backtest of a colleague.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide the stored applications by another policy: what would have changed.

    First each is decided again by its own version, and where that is not what was stored, the report says so. Reads one
    snapshot, changes no application and reads no PAN. Needs DATABASE_URL, or a running `prequal up`. The progress goes
    to stderr; the same applications and the same policy give the same bytes. --record replaces your own backtest of
    the version; that of another person only where --replace names it.

    \b
    Examples:
      prequal policy backtest v2.toml --from 30d
      prequal policy backtest v2 --from 30d --record
      prequal policy backtest v2.toml --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --json > november.json
    """
    from prequal.cli import backtest_run
    from prequal.cli.backtest_page import page
    from prequal.cli.signed_in import current
    from prequal.ops.backtest import report_text

    asked = backtest_run.Asked(candidate, since, until, record, replace)
    found, recorded = backtest_run.over(person, asked) if (person := current()) else backtest_run.here(asked)
    typer.echo(report_text(found) if as_json else "\n".join([*page(found), ""]), nl=False)
    if recorded:
        typer.echo(f"Recorded with {found['candidate']['version']}: {recorded}.", err=as_json)


def loaded(text: str) -> "Policy":
    """The policy of a version or a file.

    Raises:
        Refused: the file's document breaks a rule, or there is no such version.
        UsageError: it is neither a version nor a file that can be read.
    """
    from prequal.cli.connection_settings import database_if_known
    from prequal.cli.signed_in import current
    from prequal.domain.policy import packaged
    from prequal.domain.policy.problems import NotAPolicy
    from prequal.ops.policies import ShownVersion, is_file, named

    person = current()
    try:
        if person is None or is_file(text) or packaged.policy_of(text):
            return named(text, None if person else database_if_known())
        return ShownVersion.of_json(person.call("GET", f"/policy/versions/{quote(text, safe='')}")).policy
    except NotAPolicy as refusal:
        raise refused(text, refusal) from None


def refused(name: str, refusal: "NotAPolicy") -> Exception:
    """A refused document as an error: each fault by line and sentence."""
    from prequal.core.errors import Refused

    return Refused("\n".join([f"{name} is refused.", *(f"  {problem}" for problem in refusal.problems)]))


def digest_of(option: str, text: str) -> bytes:
    """The SHA-256 that an option gives. Raises `UsageError` when it is none."""
    from prequal.core.errors import UsageError

    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise UsageError(f"{option} must be a SHA-256: 64 hexadecimal digits, as `prequal policy show` prints them.")
    return digest


def _problems(refusal: "NotAPolicy") -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(problem) for problem in refusal.problems]


def _value(value: object) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page(policy: "Policy") -> list[str]:
    from prequal.ops.policies import limits

    document = policy.document
    return [
        f"Policy {policy.version}: {document.title}",
        f"sha256 {policy.hash}",
        "",
        *(f"  {name} = {words}" for name, words in limits(policy).items()),
        *(f"  {name} = {_derived(entry)}" for name, entry in document.derived.items()),
        "",
        "The first row that matches decides:",
        *(line for number, row in enumerate(document.rows, 1) for line in _row(number, row)),
        "",
        "A fact that is missing:",
        *(f"  {each.fact:<24} MANUAL_REVIEW  {each.reason}" for each in document.missing),
    ]


def _life(life: "Mapping[str, Any]") -> list[str]:
    from prequal.ops.policies import state_in_words

    backtest = "none" if life["backtest"] is None else f"sha256 {life['backtest']}"
    lines = [f"State: {state_in_words(life)}", f"Authors: {', '.join(life['authors'])}", f"Backtest: {backtest}"]
    if report := life["backtest_report"]:
        lines += _counts(report)
    if life["approved_by"]:
        lines.append(f"Approved by: {life['approved_by']}, of sha256 {life['approved']}")
    if life["scheduled_for"]:
        lines.append(f"Takes effect: {life['scheduled_for']}")
    return lines


def _counts(report: "Mapping[str, Any]") -> list[str]:
    """What is recorded of a backtest; a report without a part says nothing of it."""
    from prequal.cli.backtest_page import newest
    from prequal.ops.policies import replay_in_words

    flips = f"{grouped(report['flips'])} would have another status"
    pending = f"; {grouped(report['pending'])} are pending" if "pending" in report else ""
    lines = [f"  of {grouped(report['applications'])} applications {flips}{pending}"]
    if replay := replay_in_words(report):
        lines.append(f"  decided again by their own versions: {replay}")
    if last := newest(report):
        lines.append(f"  the {last}")
    return lines


def _derived(entry: Any) -> str:
    from dataclasses import asdict

    return ", ".join(f"{name} {value}" for name, value in asdict(entry).items())


def _row(number: int, row: "Row") -> list[str]:
    conditions = " and ".join(row.when) or "everything else"
    return [f"  {number}. {conditions}: {row.outcome}, {row.reason}", f"     {row.en}", f"     {row.hi}"]
