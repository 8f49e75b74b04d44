"""What is done to the stores before and beside serving: `migrate`, `topics`, `maintain`.

Neighbours: `prequal.migrations`, `kernel.topics` and `kernel.maintenance` do the work; `prequal up` runs all three.
Invariant: running any of them twice does no harm.
"""

import json
from dataclasses import asdict
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="What was done, as one JSON object.")]


def migrate(
    revision: Annotated[str, typer.Option(help="Upgrade to this revision.", metavar="REVISION")] = "head",
    down: Annotated[str | None, typer.Option(help="Downgrade to this revision instead.", metavar="REVISION")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables to this code's shape, or back.

    Needs DATABASE_URL, of the tables' owner. A downgrade drops what later revisions made, data included.

    \b
    Examples:
      prequal migrate
      prequal migrate --down 0004
    """
    from prequal import migrations
    from prequal.kernel.settings import DatabaseSettings, load

    database_url = load(DatabaseSettings).database_url
    done = migrations.upgrade(database_url, revision) if down is None else migrations.downgrade(database_url, down)
    if as_json:
        typer.echo(json.dumps({"from": done.before, "to": done.after}))
    else:
        typer.echo("The database is migrated." if down is None else f"The database went back: {down}.")


def topics(as_json: AsJson = False) -> None:
    """Create the topics that are missing in Kafka.

    Needs KAFKA_BOOTSTRAP_SERVERS, and KAFKA_REPLICATION_FACTOR=3 in production.

    \b
    Example:
      prequal topics
    """
    from prequal.kernel.settings import TopicsSettings, load
    from prequal.kernel.topics import create

    settings = load(TopicsSettings)
    made = create(settings, settings.kafka_replication_factor)
    if as_json:
        typer.echo(json.dumps({"created": made}))
    else:
        typer.echo("\n".join(f"Created {name}." for name in made) or "All topics are there.")


def maintain(as_json: AsJson = False) -> None:
    """Make partitions ahead, prune what is too old.

    Once a day is enough. Needs DATABASE_URL, of the tables' owner.

    \b
    Example, as a scheduled job:
      prequal maintain
    """
    from prequal.kernel.maintenance import maintain
    from prequal.kernel.settings import DatabaseSettings, load

    done = asdict(maintain(load(DatabaseSettings).database_url))
    if as_json:
        typer.echo(json.dumps(done))
    else:
        typer.echo(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in done.items()))
