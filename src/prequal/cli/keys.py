"""`prequal keys`: the keys of PANs, of reports, of the record and of people's second factors.

Invariant: keys are written to stdout and to the key ring's file alone.
"""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.cli.connection_settings import hashing_stores, ring_stores, stores
from prequal.core.topology import KeySource

if TYPE_CHECKING:
    from prequal.core.settings import RingSettings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

From = Annotated[
    KeySource | None, typer.Option("--source", help="The key service that makes and wraps the ENCRYPTION_KEY.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


class Rotatable(StrEnum):
    """The keys that another may take the place of."""

    ENCRYPTION_KEY = "ENCRYPTION_KEY"
    PAN_HASH_KEY = "PAN_HASH_KEY"
    REPORT_KEY = "REPORT_KEY"
    RECORD_KEY = "RECORD_KEY"
    PEOPLE_KEY = "PEOPLE_KEY"


class Listable(StrEnum):
    """The keys that are listed by their ids."""

    ENCRYPTION_KEY = "ENCRYPTION_KEY"
    PAN_HASH_KEY = "PAN_HASH_KEY"


STEPS = {
    Rotatable.ENCRYPTION_KEY: """The database knows the new key. In this order:
  1. Add it to ENCRYPTION_KEYS_RETIRED of prequal-api and credit-service, and restart both.
  2. Make it their ENCRYPTION_KEY, add the old one to ENCRYPTION_KEYS_RETIRED, and restart both. If credit-service has
     no SCORE_DRAW_KEY yet, set that to the old key: nobody's score changes.""",
    Rotatable.PAN_HASH_KEY: """The database knows the new key. In this order:
  1. Add it to PAN_HASH_KEYS_RETIRED of prequal-api, and restart each of its processes.
  2. Make it their PAN_HASH_KEY, add the old one to PAN_HASH_KEYS_RETIRED, and restart; the same where one runs
     `prequal clients` and `prequal audit who`.
  3. From 24 hours after step 1 on, `prequal keys retire` the old one; then take it from prequal-api, and keep it for
     `prequal audit who`, which finds the applications of before by it.""",
    Rotatable.REPORT_KEY: """The database knows the new key. In this order:
  1. Make it decision-service's REPORT_KEY, set its REPORT_KEYS_RETIRED to the old one, and restart it.
  2. Make it credit-service's REPORT_KEY, and restart it.
  3. When nothing is undecided that the old one signed, take REPORT_KEYS_RETIRED away.""",
    Rotatable.RECORD_KEY: """The database knows the new key. Make it the RECORD_KEY of the console and of `prequal
audit`, add the old one to the RECORD_KEYS_RETIRED of both, and restart the console: older blocks are
verified with it.""",
    Rotatable.PEOPLE_KEY: """The database knows the new key. In this order:
  1. Add it to PEOPLE_KEYS_RETIRED of the console, and restart each of its processes.
  2. Make it their PEOPLE_KEY, set PEOPLE_KEYS_RETIRED to the old one, and restart: the start encrypts second factors
     under the new key. The same where one runs `prequal users`.
  3. Take PEOPLE_KEYS_RETIRED away.""",
}


@app.callback()
def keys() -> None:
    """The keys that encrypt and hash PANs, sign reports, chain the record, and encrypt second factors.

    \b
    Example:
      (umask 077; prequal keys generate >> .env)
    """


@app.command()
def generate(as_json: AsJson = False, source: From = None) -> None:
    """Print a fresh ENCRYPTION_KEY, PAN_HASH_KEY, REPORT_KEY, RECORD_KEY and PEOPLE_KEY.

    Each is base64 of 32 random bytes. Keep them where secrets are kept: without PAN_HASH_KEY the
    24-hour rule is lost, without ENCRYPTION_KEY the PANs. REPORT_KEY, for credit and decision, signs reports.
    RECORD_KEY, for the console and `prequal audit`, chains the record. PEOPLE_KEY, for the console and `prequal
    users`, encrypts second factors.
    With --source, print the first line of an ENCRYPTION_KEY_FILE instead, whose key the key service wrapped.

    \b
    Examples:
      (umask 077; prequal keys generate >> .env)
      (umask 077; prequal keys generate --source vault > /etc/prequal/ring)
    """
    if source is not None:
        _generate_wrapped(source, as_json)
        return
    from prequal.local.keys import generate

    fresh = generate()
    typer.echo(json.dumps(fresh) if as_json else "\n".join(f"{name}={key}" for name, key in fresh.items()))


@app.command("list")
def list_keys(
    name: Annotated[Listable, typer.Argument(help="Which keys.")] = Listable.ENCRYPTION_KEY, as_json: AsJson = False
) -> None:
    """List the keys of PANs by their ids: state, source, first use, and encryptions; never a key.

    A state is `active`, `decrypts`, `not here` (known to the database, not on this ring) or `retired`; a source
    `environment`, `file`, or the key service that wrapped the key in the file. Counts are added up each minute.
    Needs DATABASE_URL and ENCRYPTION_KEY or ENCRYPTION_KEY_FILE, or a running `prequal up`.
    With PAN_HASH_KEY, which it then needs instead: state (`looked up` for one of PAN_HASH_KEYS_RETIRED) and how many
    claims, idempotency keys and clients' secrets need the key.

    \b
    Examples:
      prequal keys list --json
      prequal keys list PAN_HASH_KEY
    """
    if name is Listable.PAN_HASH_KEY:
        _list_hash_keys(as_json)
        return
    from prequal.core.settings import RingSettings
    from prequal.ops import encryption_keys

    settings = ring_stores(RingSettings)
    found = encryption_keys.list_keys(settings.database_url, encryption_keys.sources(settings))
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in found], default=str))
        return
    for key in found:
        used = f"first used {key.first_used:%Y-%m-%d %H:%M}Z" if key.first_used else "never used"
        typer.echo(f"{key.key_id}  {key.state:8}  {key.source or '':11}  {used}  {key.encryptions} encryptions")


@app.command()
def rotate(
    name: Annotated[Rotatable, typer.Argument(help="Which key.")] = Rotatable.ENCRYPTION_KEY, source: From = None
) -> None:
    """Make a new key known to the database, and active where a key ring's file is used.

    With ENCRYPTION_KEY_FILE a running system goes over to the new key: it is written to the file as one that
    decrypts, and ten seconds later as the active one. Otherwise the new key is printed, with the steps that are left.
    The old one decrypts on, or is looked up on. The file's new key comes from where its active one did, or from
    --source. Needs DATABASE_URL, and for ENCRYPTION_KEY what prequal-api is given
    of keys, or a running `prequal up`.

    \b
    Examples:
      ENCRYPTION_KEY_FILE=/etc/prequal/ring prequal keys rotate
      (umask 077; prequal keys rotate REPORT_KEY > new.env)
      (umask 077; prequal keys rotate PAN_HASH_KEY > new.env)
    """
    from pydantic import SecretStr

    from prequal.core.errors import UsageError
    from prequal.core.keys import key_bytes
    from prequal.core.settings import DatabaseSettings, RingSettings
    from prequal.local.keys import generate
    from prequal.ops import encryption_keys, hash_keys
    from prequal.record.acts import operator

    settings = ring_stores(RingSettings) if name is Rotatable.ENCRYPTION_KEY else stores(DatabaseSettings)
    if isinstance(settings, RingSettings) and settings.encryption_key_file:
        _rotate_file(settings, source)
        return
    if source is not None:
        raise UsageError("--source is for the key ring of ENCRYPTION_KEY_FILE: a key service wraps no other key.")
    fresh = generate()[name]
    if name is Rotatable.PAN_HASH_KEY:
        hash_keys.make_known(settings.database_url, operator(), key_bytes(SecretStr(fresh)))
    else:
        encryption_keys.make_known(settings.database_url, operator(), name, key_bytes(SecretStr(fresh)))
    typer.echo(f"{name}={fresh}")
    typer.echo(STEPS[name], err=True)


@app.command()
def reencrypt() -> None:
    """Encrypt stored PANs under the active key, wherever another key encrypted them.

    Runs beside the services, 500 applications at a time, and may be stopped and begun again. Each decryption is
    recorded before it happens. Needs what `list` needs.

    \b
    Example:
      prequal keys reencrypt
    """
    from prequal.core.settings import RingSettings
    from prequal.ops import reencryption
    from prequal.security.pan_encryption import KeyRing

    settings = ring_stores(RingSettings)
    done = reencryption.reencrypt(settings.database_url, KeyRing.of(settings), _show_progress)
    typer.echo(f"{done.renewed} of {done.seen} applications were encrypted again.")


@app.command()
def retire(key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `prequal keys list` shows it.")]) -> None:
    """Take a key out of use for good: no process starts with it any more.

    Refused, with the places and counts, while an application, the outbox, its archive, a topic or a dead letter
    holds a PAN that it encrypted. Applications are renewed by `reencrypt`; the archive and the topics run out, in
    7 days, dead letters in 30.
    A PAN_HASH_KEY is retired only when no claim of the 24-hour rule, idempotency key or client's secret needs it.
    Needs DATABASE_URL and what `list` needs; for an ENCRYPTION_KEY, KAFKA_BOOTSTRAP_SERVERS as well.

    \b
    Example:
      prequal keys retire 4d0b07ffb3a5a85e
    """
    from prequal.core.errors import Refused, UsageError
    from prequal.core.keys import KEY_ID_BYTES
    from prequal.core.settings import DatabaseSettings, RingAndTopicsSettings
    from prequal.ops import hash_keys, key_retirement
    from prequal.record.acts import operator
    from prequal.security.pan_encryption import KeyRing

    try:
        wanted = bytes.fromhex(key_id)
    except ValueError:
        wanted = b""
    if len(wanted) != KEY_ID_BYTES:
        raise UsageError("KEY_ID is 16 hexadecimal digits, as `prequal keys list` shows it.")
    if hash_keys.is_hash_key(stores(DatabaseSettings).database_url, wanted):
        _retire_hash_key(wanted)
        return
    settings = ring_stores(RingAndTopicsSettings)
    if KeyRing.of(settings).current_id == wanted:
        raise Refused(f"Key {key_id} is the active one: `prequal keys rotate` first.")
    key_retirement.retire(operator(), settings, wanted)
    left = "" if settings.encryption_key_file else " Take it out of ENCRYPTION_KEYS_RETIRED."
    typer.echo(f"Key {key_id} is retired.{left}")


def _generate_wrapped(source: KeySource, as_json: bool) -> None:
    from prequal.core.settings import WrappingSettings, load
    from prequal.security import key_file, key_providers

    words = key_file.words_of(key_providers.generate(source, load(WrappingSettings)).held)
    typer.echo(json.dumps({key_file.ACTIVE: words}) if as_json else f"{key_file.ACTIVE} {words}")


def _rotate_file(settings: "RingSettings", source: KeySource | None) -> None:
    from prequal.core.keys import key_id
    from prequal.ops import encryption_keys
    from prequal.record.acts import operator
    from prequal.security import key_file, key_providers
    from prequal.security.pan_encryption import KeyRing

    file = Path(settings.encryption_key_file)
    before = KeyRing.of(settings).current_id
    fresh = key_providers.generate(source or key_file.read(file).source, settings)
    encryption_keys.rotate_file(settings.database_url, operator(), file, fresh, typer.echo)
    typer.echo(f"Key {key_id(fresh.key).hex()} is active; {before.hex()} decrypts. Next: prequal keys reencrypt")


def _list_hash_keys(as_json: bool) -> None:
    from prequal.ops import hash_keys

    settings, hasher = hashing_stores()
    found = hash_keys.list_keys(settings.database_url, [each.check for each in hasher.every])
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in found], default=str))
        return
    for key in found:
        needed = ", ".join(f"{table} {count}" for table, count in key.needed_by.items()) or "nothing"
        typer.echo(f"{key.key_id}  {key.state:9}  known since {key.recorded_at:%Y-%m-%d %H:%M}Z  needed by {needed}")


def _retire_hash_key(key_id: bytes) -> None:
    from prequal.core.errors import Refused
    from prequal.ops import hash_keys
    from prequal.record.acts import operator

    settings, hasher = hashing_stores()
    if hasher.key_id == key_id:
        raise Refused(f"Key {key_id.hex()} is the active one: `prequal keys rotate PAN_HASH_KEY` first.")
    hash_keys.retire(settings.database_url, operator(), key_id)
    typer.echo(
        f"Key {key_id.hex()} is retired. Take it out of prequal-api's PAN_HASH_KEYS_RETIRED, and keep it for "
        f"`prequal audit who`, which finds older applications by it."
    )


def _show_progress(done: object) -> None:
    from prequal.ops.reencryption import BATCH, Reencryption

    assert isinstance(done, Reencryption)
    if done.seen % (BATCH * 20) == 0:
        typer.echo(f"{done.seen} looked at, {done.renewed} renewed", err=True)
