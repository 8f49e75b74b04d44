"""`prequal users`: the people who sign in to the console.

Invariant: a password that is made, and a second factor's address, are written to stdout, once, and to nothing else.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli.connection_settings import people_stores, stores
from prequal.domain.person import PersonRole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prequal.people.administration import NewSecrets
    from prequal.people.queries import Person
    from prequal.postgres.connections import Connection

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and . _ @ -.")]
Roles = Annotated[list[PersonRole], typer.Option("--role", help="What the person is there for; may be repeated.")]
Issuer = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Who vouches for the person: `iss`, as OIDC_ISSUER spells it.")
]
Subject = Annotated[str | None, typer.Option(metavar="NAME", help="How it names the person: `sub` of its tokens.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a random password and print it, once.")]


@app.callback()
def users() -> None:
    """The people who sign in to the console, and what each may do there.

    Every change is in the record of acts.

    \b
    Examples:
      prequal users add asha --role reviewer
      prequal users list
    """


@app.command()
def add(
    name: Name,
    role: Roles,
    generate: Generate = False,
    totp: Annotated[bool, typer.Option("--totp", help="With a second factor: its address is printed, once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a person; the password is asked for.

    The address of a second factor goes into an authenticator on the person's telephone. Needs DATABASE_URL, for
    --totp PEOPLE_KEY as well, or a running `prequal up`.

    \b
    Examples:
      prequal users add asha --role reviewer
      prequal users add asha@lender.example --role risk_officer --role auditor --generate --totp
    """
    from prequal.people import administration
    from prequal.record.acts import operator

    new = _new_secrets(generate, totp=totp)
    _run(lambda connection: administration.add(connection, operator(), name, role, new))
    _show(name, new, generate, as_json)


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List the people, with their roles.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal users list --json
    """
    from prequal.people import administration

    found = _run(administration.list_all)
    if as_json:
        typer.echo(json.dumps(list(map(_as_json, found))))
        return
    for person in found:
        typer.echo(_line(person))
    typer.echo("1 person." if len(found) == 1 else f"{len(found)} people.")


@app.command()
def roles(name: Name, role: Roles, as_json: AsJson = False) -> None:
    """Give a person these roles in the place of the present ones; holds at once.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal users roles asha --role approver --role auditor
    """
    from prequal.people import administration
    from prequal.record.acts import operator

    _run(lambda connection: administration.set_roles(connection, operator(), name, role))
    chosen = sorted(set(role))
    typer.echo(json.dumps({"name": name, "roles": chosen}) if as_json else f"{name} is now {', '.join(chosen)}.")


@app.command()
def disable(name: Name, as_json: AsJson = False) -> None:
    """Disable a person for good, and end the person's sessions at once.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal users disable asha
    """
    from prequal.people import administration
    from prequal.record.acts import operator

    _run(lambda connection: administration.disable(connection, operator(), name))
    typer.echo(json.dumps({"name": name, "disabled": True}) if as_json else f"{name} is disabled.")


@app.command()
def identity(
    name: Name,
    issuer: Issuer = None,
    subject: Subject = None,
    none: Annotated[bool, typer.Option("--none", help="No issuer vouches for the person any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let an issuer vouch for a person, in place of the one that did; ends the person's sessions.

    A password is taken as before, unless CONSOLE_PASSWORDS is off. Needs DATABASE_URL, or a running `prequal up`.

    \b
    Examples:
      prequal users identity asha --issuer https://sso.lender.example/realms/staff --subject 5f2c9a7e
      prequal users identity asha --none
    """
    from prequal.cli.identities import given
    from prequal.people import administration
    from prequal.record.acts import operator

    found = given(issuer, subject, none=none)
    _run(lambda connection: administration.set_identity(connection, operator(), name, found))
    known = asdict(found) if found else {"issuer": None, "subject": None}
    said = f"{found.issuer} vouches for {name} as {found.subject}." if found else f"No issuer vouches for {name}."
    typer.echo(json.dumps({"name": name, **known}) if as_json else said)


@app.command()
def password(
    name: Name,
    generate: Generate = False,
    totp: Annotated[
        bool | None, typer.Option("--totp/--no-totp", help="A new second factor, or none. Default: as it is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a person a new password; ends the person's sessions, and a lock after failed sign-ins.

    The password is asked for. Needs DATABASE_URL, for --totp PEOPLE_KEY as well, or a running `prequal up`.

    \b
    Examples:
      prequal users password asha
      prequal users password asha --generate --totp
    """
    from prequal.people import administration
    from prequal.record.acts import operator

    new, too = _new_secrets(generate, totp=bool(totp)), totp is not None
    _run(lambda connection: administration.set_password(connection, operator(), name, new, second_factor_too=too))
    _show(name, new, generate, as_json)


def _run(work: "Callable[[Connection], Awaitable[Any]]") -> Any:
    from prequal.core.settings import DatabaseSettings
    from prequal.schema.version import run_at_revision

    return run_at_revision(stores(DatabaseSettings).database_url, "users", work)


def _new_secrets(generate: bool, *, totp: bool) -> "NewSecrets":
    from prequal.people.administration import NewSecrets
    from prequal.people.second_factor_keys import SecondFactorKeys

    keys = SecondFactorKeys.of(people_stores()) if totp else None
    typed = None if generate else typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return NewSecrets.of(typed, totp=totp, keys=keys)


def _show(name: str, new: "NewSecrets", generated: bool, as_json: bool) -> None:
    from prequal.people.second_factor import address

    secrets = {"password": new.password} if generated else {}
    if new.totp_secret is not None:
        secrets["totp"] = address(name, new.totp_secret)
    if as_json:
        typer.echo(json.dumps({"name": name, **secrets}))
        return
    typer.echo(f"{name} may sign in." + (" Keep what follows: it cannot be shown again." if secrets else ""), err=True)
    for secret in secrets.values():
        typer.echo(secret)


def _as_json(person: "Person") -> dict[str, Any]:
    return {
        "name": person.name,
        "roles": list(person.roles),
        "second_factor": person.has_second_factor,
        "created_at": person.created_at.isoformat(),
        "disabled_at": person.disabled_at and person.disabled_at.isoformat(),
        "locked_until": person.locked_until and person.locked_until.isoformat(),
        "issuer": person.issuer,
        "subject": person.subject,
    }


def _line(person: "Person") -> str:
    state = "disabled" if person.disabled_at else "locked" if person.locked_until else ""
    factor = "second factor" if person.has_second_factor else "password alone"
    return f"{person.name}  {', '.join(person.roles)}  ({', '.join(filter(None, [factor, person.known_as, state]))})"
