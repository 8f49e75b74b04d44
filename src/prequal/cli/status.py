"""`prequal status`: processes, backlogs and decisions on one screen.

Invariant: it only reads; nothing is started, stopped, locked or consumed.
"""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.core.topology import ExitCode
from prequal.domain.counts import grouped

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from prequal.local.settings import UpSettings
    from prequal.local.status import Overview


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a screen.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second, until Ctrl-C.")] = False,
) -> None:
    """Show processes, backlogs and decisions.

    Processes, outbox, consumer lag, dead letters, applications by status, decisions a minute. What waits is counted up
    to 100,000; in a large table (64 MiB) decided applications are estimated from PostgreSQL's statistics. Reads
    run.json of PREQUAL_DATA_DIR; without a running `prequal up`, DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS. Exit codes:
    0 all is ready, 1 something is not, 2 there is nothing to ask.

    \b
    Examples:
      prequal status
      prequal status --json
      prequal status --watch
    """
    from prequal.core.settings import load
    from prequal.local.settings import UpSettings
    from prequal.local.status import collect

    settings = load(UpSettings)
    if watch and not as_json:
        _watch(settings)
    overview = collect(settings)
    if as_json:
        typer.echo(json.dumps(asdict(overview)))
    else:
        _print(overview)
    raise typer.Exit(ExitCode.DONE if overview.is_healthy else ExitCode.REFUSED)


def _watch(settings: "UpSettings") -> None:
    from rich.live import Live

    from prequal.local.status import collect

    with Live(_screen(collect(settings)), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(1)
            live.update(_screen(collect(settings)), refresh=True)


def _print(overview: "Overview") -> None:
    from rich.console import Console

    Console(highlight=False).print(_screen(overview))


def _screen(overview: "Overview") -> "RenderableType":
    from rich.columns import Columns
    from rich.console import Group

    problems = [f"[red]{problem}[/]" for problem in overview.problems]
    return Group(
        _processes(overview),
        Columns([_backlogs(overview), _applications(overview)], padding=(0, 4)),
        f"  Python {overview.python}, {'an' if overview.python_is_optimized else 'not an'} optimised build",
        *problems,
    )


def _processes(overview: "Overview") -> "RenderableType":
    table = _table("Process", "pid", "port", "ready")
    for process in overview.processes:
        ready = "[green]yes[/]" if process.ready else "[red]no[/]"
        table.add_row(process.name, str(process.pid), str(process.port), ready)
    return table


def _backlogs(overview: "Overview") -> "RenderableType":
    table = _table("Waiting", "")
    if overview.database:
        table.add_row("outbox", _up_to_max(overview.database.outbox_waiting))
        table.add_row("outbox, parked", _up_to_max(overview.database.outbox_parked))
    for group, lag in (overview.consumer_lag or {}).items():
        table.add_row(group, grouped(lag))
    if overview.dead_letters is not None:
        table.add_row("dead letters", grouped(overview.dead_letters))
    return table


def _applications(overview: "Overview") -> "Table":
    table = _table("Applications", "")
    if overview.database:
        about = "" if overview.database.applications_exact else "about "
        for status, count in overview.database.applications.items():
            table.add_row(status, _up_to_max(count) if status == "PENDING" else f"{about}{grouped(count)}")
        table.add_row("decided in the last minute", grouped(overview.database.decisions_last_minute))
    return table


def _up_to_max(count: int) -> str:
    from prequal.local.status import COUNTED_MAX

    return grouped(count) if count < COUNTED_MAX else f"{grouped(COUNTED_MAX)} or more"


def _table(first: str, *others: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(first, box=box.SIMPLE_HEAD)
    for other in others:
        table.add_column(other, justify="right")
    return table
