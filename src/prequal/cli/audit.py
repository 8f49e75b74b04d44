"""`prequal audit`: the record of accesses and acts, chained, compared with its chain, and asked.

Invariant: a PAN is asked for without echo, and shown nowhere.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.cli.connection_settings import hashing_stores, record_stores, stores
from prequal.cli.typed_pan import typed_pan

if TYPE_CHECKING:
    from prequal.domain.pan import Pan
    from prequal.record.access_queries import Access
    from prequal.record.heads import Head
    from prequal.record.verification import Verdict

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.callback()
def audit() -> None:
    """The record of who saw and changed what, and the proof that nobody altered it.

    Each access to a PAN and each act of a person is an entry. Entries are chained under RECORD_KEY, so that a change
    of one is found, also when the owner of the database made it.

    \b
    Examples:
      prequal audit chain --follow
      prequal audit verify
      prequal audit who 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
      prequal audit export /mnt/elsewhere/2025.jsonl --before 2026-01-01
    """


@app.command()
def chain(
    follow: Annotated[bool, typer.Option("--follow", help="Go on until SIGTERM; an entry waits 5 seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Chain the entries that are not chained yet.

    With --follow and RECORD_HEADS_FOLDER the newest block's MAC is written there each hour. Needs DATABASE_URL and
    RECORD_KEY, or a running `prequal up`.

    \b
    Examples:
      prequal audit chain
      RECORD_HEADS_FOLDER=/mnt/elsewhere prequal audit chain --follow
    """
    from prequal.domain.counts import noun
    from prequal.record import commands

    settings = record_stores()
    if follow:
        commands.follow(settings)
        return
    newest = commands.chain(settings)
    number = newest.number if newest else 0
    typer.echo(json.dumps({"blocks": number}) if as_json else f"The chain has {number} {noun(number, 'block')}.")


@app.command()
def head(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Keep it where the database's owner is not.")],
) -> None:
    """Write the number and MAC of the newest block to a file, for `prequal audit verify --head`.

    Needs DATABASE_URL and RECORD_KEY, or a running `prequal up`.

    \b
    Example:
      prequal audit head /mnt/elsewhere/head.json
    """
    from prequal.core import files
    from prequal.core.errors import Refused
    from prequal.record import commands, heads

    newest = commands.newest(record_stores())
    if newest is None:
        raise Refused("There is no block yet: `prequal audit chain` makes one.")
    with files.named(file):
        heads.write_head(newest, file)
    typer.echo(f"Block {newest.number}.")


@app.command()
def verify(
    head_file: Annotated[
        Path | None, typer.Option("--head", metavar="FILE", help="A head that was written earlier, and kept outside.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--export", metavar="FILE", help="What `export` wrote and `drop` took; may be repeated, in order."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the record with its chain: OK, or the first entry that is not as it was, with exit code 1.

    Without --head it cannot know that the newest blocks, with all their entries, were cut off. Blocks that were dropped
    are verified by their seal, or compared as well with --export. Needs DATABASE_URL and RECORD_KEY, or a running
    `prequal up`.

    \b
    Examples:
      prequal audit verify
      prequal audit verify --head /mnt/elsewhere/head-812.json --json
      prequal audit verify --export /mnt/elsewhere/2025.jsonl --export /mnt/elsewhere/2026.jsonl
    """
    from prequal.core.errors import Refused
    from prequal.record import commands

    verdict = commands.verify(record_stores(), _head(head_file), files=files or ())
    if as_json:
        typer.echo(json.dumps(asdict(verdict)))
    elif verdict.tampering is None:
        typer.echo(_fine(verdict))
    if verdict.tampering is not None:
        raise Refused(f"{verdict.words}.")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it is to be kept; it holds no PAN.")],
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="A day, UTC: older blocks are written.")],
    as_json: AsJson = False,
) -> None:
    """Write old blocks of the record, with their entries, into a file, for `prequal audit drop`.

    They are verified meanwhile; the newest block stays. Needs DATABASE_URL and RECORD_KEY, or a running `prequal up`.

    \b
    Example:
      prequal audit export /mnt/elsewhere/2025.jsonl --before 2026-01-01
    """
    from prequal.record import commands

    last = commands.export(record_stores(), file, before.replace(tzinfo=UTC))
    said = f"Blocks up to {last.number} are in {file}. Keep it, and a copy, before `prequal audit drop`."
    typer.echo(json.dumps({"block": last.number}) if as_json else said)


@app.command()
def drop(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="That `prequal audit export` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Delete what a file of `export` holds from the database, under a seal that `verify` accepts.

    The file is verified, and compared with what is stored. It may be stopped and begun again; until it has ended
    `verify` names an entry that is left. Needs RECORD_KEY and, as DATABASE_URL, the address of the tables' owner, or a
    running `prequal up`.

    \b
    Example:
      prequal audit drop /mnt/elsewhere/2025.jsonl
    """
    from prequal.record import commands
    from prequal.record.acts import operator

    deleted: list[int] = [0]
    last = commands.drop(record_stores(), operator(), file, deleted.append)
    said = {"block": last.number, "deleted": deleted[-1]}
    typer.echo(
        json.dumps(said)
        if as_json
        else f"Blocks up to {last.number} have left, with {deleted[-1]} entries: keep {file}."
    )


@app.command()
def who(
    application_id: Annotated[
        str | None, typer.Argument(metavar="[APPLICATION_ID]", help="Without it a PAN is asked for.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every access to an application, or to all applications of a PAN: when, by whom, for what.

    A PAN needs PAN_HASH_KEY as well, and reads through all applications; those from before a rotation are found by
    the keys in PAN_HASH_KEYS_RETIRED, and it says which key is missing. Needs DATABASE_URL, or a running `prequal up`.

    \b
    Examples:
      prequal audit who 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
      prequal audit who --json
    """
    from prequal.core.settings import DatabaseSettings
    from prequal.ops.selection import read_application_id
    from prequal.record import commands

    if application_id is None:
        hashing, hasher = hashing_stores()
        pan = _asked_pan()
        for missing in commands.missing_hash_keys(hashing.database_url, [each.key_id for each in hasher.every]):
            typer.echo(
                f"Applications hashed under key {missing.hex()} are not found: it is not in PAN_HASH_KEYS_RETIRED.",
                err=True,
            )
        _show(commands.who(hashing.database_url, [each.hash(pan) for each in hasher.every]), as_json)
    else:
        wanted = read_application_id(application_id)
        _show(commands.who(stores(DatabaseSettings).database_url, wanted), as_json)


def _asked_pan() -> "Pan":
    return typed_pan(typer.prompt("PAN", hide_input=True, err=True), "What was typed")


def _head(file: Path | None) -> "Head | None":
    from prequal.core.errors import UsageError
    from prequal.record.heads import read_head

    try:
        return None if file is None else read_head(file)
    except (OSError, ValueError):
        raise UsageError("--head names no file that `prequal audit head` wrote.") from None


def _fine(verdict: "Verdict") -> str:
    from prequal.domain.counts import noun

    waiting = f"; {verdict.waiting} {noun(verdict.waiting, 'waits', 'wait')} to be chained" if verdict.waiting else ""
    sealed = f" Blocks up to {verdict.sealed} have left, under a seal." if verdict.sealed else ""
    return f"{verdict.words}{waiting}.{sealed}"


def _show(found: "list[Access]", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(each) | {"at": each.at.isoformat()} for each in found]))
        return
    for each in found:
        about = [
            f"client {each.client}" if each.client else "",
            f"request {each.request_id}" if each.request_id else "",
        ]
        tail = "".join(f", {word}" for word in about if word)
        typer.echo(f"{each.at:%Y-%m-%dT%H:%M:%S.%fZ}  {each.application_id}  {each.by}: {each.purpose}{tail}")
    typer.echo(f"{len(found)} access{'' if len(found) == 1 else 'es'}.")
