"""`prequal apply`: posts one application and watches it decide.

Invariant: the PAN is typed unseen or given on purpose, and printed masked only.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli import exit_codes

if TYPE_CHECKING:
    from prequal.client import Status


class LoanType(StrEnum):
    """What is lent for."""

    PERSONAL = "PERSONAL"
    HOME = "HOME"
    AUTO = "AUTO"


def apply(
    loan_type: Annotated[LoanType, typer.Option("--type", prompt="Loan type", case_sensitive=False, help="Loan type.")],
    income: Annotated[str, typer.Option(prompt="Monthly income, INR", help="Monthly income in INR.")],
    amount: Annotated[str, typer.Option(prompt="Loan amount, INR", help="Loan amount in INR.")],
    pan: Annotated[
        str, typer.Option(prompt="PAN", hide_input=True, envvar="PREQUAL_PAN", help="PAN; best typed unseen.")
    ],
    name: Annotated[str | None, typer.Option(help="The applicant's name; may be left out.")] = None,
    url: Annotated[str, typer.Option(help="Where the API is.")] = "http://127.0.0.1:8000",
    idempotency_key: Annotated[str | None, typer.Option(help="Makes a repeated call harmless for 24 hours.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the decision.", min=0)] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="The final status as one JSON object.")] = False,
) -> None:
    """Send one application and watch it decide.

    What is not given is asked for; the PAN is typed unseen. Exit codes: 0 decided (whatever the decision), 1
    refused or not decided in time, 2 bad usage, 3 out of reach.

    \b
    Example:
      prequal apply --type HOME --income 75000 --amount 1500000
    """
    from prequal.client import ApiClient

    application = {
        "pan_number": pan,
        "monthly_income_inr": income,
        "loan_amount_inr": amount,
        "loan_type": loan_type.value,
        **({"applicant_name": name} if name is not None else {}),
    }
    with ApiClient(url) as client:
        application_id = client.submit(application, idempotency_key)
        seen = client.watch(application_id, timeout)
        last = _last(seen) if as_json else _shown(seen)
    if as_json:
        typer.echo(json.dumps(_plain(last)))
    if not last.final:
        typer.echo(f"prequal: application {application_id} is still undecided after {timeout:g} s", err=True)
        raise typer.Exit(exit_codes.REFUSED)


def _last(seen: Iterator["Status"]) -> "Status":
    *_, last = seen
    return last


def _shown(seen: Iterator["Status"]) -> "Status":
    """Watch it on the screen: the wait is a line that moves, the decision is a line that stays."""
    from rich.console import Console

    console = Console(highlight=False)
    first = next(seen)
    console.print(f"Application {first.application_id} for {first.pan_number_masked} is taken.")
    with console.status("being assessed"):
        last = _last(iter([first, *seen]))
    if last.final:
        colour = {"PRE_APPROVED": "green", "REJECTED": "red"}.get(last.status, "yellow")
        console.print(
            f"[bold {colour}]{last.status}[/] with score {last.cibil_score}, after {last.milliseconds:.0f} ms."
        )
    return last


def _plain(status: "Status") -> dict[str, Any]:
    times = {"created_at": status.created_at.isoformat(), "updated_at": status.updated_at.isoformat()}
    return asdict(status) | times | {"milliseconds": round(status.milliseconds, 1)}
