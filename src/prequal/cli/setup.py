"""The jobs on the stores, before and beside serving: `roles`, `migrate`, `topics`, `maintain`.

Invariant: running any of them twice does no harm.
"""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from prequal.cli.connection_settings import stores

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a line.")]


def migrate(
    revision: Annotated[str, typer.Option(help="Upgrade to this revision.", metavar="REVISION")] = "head",
    down: Annotated[str | None, typer.Option(help="Downgrade to this revision instead.", metavar="REVISION")] = None,
    as_json: AsJson = False,
) -> None:
    """Migrate the database to this code's revision, or back.

    Needs DATABASE_URL, of the tables' owner, or a running `prequal up`. A downgrade drops what later revisions added,
    data included.

    \b
    Examples:
      prequal migrate
      prequal migrate --down -1
    """
    from prequal.core.settings import DatabaseSettings
    from prequal.schema import migrate

    database_url = stores(DatabaseSettings).database_url
    done = migrate.upgrade(database_url, revision) if down is None else migrate.downgrade(database_url, down)
    if as_json:
        typer.echo(json.dumps({"from": done.before, "to": done.after}))
    else:
        typer.echo("The database is migrated." if down is None else f"The database is downgraded: {down}.")


def roles(
    sql: Annotated[bool, typer.Option("--sql", help="Only print the statements that make the roles.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the database's roles, logins for the processes, and grant each what it needs.

    Needs DATABASE_URL, of a user who may make roles and owns the tables, or a running `prequal up`. A
    login is made, or gets its new password, for each of API_, CREDIT_, DECISION_, PUBLISHER_, CONSOLE_,
    ADMINISTRATOR_, OPERATOR_, READER_ and AUDITOR_DATABASE_PASSWORD that is set. Before the first `prequal migrate`
    it makes the roles alone, and `migrate` grants.

    \b
    Examples:
      prequal roles
      prequal roles --sql | psql "$SERVER_URL"
    """
    from prequal.core.settings.login import RolesSettings
    from prequal.schema import roles
    from prequal.schema.grants import Role

    if sql:
        typer.echo("".join(f"{statement};\n" for statement in roles.statements()))
        return
    settings = stores(RolesSettings)
    logins = {Role(f"prequal_{end}"): password for end, password in settings.passwords().items()}
    roles.make(settings.database_url, logins)
    if as_json:
        typer.echo(json.dumps({"roles": list(Role), "logins": [role.login for role in logins]}))
    else:
        typer.echo("The roles are there" + "".join(f", {role.login}" for role in logins) + ".")


class AclForm(StrEnum):
    """A form in which users and rights are printed."""

    STRIMZI = "strimzi"
    LINES = "lines"


def topics(
    as_json: AsJson = False,
    acls: Annotated[
        AclForm | None,
        typer.Option(help="Only print the brokers' users and their rights, for Strimzi or as lines of kafka-acls.sh."),
    ] = None,
) -> None:
    """Create the topics that are missing in Kafka, and the partitions that they lack.

    Needs KAFKA_BOOTSTRAP_SERVERS, or a running `prequal up`, and KAFKA_REPLICATION_FACTOR=3 in production.
    KAFKA_TOPIC_PARTITIONS raises the number of partitions, also of a running system. With --acls it needs nothing.

    \b
    Examples:
      prequal topics
      KAFKA_TOPIC_PARTITIONS=12 prequal topics
      prequal topics --acls lines
    """
    if acls is not None:
        from prequal.messaging.acls import as_lines, as_strimzi

        typer.echo("\n".join(as_strimzi() if acls is AclForm.STRIMZI else as_lines()))
        return
    from prequal.core.settings import TopicsSettings
    from prequal.messaging.topics import create

    settings = stores(TopicsSettings)
    partitions = settings.kafka_topic_partitions
    created, raised = create(settings, settings.kafka_replication_factor, partitions)
    if as_json:
        typer.echo(json.dumps({"created": created, "raised": raised}))
        return
    lines = [f"Created {name}." for name in created]
    lines += [f"{name} has {partitions} partitions now." for name in raised]
    typer.echo("\n".join(lines) or "All topics are there.")


def maintain(as_json: AsJson = False) -> None:
    """Create the partitions of the days ahead, delete what is too old.

    Once a day is enough. Needs DATABASE_URL, of the tables' owner, or a running `prequal up`.

    \b
    Example, as a scheduled job:
      prequal maintain
    """
    from prequal.core.settings import DatabaseSettings
    from prequal.schema.retention import maintain

    done = asdict(maintain(stores(DatabaseSettings).database_url))
    if as_json:
        typer.echo(json.dumps(done))
    else:
        typer.echo(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in done.items()))
