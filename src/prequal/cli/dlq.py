"""`prequal dlq`: the dead letters, looked at, replayed, discarded.

Invariant: no payload is printed but by `show`, and nothing printed holds a PAN.
"""

import getpass
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli.connection_settings import stores

if TYPE_CHECKING:
    from confluent_kafka import Message

    from prequal.core.settings import StoresSettings
    from prequal.ops.dead_letter import StoredDeadLetter
    from prequal.ops.dead_letters import DeadLetterSelection, FoundDeadLetter, SelectedDeadLetters

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `prequal dlq list` shows them.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="KIND", help="Only of this kind of error.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Put aside at or after: 2026-11-23T09:30:00Z, or 2h for 2 hours ago.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Put aside before: a time or a duration, likewise.")]
Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Only those of this topic.")]
Every = Annotated[bool, typer.Option("--all", help="Every letter that waits.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which and how many, and change nothing.")]
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
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    everything: Annotated[bool, typer.Option("--all", help="Those replayed or discarded too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the dead letters that wait, or those named.

    \b
    Examples:
      prequal dlq list
      prequal dlq list --reason malformed_json --since 2h
      prequal dlq list --all --json
    """
    from prequal.ops.dead_letter import State
    from prequal.ops.dead_letters import find

    which = _which(ids, reason, since, until, topic)
    found = [each for each in find(_stores(), which) if everything or ids or each.state is State.WAITING]
    if as_json:
        typer.echo(json.dumps([_plain(each) for each in found]))
        return
    for each in found:
        typer.echo("\n".join(_lines(each)))
    typer.echo(f"{_counted(len(found))}.")


@app.command()
def show(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `prequal dlq list` shows them.")],
    as_json: AsJson = False,
) -> None:
    """Show dead letters whole, PANs masked.

    \b
    Example:
      prequal dlq show loan_applications_submitted_dlq:0:17
    """
    from prequal.ops.dead_letters import fetch

    which = _which(ids, None, None, None, None)
    letters = fetch(_stores(), which.ids)
    if as_json:
        typer.echo(json.dumps([_plain(found) | _contents(message) for found, message in letters]))
        return
    for found, message in letters:
        typer.echo("\n".join([*_lines(found), *_content_lines(message)]))


@app.command()
def replay(
    ids: Ids = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    everything: Every = False,
    force: Annotated[bool, typer.Option("--force", help="Those replayed or discarded before, too.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topics, unchanged.

    Needs ids, a filter or --all. The events keep their ids: what took effect meanwhile takes none again.

    \b
    Examples:
      prequal dlq replay loan_applications_submitted_dlq:0:17
      prequal dlq replay --reason unknown_version --dry-run
    """
    from prequal.ops import dead_letters

    which = _some(_which(ids, reason, since, until, topic), everything)
    chosen = dead_letters.replay(_stores(), which, by=_person(), force=force, dry_run=dry_run)
    _report(chosen, "replayed", dry_run, as_json)


@app.command()
def discard(
    ids: Ids = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    everything: Every = False,
    because: Annotated[str, typer.Option(metavar="WORDS", help="Why; it is recorded. Required.")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Settle dead letters without replaying them, for a reason.

    Needs ids, a filter or --all. The letters stay on their topic until it forgets them after 30 days.

    \b
    Example:
      prequal dlq discard --reason malformed_json --because "sent by a load test"
    """
    from prequal.ops import dead_letters

    which = _some(_which(ids, reason, since, until, topic), everything)
    chosen = dead_letters.discard(_stores(), which, because=because, by=_person(), dry_run=dry_run)
    _report(chosen, "discarded", dry_run, as_json)


def _stores() -> "StoresSettings":
    from prequal.core.settings import StoresSettings

    return stores(StoresSettings)


def _which(
    ids: list[str] | None, kind: str | None, since: str | None, until: str | None, topic: str | None
) -> "DeadLetterSelection":
    from prequal.ops.dead_letter import DeadLetterId
    from prequal.ops.dead_letters import DeadLetterSelection
    from prequal.ops.selection import read_moment, read_source_topic

    return DeadLetterSelection(
        ids=tuple(DeadLetterId.read(text) for text in dict.fromkeys(ids or [])),
        kind=kind,
        since=None if since is None else read_moment("--since", since),
        until=None if until is None else read_moment("--until", until),
        source=None if topic is None else read_source_topic(topic),
    )


def _some(which: "DeadLetterSelection", everything: bool) -> "DeadLetterSelection":
    from prequal.core.errors import Misconfigured
    from prequal.ops.dead_letters import DeadLetterSelection

    if (which == DeadLetterSelection()) != everything:
        raise Misconfigured("Say which dead letters: ids or filters, or --all alone for every one that waits.")
    return which


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"


def _report(chosen: "SelectedDeadLetters", done: str, dry_run: bool, as_json: bool) -> None:
    ids, passed_over = _ids(chosen.letters), _ids(chosen.passed_over)
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, done: ids, "passed_over": passed_over}))
        return
    for id_ in ids:
        typer.echo(id_)
    for id_ in passed_over:
        typer.echo(f"{id_} was settled before.")
    typer.echo(f"{_counted(len(ids))} {'would be ' if dry_run else ''}{done}.")


def _ids(letters: "Iterable[StoredDeadLetter]") -> list[str]:
    return [str(letter.id) for letter in letters]


def _counted(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _plain(found: "FoundDeadLetter") -> dict[str, Any]:
    letter = found.letter
    return {
        "id": str(letter.id),
        "state": found.state.value,
        "event_id": letter.event_id and str(letter.event_id),
        "application_id": letter.application_id and str(letter.application_id),
        "reason": letter.kind,
        "words": letter.words,
        "origin": {"topic": letter.origin.topic, "partition": letter.origin.partition, "offset": letter.origin.offset},
        "first_seen": letter.first_seen,
        "last_seen": letter.last_seen,
        "attempts": letter.attempts,
    }


def _lines(found: "FoundDeadLetter") -> list[str]:
    letter, origin = found.letter, found.letter.origin
    return [
        f"{letter.id}  {found.state}  {letter.kind}",
        f"  {letter.words}",
        f"  application {_or_none(letter.application_id)}  event {_or_none(letter.event_id)}",
        f"  from {origin.topic}:{_or_none(origin.partition)}:{_or_none(origin.offset)}"
        f"  first seen {_or_none(letter.first_seen)}  last seen {_or_none(letter.last_seen)}"
        f"  attempts {_or_none(letter.attempts)}",
    ]


def _or_none(value: object) -> str:
    return "-" if value is None else str(value)


def _contents(message: "Message") -> dict[str, Any]:
    from prequal.messaging.kafka_clients import message_headers
    from prequal.ops.dead_letter import plain
    from prequal.ops.payload_view import show, show_value

    shown = show(message.value() or b"")
    return {
        "key": show_value(message.key()),
        "headers": [[plain(name), show_value(value)] for name, value in message_headers(message)],
        "payload": {"binary": shown.binary, "lines": shown.lines, "left_out": shown.left_out},
    }


def _content_lines(message: "Message") -> list[str]:
    contents = _contents(message)
    payload = contents["payload"]
    more = [f"  … and {payload['left_out']} more"] if payload["left_out"] else []
    headers = [f"  {name}: {_or_none(value)}" for name, value in contents["headers"]]
    return [f"  key {_or_none(contents['key'])}", *headers, "", *payload["lines"], *more, ""]
