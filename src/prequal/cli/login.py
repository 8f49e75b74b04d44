"""`prequal login` and `prequal logout`: the command line as a person, over the console's JSON API.

Invariant: password, code and token are no arguments, and are printed nowhere.
"""

import json
import os
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a line.")]


def login(
    url: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Of the console.", envvar="PREQUAL_CONSOLE")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Your name.", envvar="PREQUAL_NAME")] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="By your organisation's sign-in, in a browser of this machine.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of 127.0.0.1, to which --browser leads back. Default: a free one.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Sign in to a console: `prequal review` and `prequal policy` then work over it as you.

    Until `prequal logout`, whatever DATABASE_URL says; without a login they work beside the database, as the user of
    this machine. Address, name, password and the code of the second factor are asked for, or taken from
    PREQUAL_CONSOLE, PREQUAL_NAME, PREQUAL_PASSWORD and PREQUAL_CODE (empty: none); with --browser the address alone.
    The token is kept in ~/.config/prequal/login.json, which you alone may read.

    \b
    Examples:
      prequal login http://127.0.0.1:8004 --name reviewer
      prequal login https://console.lender.example --name asha
      prequal login https://console.lender.example --browser
    """
    from prequal.cli import signed_in

    address = signed_in.require_safe(url or typer.prompt("Address of the console", "http://127.0.0.1:8004", err=True))
    answer = _by_browser(address, port) if browser else _by_password(address, name)
    signed_in.keep(signed_in.Login(address, answer["person"], answer["token"]))
    person, roles = answer["person"], answer["roles"]
    typer.echo(
        json.dumps({"person": person, "roles": roles, "console": address})
        if as_json
        else f"Signed in to {address} as {person}: {', '.join(roles)}."
    )


def logout(as_json: AsJson = False) -> None:
    """End the session of `prequal login`, and work beside the database again.

    \b
    Example:
      prequal logout
    """
    from prequal.cli import signed_in

    found = signed_in.current()
    if found is not None:
        try:
            found.call("DELETE", "/session")
        except signed_in.SessionOver:
            pass
        finally:
            signed_in.forget()
    person = found and found.person
    typer.echo(
        json.dumps({"person": person}) if as_json else f"{person} is signed out." if person else "Nobody was signed in."
    )


def _by_password(address: str, name: str | None) -> Any:
    from prequal.cli import signed_in

    given = {
        "name": name or typer.prompt("Name", err=True),
        "password": _secret("PREQUAL_PASSWORD", "Password"),
        "code": _secret("PREQUAL_CODE", "Code of the second factor (empty without one)"),
    }
    return signed_in.call(address, "POST", "/session", given)


def _by_browser(address: str, port: int) -> Any:
    from prequal.cli import browser_login

    return browser_login.login(address, port)


def _secret(variable: str, words: str) -> str:
    """What a variable holds, even if that is nothing; where it is not set, it is asked for without an echo."""
    found = os.environ.get(variable)
    return str(typer.prompt(words, "", hide_input=True, show_default=False, err=True)) if found is None else found
