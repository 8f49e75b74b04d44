"""The commands of `prequal`, by name, and their common help.

Invariant: loading it loads no service, no store and no terminal graphics.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from prequal import __version__
from prequal.cli import (
    apply,
    audit,
    clients,
    dlq,
    keys,
    login,
    policy_life,
    republish,
    review,
    scan,
    services,
    setup,
    status,
    trace,
    up,
    users,
)
from prequal.core.errors import UsageError

HELP = """Instant loan prequalification: submit, assess, decide.

Start here: `prequal up` runs everything on this machine, `prequal apply` sends an application to it.

\b
Examples:
  prequal up
  prequal apply --type HOME --income 75000 --amount 1500000
  prequal status

\b
Exit codes:
  0  done
  1  refused: the API does not take the application, or did not decide it in time; `scan` found a PAN;
     a case in review does not allow the step
  2  bad usage or settings: the sentence on stderr says what to change
  3  out of reach: the API, the database or Kafka did not answer, or did not start

Settings come from the environment or the file .env; .env.example lists them all.
"""


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"prequal {__version__}")
        raise typer.Exit


class Commands(TyperGroup):
    """All commands; an input that ends at a prompt is bad usage, not a refusal."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except typer.Abort as end:
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise UsageError(
                "The input ended before everything was entered: give the rest as options, "
                f"see `prequal {ctx.invoked_subcommand} --help`."
            ) from None


app = typer.Typer(
    name="prequal",
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def prequal(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version, and end.")
    ] = False,
) -> None:
    """What is common to all commands; the help is above."""


app.command()(up.up)
app.command()(apply.apply)
app.command()(login.login)
app.command()(login.logout)
app.command()(status.status)
app.command()(trace.trace)
app.command()(scan.scan)
app.command()(services.api)
app.command()(services.credit)
app.command()(services.decision)
app.command()(services.publisher)
app.command()(services.console)
app.command()(services.bureau)
app.command()(setup.roles)
app.command()(setup.migrate)
app.command()(setup.topics)
app.command()(setup.maintain)
app.command()(republish.republish)
app.add_typer(audit.app, name="audit")
app.add_typer(clients.app, name="clients")
app.add_typer(dlq.app, name="dlq")
app.add_typer(keys.app, name="keys")
app.add_typer(policy_life.commands, name="policy")
app.add_typer(review.app, name="review")
app.add_typer(users.app, name="users")
