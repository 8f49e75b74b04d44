"""`prequal policy`: versions of the credit policy shown, checked and compared.

Invariant: nothing is stored or changed.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from prequal.domain.policy.document import Row
    from prequal.domain.policy.policy import Policy
    from prequal.domain.policy.problems import NotAPolicy

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a page.")]
FILE = typer.Argument(metavar="FILE", help="A policy document in TOML.")


@app.callback()
def policy() -> None:
    """The credit policy: its versions, and drafts of new ones.

    docs/policy.md says how a version is written.

    \b
    Examples:
      prequal policy show
      prequal policy show v1 --toml > v2.toml
      prequal policy check v2.toml
    """


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the versions that come with this code; the one with the star decides.

    \b
    Example:
      prequal policy list
    """
    from prequal.domain.policy import packaged
    from prequal.ops.policies import version

    found = [version(name) for name in packaged.versions()]
    if as_json:
        typer.echo(json.dumps({"versions": [_summary(each) for each in found]}))
        return
    for each in found:
        star = "*" if each is packaged.current() else " "
        typer.echo(f"{star} {each.version:<10} {each.hash}  {each.document.title}")


@app.command()
def show(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="By default the one that decides.")] = None,
    as_toml: Annotated[bool, typer.Option("--toml", help="The document itself, to begin a new one from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a version: its table, its reasons and its hash.

    \b
    Examples:
      prequal policy show
      prequal policy show v1 --toml > v2.toml
    """
    from prequal.domain.policy import packaged
    from prequal.ops import policies

    found = policies.version(version or packaged.CURRENT)
    if as_toml:
        typer.echo(packaged.text_of(found.version), nl=False)
    else:
        typer.echo(json.dumps(policies.as_json(found)) if as_json else "\n".join(_page(found)))


@app.command()
def check(file: Annotated[Path, FILE], as_json: AsJson = False) -> None:
    """Check a document: it is a policy, or each fault is named by line and sentence.

    Ends with exit code 1 when the document is refused.

    \b
    Example:
      prequal policy check v2.toml
    """
    from prequal.core.topology import ExitCode
    from prequal.domain.policy.problems import NotAPolicy
    from prequal.ops.policies import load_file

    try:
        found = load_file(file)
    except NotAPolicy as refusal:
        if not as_json:
            raise _refused(str(file), refusal) from None
        typer.echo(json.dumps({"valid": False, "problems": _problems(refusal)}))
        raise typer.Exit(ExitCode.REFUSED) from None
    if as_json:
        typer.echo(json.dumps({"valid": True, **_summary(found)}))
        return
    document = found.document
    typer.echo(
        f"{file} is policy {found.version}: {len(document.rows)} rows, {len(document.tests)} tests that pass.\n"
        f"Its hash is {found.hash}."
    )


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
    from dataclasses import asdict

    from prequal.ops.policies import changes

    old, new = loaded(before), loaded(after)
    found = changes(old, new)
    if as_json:
        sides = {"before": _summary(old), "after": _summary(new)}
        typer.echo(json.dumps({**sides, "changes": [asdict(change) for change in found]}))
        return
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
    as_json: AsJson = False,
) -> None:
    """Decide the stored applications by another policy: what would have changed.

    First each is decided again by its own version, and where that is not what was stored, the report says so. Reads one
    snapshot, changes nothing and reads no PAN. Needs DATABASE_URL, or a running `prequal up`. The progress goes to
    stderr; the same applications and the same policy give the same bytes.

    \b
    Examples:
      prequal policy backtest v2.toml --from 30d
      prequal policy backtest v2.toml --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --json > november.json
    """
    from prequal.cli.backtest_page import Progress, page
    from prequal.cli.connection_settings import stores
    from prequal.core.settings import DatabaseSettings
    from prequal.ops import backtest as run
    from prequal.ops.selection import read_moment

    found = run.backtest(
        stores(DatabaseSettings).database_url,
        loaded(candidate),
        None if since is None else read_moment("--from", since),
        None if until is None else read_moment("--to", until),
        Progress(),
    )
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else "\n".join(page(found)))


def loaded(text: str) -> "Policy":
    """The policy of a version or a file.

    Raises:
        Refused: the file's document breaks a rule.
        UsageError: it is neither a version nor a file that can be read.
    """
    from prequal.domain.policy.problems import NotAPolicy
    from prequal.ops.policies import named

    try:
        return named(text)
    except NotAPolicy as refusal:
        raise _refused(text, refusal) from None


def _refused(name: str, refusal: "NotAPolicy") -> Exception:
    from prequal.core.errors import Refused

    return Refused("\n".join([f"{name} is refused.", *(f"  {problem}" for problem in refusal.problems)]))


def _problems(refusal: "NotAPolicy") -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(problem) for problem in refusal.problems]


def _summary(policy: "Policy") -> dict[str, Any]:
    from prequal.domain.policy import packaged

    return {
        "version": policy.version,
        "hash": policy.hash,
        "title": policy.document.title,
        "current": policy is packaged.current(),
    }


def _value(value: object) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page(policy: "Policy") -> list[str]:
    document = policy.document
    return [
        f"Policy {policy.version}: {document.title}",
        f"sha256 {policy.hash}",
        "",
        *(f"  {name} = {_limit(policy, name)}" for name in document.limits),
        *(f"  {name} = {_derived(entry)}" for name, entry in document.derived.items()),
        "",
        "The first row that matches decides:",
        *(line for number, row in enumerate(document.rows, 1) for line in _row(number, row)),
        "",
        "A fact that is missing:",
        *(f"  {each.fact:<24} MANUAL_REVIEW  {each.reason}" for each in document.missing),
    ]


def _limit(policy: "Policy", name: str) -> str:
    from prequal.domain.policy.sentences import in_words

    unit = " months" if policy.scope.kinds[name].name == "MONTHS" else ""
    return in_words(policy.constants[name], policy.scope.kinds[name]) + unit


def _derived(entry: Any) -> str:
    from dataclasses import asdict

    return ", ".join(f"{name} {value}" for name, value in asdict(entry).items())


def _row(number: int, row: "Row") -> list[str]:
    conditions = " and ".join(row.when) or "everything else"
    return [f"  {number}. {conditions}: {row.outcome}, {row.reason}", f"     {row.en}", f"     {row.hi}"]
