"""`prequal keys`: the keys of PANs and of reports.

Invariant: keys are written to stdout alone.
"""

import json
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def keys() -> None:
    """The keys that encrypt and hash PANs, and that sign reports.

    \b
    Example:
      (umask 077; prequal keys generate >> .env)
    """


@app.command()
def generate(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Print a fresh ENCRYPTION_KEY, PAN_HASH_KEY and REPORT_KEY.

    Each is base64 of 32 random bytes. Keep them where secrets are kept: without PAN_HASH_KEY the
    24-hour rule is lost, without ENCRYPTION_KEY the PANs. REPORT_KEY, for credit and decision, signs reports.

    \b
    Example:
      (umask 077; prequal keys generate >> .env)
    """
    from prequal.local.keys import generate

    fresh = generate()
    typer.echo(json.dumps(fresh) if as_json else "\n".join(f"{name}={key}" for name, key in fresh.items()))
