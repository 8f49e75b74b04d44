"""`prequal review`: people decide what the policy leaves to them.

Invariant: it shows neither a PAN nor an applicant's name.
"""

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from prequal.cli.connection_settings import stores
from prequal.domain.application import Status
from prequal.domain.review import LEASE_MINUTES, LEASE_MINUTES_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prequal.postgres.connections import Connection
    from prequal.review.queries import Case

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Application = Annotated[UUID, typer.Argument(metavar="APPLICATION", help="The application's id.")]
Text = Annotated[str, typer.Argument(metavar="NOTE", help="Up to 2000 characters, without a PAN.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.callback()
def review() -> None:
    """Applications in MANUAL_REVIEW: a queue of cases, claimed, noted on and decided by people.

    After `prequal login` all of it goes over the console, as you; otherwise it works beside the database, as the user
    of this machine. Each step is in the record of acts. A larger amount needs two different people.

    \b
    Examples:
      prequal review list
      prequal review claim 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
    """


@app.command("list")
def list_cases(
    by: Annotated[str, typer.Option(help="age: the nearest target time first; amount: the largest first.")] = "age",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most cases that are shown.")] = 50,
    after: Annotated[UUID | None, typer.Option(metavar="APPLICATION", help="The last one of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the undecided cases, with the hours to their target time.

    Needs `prequal login`, or else DATABASE_URL or a running `prequal up`.

    \b
    Examples:
      prequal review list --by amount --limit 20
      prequal review list --after 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 --json
    """
    from prequal.cli.signed_in import current
    from prequal.core.errors import UsageError
    from prequal.review import cases
    from prequal.review.as_json import case_as_json
    from prequal.review.queries import Order

    if by not in [*Order]:
        raise UsageError(f"--by must be one of {', '.join(Order)}.")
    if person := current():
        after_text = None if after is None else str(after)
        found = person.call("GET", "/review/cases", by=by, limit=limit, after=after_text)["cases"]
    else:
        page = _run(lambda connection: cases.page(connection, Order(by), limit, after))
        found = [case_as_json(case) for case in page]
    if as_json:
        typer.echo(json.dumps(found))
        return
    for case in found:
        typer.echo(_line(case))
    typer.echo("1 case." if len(found) == 1 else f"{len(found)} cases.")


@app.command()
def show(application: Application, as_json: AsJson = False) -> None:
    """Show a case: the application, the policy's reason, notes and votes.

    Needs `prequal login`, or else DATABASE_URL or a running `prequal up`.

    \b
    Example:
      prequal review show 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
    """
    from prequal.cli.signed_in import current
    from prequal.review import cases
    from prequal.review.as_json import whole

    if person := current():
        case = person.call("GET", f"/review/cases/{application}")
    else:
        case = whole(_run(lambda connection: cases.show(connection, application)))
    if as_json:
        typer.echo(json.dumps(case, ensure_ascii=False))
        return
    typer.echo(_line(case))
    typer.echo(
        f"  {case['loan_type']}, income {case['monthly_income_inr']}, score {case['cibil_score'] or 'none'}, "
        f"PAN {case['pan_number_masked']}: {case['policy_reason']} by {case['policy_version']}, "
        f"{json.dumps(case['measures'])}"
    )
    for note in case["notes"]:
        typer.echo(f"  {note['at']}  {note['by']}: {note['note']}")
    for vote in case["votes"]:
        typer.echo(f"  {vote['at']}  {vote['by']} votes {vote['outcome']}, {vote['reason']}")


@app.command()
def claim(
    application: Application,
    minutes: Annotated[
        int, typer.Option(min=1, max=LEASE_MINUTES_MAX, help="How long the case is yours.")
    ] = LEASE_MINUTES,
    as_json: AsJson = False,
) -> None:
    """Take a case, or lengthen your lease on it; afterwards it is free again.

    Needs `prequal login`, or else DATABASE_URL or a running `prequal up`.

    \b
    Example:
      prequal review claim 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 --minutes 60
    """
    from prequal.review import cases

    local = partial(cases.claim, application_id=application, minutes=minutes)
    _moved(application, "claim", {"minutes": minutes}, local, as_json)


@app.command()
def note(application: Application, text: Text, as_json: AsJson = False) -> None:
    """Write a note on a case; it cannot be changed afterwards.

    Needs `prequal login`, or else DATABASE_URL or a running `prequal up`.

    \b
    Example:
      prequal review note 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 "Salary slips of three months are there."
    """
    from prequal.review import cases

    _moved(application, "notes", {"text": text}, partial(cases.note, application_id=application, text=text), as_json)


@app.command("second-look")
def second_look(application: Application, text: Text, as_json: AsJson = False) -> None:
    """Release your case with a note: two people decide it, whatever its amount.

    Needs `prequal login`, or else DATABASE_URL or a running `prequal up`.

    \b
    Example:
      prequal review second-look 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 "Is this income regular?"
    """
    from prequal.review import cases

    local = partial(cases.ask_second_look, application_id=application, text=text)
    _moved(application, "second-look", {"text": text}, local, as_json)


@app.command()
def decide(
    application: Application,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="PRE_APPROVED or REJECTED.")],
    reason: Annotated[str, typer.Argument(metavar="REASON", help="`prequal review reasons` lists them.")],
    as_json: AsJson = False,
) -> None:
    """Decide a case that you have claimed; where two people are needed, this is one of two votes.

    Needs `prequal login`, or else DATABASE_URL or a running `prequal up`.

    \b
    Example:
      prequal review decide 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 PRE_APPROVED INCOME_CONFIRMED
    """
    from prequal.core.errors import UsageError
    from prequal.review import cases

    if outcome not in (Status.PRE_APPROVED, Status.REJECTED):
        raise UsageError("OUTCOME must be PRE_APPROVED or REJECTED.")
    local = partial(cases.decide, application_id=application, outcome=Status(outcome), reason=reason)
    _moved(application, "decision", {"outcome": outcome, "reason": reason}, local, as_json)


@app.command()
def reasons(as_json: AsJson = False) -> None:
    """List the reasons of people's decisions, with the applicant's sentence.

    \b
    Example:
      prequal review reasons --json
    """
    from prequal.review.as_json import reasons as all_reasons

    found = all_reasons()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for each in found:
        typer.echo(f"{each['outcome']:<12}  {each['code']:<20}  {each['en']}")


def _run(work: "Callable[[Connection], Awaitable[Any]]") -> Any:
    from prequal.core.settings import DatabaseSettings
    from prequal.schema.version import run_at_revision

    return run_at_revision(stores(DatabaseSettings).database_url, "review", work)


def _moved(
    application: UUID, act: str, content: dict[str, Any], local: "Callable[..., Awaitable[Case]]", as_json: bool
) -> None:
    """Do it as the person who signed in; without one beside the database, as the user of this machine."""
    from prequal.cli.signed_in import current
    from prequal.record.acts import operator
    from prequal.review.as_json import case_as_json

    if person := current():
        case = person.call("POST", f"/review/cases/{application}/{act}", content)
    else:
        case = case_as_json(_run(lambda connection: local(connection, operator())))
    typer.echo(json.dumps(case) if as_json else _line(case))


def _line(case: dict[str, Any]) -> str:
    state = f"{case['outcome']}, {case['reason']}" if case["outcome"] else case["state"]
    claimed = f", claimed by {case['claimed_by']} until {case['lease_until']}" if case["claimed_by"] else ""
    people = ", two people" if case["people_needed"] == 2 else ""
    return (
        f"{case['application_id']}  {case['hours_to_target']:+8.1f} h  {case['loan_amount_inr']:>14}  "
        f"{state}{people}{claimed}"
    )
