"""`prequal policy propose`, `approve`, `activate`, `rollback`, `shadow`, `challenge`: a version's way into force.

Invariant: the person who signed in acts, or else the user of this machine; no option names another.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

import typer

from prequal.cli.policy import FILE, AsJson, app, digest_of, refused
from prequal.domain.counts import grouped

if TYPE_CHECKING:
    from prequal.postgres.connections import Connection

T = TypeVar("T")

commands = app
"""Those of `cli.policy`, and these."""

Version = Annotated[str, typer.Argument(metavar="VERSION", help="As `prequal policy list` shows it.")]
End = Annotated[bool, typer.Option("--end", help="No version any more; with a version, only if it is that one.")]
Replace = Annotated[
    str | None, typer.Option(metavar="VERSION", help="In the place of this one, which another person has set.")
]


@app.command()
def propose(file: Annotated[Path, FILE], as_json: AsJson = False) -> None:
    """Store a checked document as a version, to be backtested and approved.

    A text that you proposed before under the same version is replaced, as long as it was not activated; that of
    another person is not. Needs DATABASE_URL, or a running `prequal up`, as all commands that follow.

    \b
    Example:
      prequal policy propose v2.toml
    """
    from prequal.domain.policy.loading import load
    from prequal.domain.policy.problems import NotAPolicy
    from prequal.ops.policies import proposed_as_json, read_file
    from prequal.policy_versions import life

    text = read_file(file)
    try:
        load(text)
    except NotAPolicy as refusal:
        raise refused(str(file), refusal) from None
    stored = _done("/versions", {"document": text}, partial(life.propose, text=text), proposed_as_json)
    name = stored["version"]
    again = f" It is the shadow no more: `prequal policy shadow {name}` begins that again with this text."
    sentence = f"{name} is {stored['state']}: `prequal policy backtest {name} --record`."
    _show(stored, as_json, sentence + again if stored.get("ended_shadow") else sentence)


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
    from prequal.ops.policies import version_as_json
    from prequal.policy_versions import life

    of_document, of_backtest = digest_of("--hash", hash_), digest_of("--backtest", backtest)
    content = {"hash": of_document.hex(), "backtest": of_backtest.hex()}
    local = partial(life.approve, version=version, hash_=of_document, backtest_hash=of_backtest)
    stored = _done(f"/versions/{_path(version)}/approve", content, local, version_as_json)
    _show(stored, as_json, f"{version} is approved: `prequal policy activate {version}` puts it into force.")


@app.command()
def activate(
    version: Version,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="When it takes effect: 2026-12-01T00:00:00+05:30.")
    ] = None,
    hash_: Annotated[
        str | None, typer.Option("--hash", metavar="SHA256", help="Of the document, as `show` has it: no other one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let an approved version decide, within 5 seconds or from a time on; refused to its authors.

    \b
    Examples:
      prequal policy activate v2
      prequal policy activate v2 --hash 4d1e…
      prequal policy activate v2 --from 2026-12-01T00:00:00+05:30
    """
    from datetime import datetime

    from prequal.core.errors import UsageError
    from prequal.ops.policies import activation_as_json
    from prequal.ops.selection import read_moment
    from prequal.policy_versions import life

    moment = None if since is None else read_moment("--from", since)
    if moment is not None and not isinstance(moment, datetime):
        raise UsageError("--from must be a time, such as 2026-12-01T00:00:00+05:30.")
    digest = None if hash_ is None else digest_of("--hash", hash_)
    content = {"effective_from": moment and moment.isoformat()} | ({"hash": digest.hex()} if digest else {})
    local = partial(life.activate, version=version, effective_from=moment, seen=life.Seen(digest))
    _show_activation(_done(f"/versions/{_path(version)}/activate", content, local, activation_as_json), as_json)


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
    from prequal.ops.policies import activation_as_json
    from prequal.policy_versions import life

    local = partial(life.rollback, version=version, target=to)
    _show_activation(_done(f"/versions/{_path(version)}/rollback", {"to": to}, local, activation_as_json), as_json)


@app.command()
def shadow(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Without one, show what differs.")] = None,
    end: End = False,
    replace: Replace = None,
    as_json: AsJson = False,
) -> None:
    """Let a version decide beside the one in force, without effect: where it differs is counted and kept.

    It takes the place of a shadow that you set; of another person's only where --replace names that. The shadow ends
    when its document is edited, and when it comes into force.

    \b
    Examples:
      prequal policy shadow v2
      prequal policy shadow v2 --replace v3
      prequal policy shadow
      prequal policy shadow v2 --end
    """
    from prequal.cli.signed_in import current
    from prequal.core.errors import UsageError
    from prequal.policy_versions import shadows

    if replace is not None and (version is None or end):
        raise UsageError("--replace is given with the version that takes the place of another.")
    if end:
        _done("/shadow", _ending(version), partial(shadows.end, version=version), lambda _: {})
    elif version is not None:
        content = {"version": version} | _replacing(replace)
        _done("/shadow", content, partial(shadows.begin, version=version, replaces=replace), lambda _: {})
    person = current()
    found = person.call("GET", "/policy/shadow") if person else _committed(shadows.report)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"The shadow is {found['version']}." if found["version"] else "There is no shadow.")
    for each in found["differences"]:
        before, after = (f"{each[side]['status']}, {each[side]['reason']}" for side in ("live", "shadow"))
        typer.echo(f"  {grouped(each['applications']):>10}  {before} → {after}")


@app.command()
def challenge(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Without one, show which does.")] = None,
    share: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Of the applications, from 0.01 to 50.", show_default=False)
    ] = None,
    end: End = False,
    replace: Replace = None,
    as_json: AsJson = False,
) -> None:
    """Let an approved version decide a share of the applications, each person's always or never.

    It holds within 5 seconds, until it is ended or another version is activated. It takes the place of a challenger and
    a share that you set; of another person's only where --replace names the version that challenges. It is refused to
    the authors of the version.

    \b
    Examples:
      prequal policy challenge v2 --share 10
      prequal policy challenge v2 --share 10 --replace v3
      prequal policy challenge
      prequal policy challenge v2 --end
    """
    from prequal.cli.signed_in import current
    from prequal.core.errors import UsageError
    from prequal.policy_versions import challenges

    if (share is not None) != (version is not None and not end):
        raise UsageError("Give a version and its --share, or --end, or nothing.")
    if replace is not None and share is None:
        raise UsageError("--replace is given with the version that takes the place of another, and its --share.")
    if version is not None and share is not None:
        _begin_challenge(version, _basis_points(share), replace)
    elif end:
        _done("/challenge", _ending(version), partial(challenges.end, version=version), lambda _: {})
    person = current()
    found = person.call("GET", "/policy/challenge") if person else _committed(challenges.report)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show_challenge(found)


def _begin_challenge(version: str, points: int, replace: str | None) -> None:
    from prequal.policy_versions import challenges
    from prequal.policy_versions.life import Seen

    content = {"version": version, "share_basis_points": points} | _replacing(replace)
    local = partial(challenges.begin, version=version, share=points, seen=Seen(challenge=replace))
    _done("/challenge", content, local, lambda _: {})


def _show_challenge(found: dict[str, Any]) -> None:
    if found["version"] is None:
        typer.echo("No version challenges the one in force.")
    course = found if found["last"] is None else found["last"]
    if course["version"] is None:
        return
    share, ended = course["share_basis_points"], course.get("ended_at")
    typer.echo(
        f"{course['version']} {'decided' if ended else 'decides'} {share / 100:g} % of the applications, and "
        f"{course['challenged']} the others, since {course['begun_at']}, begun by {course['begun_by']}."
    )
    if ended:
        other = course["ended_by_version"]
        why = f"when {other} came into force, by" if other else "ended by"
        typer.echo(f"It ended at {ended}, {why} {course['ended_by']}.")
    for side, version in (("challenger", course["version"]), ("challenged", course["challenged"])):
        counts = ", ".join(f"{grouped(number)} {status}" for status, number in course["decisions"][side].items())
        typer.echo(f"  {version}: {counts or 'none decided'}")


def _basis_points(share: str) -> int:
    from prequal.core.errors import UsageError
    from prequal.domain.policy.challenge import SHARE_MAX

    whole, _, part = share.partition(".")
    if not (whole + part).isascii() or not (whole + part).isdigit() or len(part) > 2 or len(whole) > 2:
        raise UsageError("--share must be per cent, with two decimals at most, such as 10 or 0.25.")
    points = int(whole + part.ljust(2, "0"))
    if not 1 <= points <= SHARE_MAX:
        raise UsageError(f"--share must be from 0.01 to {SHARE_MAX // 100}: the version in force decides the rest.")
    return points


def _done(
    path: str, content: dict[str, Any], local: "Callable[..., Awaitable[T]]", shown: "Callable[[T], dict[str, Any]]"
) -> dict[str, Any]:
    """Do it as the person who signed in; without one beside the database, as the user of this machine."""
    from prequal.cli.signed_in import current
    from prequal.record.acts import operator

    if person := current():
        answer: dict[str, Any] = person.call("POST", f"/policy{path}", content)
        return answer
    return shown(_committed(lambda connection: local(connection, operator())))


def _ending(version: str | None) -> dict[str, Any]:
    return {"version": None} | ({"ends": version} if version else {})


def _replacing(version: str | None) -> dict[str, Any]:
    return {} if version is None else {"replaces": version}


def _path(version: str) -> str:
    return quote(version, safe="")


def _committed(act: "Callable[[Connection], Awaitable[T]]") -> T:
    from prequal.cli.connection_settings import stores
    from prequal.core.settings import DatabaseSettings
    from prequal.ops.policies import in_transaction

    return in_transaction(stores(DatabaseSettings).database_url, act)


def _show(stored: dict[str, Any], as_json: bool, sentence: str) -> None:
    typer.echo(json.dumps(stored) if as_json else f"sha256 {stored['hash']}\n{sentence}")


def _show_activation(activation: dict[str, Any], as_json: bool) -> None:
    text = f"{activation['version']} decides from {activation['effective_from']} on."
    if activation.get("ended_shadow"):
        text += " It is the shadow no more."
    typer.echo(json.dumps(activation) if as_json else text)
