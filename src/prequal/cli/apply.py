"""`prequal apply`: posts one application and waits for its decision.

Invariant: the PAN is typed without an echo or given on purpose, and printed masked only.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli.connection_settings import api_url
from prequal.core.topology import ExitCode
from prequal.domain.application import LoanType

if TYPE_CHECKING:
    from prequal.client import ApplicationStatus


def apply(
    loan_type: Annotated[LoanType, typer.Option("--type", prompt="Loan type", case_sensitive=False, help="Loan type.")],
    income: Annotated[str, typer.Option(prompt="Monthly income, INR", help="Monthly income in INR.")],
    amount: Annotated[str, typer.Option(prompt="Loan amount, INR", help="Loan amount in INR.")],
    pan: Annotated[
        str, typer.Option(prompt="PAN", hide_input=True, envvar="PREQUAL_PAN", help="PAN; best typed at the prompt.")
    ],
    name: Annotated[str | None, typer.Option(help="The applicant's name; may be left out.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the API is; by default on this machine.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Makes a repeated call harmless for 24 hours.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="PREQUAL_TOKEN", help="The client's token, where one is asked for.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the decision.", min=0)] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="The final status as one JSON object.")] = False,
) -> None:
    """Send one application and wait for its decision.

    What is not given is asked for; the PAN is typed without an echo. Without --url the API of a running `prequal up` is
    used, or API_PORT. A token is best given as PREQUAL_TOKEN. Exit codes: 0 decided (whatever the decision), 1
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
    with ApiClient(url or api_url(), token) as client:
        application_id = client.submit(application, idempotency_key)
        statuses = client.watch(application_id, timeout)
        last = _last(statuses) if as_json else _show(statuses)
    if as_json:
        typer.echo(json.dumps(_as_json(last)))
    if not last.is_final:
        typer.echo(f"prequal: application {application_id} is still undecided after {timeout:g} s", err=True)
        raise typer.Exit(ExitCode.REFUSED)


def _last(statuses: Iterator["ApplicationStatus"]) -> "ApplicationStatus":
    *_, last = statuses
    return last


def _show(statuses: Iterator["ApplicationStatus"]) -> "ApplicationStatus":
    """Show a spinner while it waits, then the decision."""
    from rich.console import Console

    console = Console(highlight=False)
    first = next(statuses)
    console.print(f"Application {first.application_id} for {first.pan_number_masked} is accepted.")
    with console.status("being assessed"):
        last = _last(iter([first, *statuses]))
    if last.is_final:
        colour = {"PRE_APPROVED": "green", "REJECTED": "red"}.get(last.status, "yellow")
        scored = "without a score" if last.cibil_score is None else f"with score {last.cibil_score}"
        console.print(f"[bold {colour}]{last.status}[/] {scored}, after {last.milliseconds:.0f} ms.")
    return last


def _as_json(status: "ApplicationStatus") -> dict[str, Any]:
    times = {"created_at": status.created_at.isoformat(), "updated_at": status.updated_at.isoformat()}
    return asdict(status) | times | {"milliseconds": round(status.milliseconds, 1)}
