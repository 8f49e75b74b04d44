"""`prequal republish`: published events, published once more.

Invariant: the events are selected on purpose: by time, by application, or all.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.cli.connection_settings import stores

if TYPE_CHECKING:
    from prequal.ops.republish import RepublishRequest


def republish(
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Published at or after: 2026-11-23T09:30:00Z, or 2h for 2 hours ago."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Published before: a time or a duration.")] = None,
    application: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Of this application; may be given many times.")
    ] = None,
    topic: Annotated[str | None, typer.Option(metavar="TOPIC", help="Only on this topic.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=2**53, help="At most so many, the oldest first.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything in the archive.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how many, and change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a line.")] = False,
) -> None:
    """Republish events of the archive.

    Needs --since, --application or --all. The events keep their ids: one that took effect has no second effect. Those
    that still wait in the outbox are left out. New events wait behind them. The archive reaches back at least 7 days.

    \b
    Examples:
      prequal republish --since 2h --dry-run
      prequal republish --application 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
      prequal republish --all --topic credit_reports_generated
    """
    from prequal.core.settings import DatabaseSettings
    from prequal.ops import republish
    from prequal.record.acts import operator

    request = _request(since, until, application or [], topic, limit, every)
    database_url = stores(DatabaseSettings).database_url
    events = (
        republish.count(database_url, request) if dry_run else republish.republish(database_url, operator(), request)
    )
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "events": events}))
        return
    typer.echo(f"{events} event{'' if events == 1 else 's'} {'would be' if dry_run else 'will be'} republished.")


def _request(
    since: str | None,
    until: str | None,
    applications: list[str],
    topic: str | None,
    limit: int | None,
    every: bool,
) -> "RepublishRequest":
    from prequal.core.errors import UsageError
    from prequal.ops.republish import RepublishRequest
    from prequal.ops.selection import read_application_id, read_moment, read_topic

    if since is None and not applications and not every:
        raise UsageError("Say which events: --since, --application, or --all for everything in the archive.")
    return RepublishRequest(
        since=None if since is None else read_moment("--since", since),
        until=None if until is None else read_moment("--until", until),
        application_ids=[read_application_id(text) for text in dict.fromkeys(applications)],
        topic=None if topic is None else read_topic(topic),
        limit=limit,
    )
