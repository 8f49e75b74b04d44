"""`prequal dlq`: dead letters listed, shown, replayed, discarded.

Invariant: only `show` prints a payload, and nothing printed holds a PAN.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.cli.connection_settings import stores

if TYPE_CHECKING:
    from prequal.core.settings import StoresSettings
    from prequal.ops.dead_letter_resolution import DeadLetterSelection, Resolution
    from prequal.ops.stored_dead_letter import StoredDeadLetter, WholeDeadLetter

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `prequal dlq list` shows them.")]
Kind = Annotated[str | None, typer.Option("--reason", metavar="KIND", help="Only of this kind of error.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Written at or after: 2026-11-23T09:30:00Z, or 2h for 2 hours ago.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Written before: a time or a duration, likewise.")]
Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Only those of this topic.")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter that waits.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show which and how many, and change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.callback()
def dlq() -> None:
    """The dead letters: messages that could never succeed, and why.

    \b
    Examples:
      prequal dlq list
      prequal dlq replay --reason unknown_version --dry-run
    """


@app.command("list")
def list_(
    ids: Ids = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    every: Annotated[bool, typer.Option("--all", help="Those replayed or discarded too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the dead letters that wait, or those named.

    \b
    Examples:
      prequal dlq list
      prequal dlq list --reason malformed_json --since 2h
      prequal dlq list --all --json
    """
    from prequal.ops.dead_letter_json import as_json as of
    from prequal.ops.dead_letter_resolution import find
    from prequal.ops.stored_dead_letter import DeadLetterState

    selection = _selection(ids, kind, since, until, topic)
    found = [each for each in find(_stores(), selection) if every or ids or each.state is DeadLetterState.WAITING]
    if as_json:
        typer.echo(json.dumps([of(each) for each in found]))
        return
    for each in found:
        typer.echo("\n".join(_lines(each)))
    typer.echo(f"{_count(len(found))}.")


@app.command()
def show(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `prequal dlq list` shows them.")],
    as_json: AsJson = False,
) -> None:
    """Show dead letters with key, headers and payload, PANs masked.

    \b
    Example:
      prequal dlq show loan_applications_submitted_dlq:0:17
    """
    from prequal.ops.dead_letter_json import as_json as of
    from prequal.ops.dead_letter_json import contents
    from prequal.ops.dead_letter_resolution import fetch

    selection = _selection(ids, None, None, None, None)
    found = fetch(_stores(), selection.ids)
    if as_json:
        typer.echo(json.dumps([of(each.dead_letter) | contents(each) for each in found]))
        return
    for each in found:
        typer.echo("\n".join([*_lines(each.dead_letter), *_content_lines(each)]))


@app.command()
def replay(
    ids: Ids = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    every: All = False,
    force: Annotated[bool, typer.Option("--force", help="Those replayed or discarded before, too.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topics, unchanged.

    Needs ids, a filter or --all. The events keep their ids: one that took effect meanwhile has no second effect.

    \b
    Examples:
      prequal dlq replay loan_applications_submitted_dlq:0:17
      prequal dlq replay --reason unknown_version --dry-run
    """
    from prequal.ops import dead_letter_resolution
    from prequal.record.acts import operator

    selection = _explicit(_selection(ids, kind, since, until, topic), every)
    resolution = dead_letter_resolution.replay(_stores(), selection, by=operator(), force=force, dry_run=dry_run)
    _report(resolution, "replayed", dry_run, as_json)


@app.command()
def discard(
    ids: Ids = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    every: All = False,
    because: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded. Required.")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Resolve dead letters without replaying them, for a reason.

    Needs ids, a filter or --all. They stay on their topic until its retention of 30 days is over.

    \b
    Example:
      prequal dlq discard --reason malformed_json --because "sent by a load test"
    """
    from prequal.ops import dead_letter_resolution
    from prequal.record.acts import operator

    selection = _explicit(_selection(ids, kind, since, until, topic), every)
    resolution = dead_letter_resolution.discard(_stores(), selection, because=because, by=operator(), dry_run=dry_run)
    _report(resolution, "discarded", dry_run, as_json)


@app.command()
def skip(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The source topic, not its dead letters.")],
    partition: Annotated[int, typer.Argument(metavar="PARTITION", min=0)],
    offset: Annotated[int, typer.Argument(metavar="OFFSET", min=0, help="As the log or /ready names it.")],
    because: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded. Required.")] = "",
) -> None:
    """Skip one message that no consumer gets past. Stop the consumers of its topic first.

    It must be the next message of its consumer group, and becomes no dead letter: read it before, if you need it.

    \b
    Example:
      prequal dlq skip loan_applications_submitted 0 4711 --because "ends the process, ticket 12"
    """
    from prequal.core.topology import GROUPS
    from prequal.ops.selection import read_topic
    from prequal.ops.skip import skip as skip_message
    from prequal.record.acts import operator

    consumed = read_topic(topic, tuple(GROUPS), argument="TOPIC")
    skip_message(_stores(), consumed, partition, offset, because=because, by=operator())
    typer.echo(f"{topic} {partition} {offset} is skipped: start the consumers again.")


def _stores() -> "StoresSettings":
    from prequal.core.settings import StoresSettings

    return stores(StoresSettings)


def _selection(
    ids: list[str] | None, kind: str | None, since: str | None, until: str | None, topic: str | None
) -> "DeadLetterSelection":
    from prequal.ops.dead_letter_resolution import DeadLetterSelection
    from prequal.ops.selection import read_moment, read_source_topic
    from prequal.ops.stored_dead_letter import DeadLetterId

    return DeadLetterSelection(
        ids=tuple(DeadLetterId.read(text) for text in dict.fromkeys(ids or [])),
        kind=kind,
        since=None if since is None else read_moment("--since", since),
        until=None if until is None else read_moment("--until", until),
        source=None if topic is None else read_source_topic(topic),
    )


def _explicit(selection: "DeadLetterSelection", every: bool) -> "DeadLetterSelection":
    from prequal.core.errors import UsageError
    from prequal.ops.dead_letter_resolution import DeadLetterSelection

    if (selection == DeadLetterSelection()) != every:
        raise UsageError("Say which dead letters: ids or filters, or --all alone for every one that waits.")
    return selection


def _report(resolution: "Resolution", done: str, dry_run: bool, as_json: bool) -> None:
    ids, already = _ids(resolution.resolved), _ids(resolution.already_resolved)
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, done: ids, "already_resolved": already}))
        return
    for id_ in ids:
        typer.echo(id_)
    for id_ in already:
        typer.echo(f"{id_} was already resolved.")
    typer.echo(f"{_count(len(ids))} {'would be ' if dry_run else ''}{done}.")


def _ids(dead_letters: "Iterable[StoredDeadLetter]") -> list[str]:
    return [str(each.id) for each in dead_letters]


def _count(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"


def _lines(dead_letter: "StoredDeadLetter") -> list[str]:
    origin = dead_letter.origin
    return [
        f"{dead_letter.id}  {dead_letter.state}  {dead_letter.kind}",
        f"  {dead_letter.error_message}",
        f"  application {_or_dash(dead_letter.application_id)}  event {_or_dash(dead_letter.event_id)}",
        f"  from {origin.topic}:{_or_dash(origin.partition)}:{_or_dash(origin.offset)}"
        f"  first seen {_or_dash(dead_letter.first_seen)}  last seen {_or_dash(dead_letter.last_seen)}"
        f"  attempts {_or_dash(dead_letter.attempts)}",
    ]


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _content_lines(whole: "WholeDeadLetter") -> list[str]:
    from prequal.ops.dead_letter_json import contents as contents_of

    contents = contents_of(whole)
    payload = contents["payload"]
    more = [f"  … and {payload['left_out']} more"] if payload["left_out"] else []
    headers = [f"  {name}: {_or_dash(value)}" for name, value in contents["headers"]]
    return [f"  key {_or_dash(contents['key'])}", *headers, "", *payload["lines"], *more, ""]
