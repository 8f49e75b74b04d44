"""`prequal policy propose`, `approve`, `activate` and `rollback`: a version's way into force, and out of it.

Invariant: the user of this machine acts, and no option names another.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from prequal.cli.policy import FILE, AsJson, app, refused

if TYPE_CHECKING:
    from prequal.policy_versions.queries import Activation, StoredVersion
    from prequal.postgres.connections import Connection

T = TypeVar("T")

commands = app
"""Those of `cli.policy`, and these."""

Version = Annotated[str, typer.Argument(metavar="VERSION", help="As `prequal policy list` shows it.")]


@app.command()
def propose(file: Annotated[Path, FILE], as_json: AsJson = False) -> None:
    """Store a checked document as a version, to be backtested and approved.

    A text that was proposed before under the same version is replaced, as long as it was not activated. Needs
    DATABASE_URL, or a running `prequal up`, as all commands that follow.

    \b
    Example:
      prequal policy propose v2.toml
    """
    from prequal.domain.policy.problems import NotAPolicy
    from prequal.ops.policies import read_file
    from prequal.policy_versions import life
    from prequal.record.acts import operator

    text = read_file(file)
    try:
        stored = _committed(lambda connection: life.propose(connection, operator(), text))
    except NotAPolicy as refusal:
        raise refused(str(file), refusal) from None
    _show(stored, as_json, f"{stored.version} is {stored.state}: `prequal policy backtest {stored.version} --record`.")


@app.command()
def approve(
    version: Version,
    hash_: Annotated[str, typer.Option("--hash", metavar="SHA256", help="Of the document, as `show` has it.")],
    backtest: Annotated[str, typer.Option(metavar="SHA256", help="Of the backtest, as `show` has it.")],
    as_json: AsJson = False,
) -> None:
    """Approve a version on its backtest; refused to everybody who proposed a text of it.

    The two hashes say what was looked at: what was edited or backtested since is refused.

    \b
    Example:
      prequal policy approve v2 --hash 4d1e… --backtest 90ac…
    """
    from prequal.policy_versions import life
    from prequal.record.acts import operator

    of_document, of_backtest = _digest("--hash", hash_), _digest("--backtest", backtest)
    stored = _committed(lambda connection: life.approve(connection, operator(), version, of_document, of_backtest))
    _show(stored, as_json, f"{version} is approved: `prequal policy activate {version}` puts it into force.")


@app.command()
def activate(
    version: Version,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="When it takes effect: 2026-12-01T00:00:00+05:30.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let an approved version decide, within 5 seconds or from a time on.

    \b
    Examples:
      prequal policy activate v2
      prequal policy activate v2 --from 2026-12-01T00:00:00+05:30
    """
    from datetime import datetime

    from prequal.core.errors import UsageError
    from prequal.ops.selection import read_moment
    from prequal.policy_versions import life
    from prequal.record.acts import operator

    moment = None if since is None else read_moment("--from", since)
    if moment is not None and not isinstance(moment, datetime):
        raise UsageError("--from must be a time, such as 2026-12-01T00:00:00+05:30.")
    _show_activation(_committed(lambda connection: life.activate(connection, operator(), version, moment)), as_json)


@app.command()
def rollback(
    version: Version,
    to: Annotated[
        str | None, typer.Option(metavar="VERSION", help="To this one that was in force; by default the one before.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take the version in force out of force: the one before it decides again, within 5 seconds.

    Name the one that is to go: if somebody was faster, it is no longer in force, and nothing is done.

    \b
    Examples:
      prequal policy rollback v2
      prequal policy rollback v3 --to v1
    """
    from prequal.policy_versions import life
    from prequal.record.acts import operator

    _show_activation(_committed(lambda connection: life.rollback(connection, operator(), version, to)), as_json)


@app.command()
def shadow(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Without one, show what differs.")] = None,
    end: Annotated[bool, typer.Option("--end", help="No version any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a version decide beside the one in force, without effect: where it differs is counted and kept.

    \b
    Examples:
      prequal policy shadow v2
      prequal policy shadow
      prequal policy shadow --end
    """
    from prequal.core.errors import UsageError
    from prequal.policy_versions import life
    from prequal.record.acts import operator

    if version is not None and end:
        raise UsageError("Give a version or --end, not both.")
    if version is not None or end:
        _committed(lambda connection: life.shadow(connection, operator(), version))
    found = _committed(life.shadow_report)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"The shadow is {found['version']}." if found["version"] else "There is no shadow.")
    for each in found["differences"]:
        before, after = (f"{each[side]['status']}, {each[side]['reason']}" for side in ("live", "shadow"))
        typer.echo(f"  {each['applications']:>10,}  {before} → {after}")


def _committed(act: "Callable[[Connection], Awaitable[T]]") -> T:
    from prequal.cli.connection_settings import stores
    from prequal.core.settings import DatabaseSettings
    from prequal.ops.policies import in_transaction

    return in_transaction(stores(DatabaseSettings).database_url, act)


def _digest(option: str, text: str) -> bytes:
    from prequal.core.errors import UsageError

    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise UsageError(f"{option} must be a SHA-256: 64 hexadecimal digits, as `prequal policy show` prints them.")
    return digest


def _show(stored: "StoredVersion", as_json: bool, sentence: str) -> None:
    from prequal.ops.policies import life_as_json

    about = {"version": stored.version, "hash": stored.hash.hex()}
    typer.echo(json.dumps(about | life_as_json(stored)) if as_json else f"sha256 {stored.hash.hex()}\n{sentence}")


def _show_activation(activation: "Activation", as_json: bool) -> None:
    at = activation.effective_from.isoformat()
    if as_json:
        about = {"version": activation.version, "hash": activation.hash.hex(), "effective_from": at}
        typer.echo(json.dumps(about))
        return
    typer.echo(f"{activation.version} decides from {at} on.")
