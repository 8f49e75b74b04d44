"""`prequal clients`: who may call the API.

Invariant: a token is written to stdout, once, and to nothing else.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli.connection_settings import hashing_stores, stores
from prequal.domain.api_client import RATE, RATE_MAX, ClientScope
from prequal.domain.times import to_the_second

if TYPE_CHECKING:
    from datetime import timedelta

    from prequal.api_clients.administration import Issued, MomentFromNow, Validity
    from prequal.api_clients.queries import ClientRow, SecretRow
    from prequal.issuers.identity import Identity

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]
Client = Annotated[str, typer.Argument(metavar="CLIENT", help="Its id or its name.")]
NotBefore = Annotated[
    str | None, typer.Option(metavar="TIME", help="Taken from then on: 2026-12-01T00:00:00Z, or 2h for in 2 hours.")
]
Rate = Annotated[
    int, typer.Option(min=1, max=RATE_MAX, metavar="NUMBER", help="Requests a second that each API process takes.")
]
Issuer = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Whose tokens name it: `iss`, as API_JWT_ISSUER spells it.")
]
Subject = Annotated[
    str | None, typer.Option(metavar="NAME", help="How they name it: the claim that API_JWT_CLIENT_CLAIM says.")
]
Expires = Annotated[str | None, typer.Option(metavar="TIME", help="Taken until then: a time, or 90d. Default: no end.")]


@app.callback()
def clients() -> None:
    """The clients of the API, and their secrets.

    Where API_AUTHENTICATION is `keys`, a request carries `Authorization: Bearer pq_<id>_<secret>`. A client has two
    secrets at most, so that it changes from one to the other without a gap.

    \b
    Examples:
      prequal clients add "Lender's app"
      prequal clients list
    """


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it; each client its own.")],
    scope: Annotated[
        list[ClientScope] | None, typer.Option(help="What it may do; may be given twice. Default: both.")
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox/--live", help="A sandbox client is taken only there.")] = False,
    rate: Rate = RATE,
    not_before: NotBefore = None,
    expires: Expires = None,
    issuer: Issuer = None,
    subject: Subject = None,
    as_json: AsJson = False,
) -> None:
    """Add a client, and print its token: it cannot be shown again.

    The token alone goes to stdout. Needs DATABASE_URL and PAN_HASH_KEY, or a running `prequal up`. With --issuer and
    --subject it has no token of ours, but those of the issuer, and PAN_HASH_KEY is not needed.

    \b
    Examples:
      prequal clients add "Lender's app" --expires 365d
      prequal clients add auditor --scope applications:read --json
      prequal clients add batch --issuer https://sso.lender.example/realms/apps --subject prequal-batch
    """
    from prequal.api_clients import administration
    from prequal.cli import identities
    from prequal.record.acts import operator

    scopes = sorted(set(scope or ClientScope))
    if identity := identities.of(issuer, subject):
        _add_identified(name, scopes, identity, sandbox, rate, as_json)
        return
    settings, hasher = hashing_stores()
    validity = _validity(not_before, expires)
    issued = administration.add(
        settings.database_url, hasher, operator(), name, scopes, sandbox=sandbox, rate=rate, validity=validity
    )
    _show(issued, as_json)


@app.command("list")
def list_clients(as_json: AsJson = False) -> None:
    """List the clients and their secrets, without the secrets themselves.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal clients list --json
    """
    from prequal.api_clients.administration import list_all
    from prequal.core.settings import DatabaseSettings

    found = list_all(stores(DatabaseSettings).database_url)
    if as_json:
        typer.echo(
            json.dumps([_as_json(client) | {"secrets": list(map(_secret_json, secrets))} for client, secrets in found])
        )
        return
    for client, secrets in found:
        typer.echo(_line(client))
        if client.issuer:
            typer.echo(f"  named by tokens of {client.issuer} as {client.subject}")
        for secret in secrets:
            typer.echo(_secret_line(secret))
    typer.echo(f"{len(found)} client{'' if len(found) == 1 else 's'}.")


@app.command()
def rotate(
    client: Client,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="So long the present secret lives on; 0s ends it now.")
    ] = "1d",
    not_before: NotBefore = None,
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Give a client a new secret, and print its token: it cannot be shown again.

    Both secrets are taken until the overlap is over. Refused while two live already. Needs what `add` needs.

    \b
    Examples:
      prequal clients rotate "Lender's app" --overlap 7d
      prequal clients rotate k7m2xq9z --overlap 0s
    """
    from prequal.api_clients import administration
    from prequal.record.acts import operator

    settings, hasher = hashing_stores()
    validity, lives_on = _validity(not_before, expires), _duration("--overlap", overlap)
    _show(administration.rotate(settings.database_url, hasher, operator(), client, lives_on, validity), as_json)


@app.command()
def identity(
    client: Client,
    issuer: Issuer = None,
    subject: Subject = None,
    none: Annotated[bool, typer.Option("--none", help="No issuer's tokens name it any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let an issuer's tokens name a client, in place of those that did; holds within 5 seconds.

    Its secrets are taken as before: `prequal clients revoke CLIENT --secret 1` ends them. Needs DATABASE_URL, or a
    running `prequal up`.

    \b
    Examples:
      prequal clients identity "Lender's app" --issuer https://sso.lender.example/realms/apps --subject lender-app
      prequal clients identity k7m2xq9z --none
    """
    from prequal.api_clients import administration
    from prequal.cli import identities
    from prequal.core.settings import DatabaseSettings
    from prequal.record.acts import operator

    found = identities.given(issuer, subject, none=none)
    changed = administration.identify(stores(DatabaseSettings).database_url, operator(), client, found)
    _show_identity(changed, as_json)


@app.command()
def limit(client: Client, rate: Rate, as_json: AsJson = False) -> None:
    """Change how many requests a second each API process takes of a client; holds within 5 seconds.

    What is more is answered 429. Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal clients limit "Lender's app" --rate 200
    """
    from prequal.api_clients import administration
    from prequal.core.settings import DatabaseSettings
    from prequal.record.acts import operator

    found = administration.change_rate(stores(DatabaseSettings).database_url, operator(), client, rate)
    if as_json:
        typer.echo(json.dumps(_as_json(found) | {"requests_per_second": rate}))
        return
    typer.echo(f"{found.id} may send {rate} requests a second to each API process.")


@app.command()
def revoke(
    client: Client,
    secret: Annotated[
        int | None, typer.Option(min=1, max=2, metavar="NUMBER", help="This secret alone, 1 or 2, as `list` shows it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a client for good, or one secret of it; holds within 5 seconds.

    Its applications stay, and nobody else's they become. Needs DATABASE_URL, or a running `prequal up`.

    \b
    Examples:
      prequal clients revoke "Lender's app"
      prequal clients revoke k7m2xq9z --secret 1
    """
    from prequal.api_clients import administration
    from prequal.core.settings import DatabaseSettings
    from prequal.record.acts import operator

    found = administration.revoke(stores(DatabaseSettings).database_url, operator(), client, secret)
    if as_json:
        typer.echo(json.dumps({"client": found.id, "name": found.name, "revoked": secret or "client"}))
        return
    typer.echo(f"{found.id} is revoked." if secret is None else f"Secret {secret} of {found.id} is revoked.")


def _add_identified(
    name: str, scopes: list[ClientScope], identity: "Identity", sandbox: bool, rate: int, as_json: bool
) -> None:
    from prequal.api_clients.administration import add_identified
    from prequal.core.settings import DatabaseSettings
    from prequal.record.acts import operator

    url = stores(DatabaseSettings).database_url
    _show_identity(add_identified(url, operator(), name, scopes, identity, sandbox=sandbox, rate=rate), as_json)


def _show_identity(client: "ClientRow", as_json: bool) -> None:
    known = f"tokens of {client.issuer} as {client.subject}" if client.issuer else "no issuer's tokens"
    typer.echo(json.dumps(_as_json(client)) if as_json else f"{client.id} is named by {known}.")


def _show(issued: "Issued", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_as_json(issued.client) | {"secret": issued.slot, "token": issued.token}))
        return
    typer.echo(
        f"Secret {issued.slot} of the client {issued.client.id}. Keep the token: it cannot be shown again.", err=True
    )
    typer.echo(issued.token)


def _validity(not_before: str | None, expires: str | None) -> "Validity":
    from prequal.api_clients.administration import Validity

    return Validity(_moment("--not-before", not_before), _moment("--expires", expires))


def _moment(option: str, text: str | None) -> "MomentFromNow | None":
    from prequal.ops.selection import read_moment

    return None if text is None else read_moment(option, text)


def _duration(option: str, text: str) -> "timedelta":
    from datetime import timedelta

    from prequal.core.errors import UsageError

    duration = _moment(option, text)
    if not isinstance(duration, timedelta):
        raise UsageError(f"{option} must be a duration, such as 0s, 2h or 7d.")
    return duration


def _as_json(client: "ClientRow") -> dict[str, Any]:
    return {
        "client": client.id,
        "name": client.name,
        "scopes": list(client.scopes),
        "kind": _kind(client),
        "requests_per_second": client.requests_per_second,
        "created_at": to_the_second(client.created_at),
        "revoked_at": to_the_second(client.revoked_at),
        "issuer": client.issuer,
        "subject": client.subject,
    }


def _secret_json(secret: "SecretRow") -> dict[str, Any]:
    names = ("created_at", "not_before", "expires_at", "revoked_at", "last_used_at")
    times = {name: to_the_second(getattr(secret, name)) for name in names}
    return {"secret": secret.slot, "live": secret.is_live} | times


def _line(client: "ClientRow") -> str:
    state = f", revoked {to_the_second(client.revoked_at)}" if client.revoked_at else ""
    rate = f"{client.requests_per_second}/s"
    return f"{client.id}  {client.name}  ({_kind(client)}: {', '.join(client.scopes)}, {rate}{state})"


def _secret_line(secret: "SecretRow") -> str:
    ends = to_the_second(secret.expires_at) or "never"
    used = to_the_second(secret.last_used_at) or "never"
    state = "lives" if secret.is_live else "is dead"
    return f"  secret {secret.slot} {state}: from {to_the_second(secret.not_before)}, expires {ends}, last used {used}"


def _kind(client: "ClientRow") -> str:
    return "sandbox" if client.sandbox else "live"
