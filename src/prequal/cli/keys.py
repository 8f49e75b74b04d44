"""`prequal keys`: the keys of PANs, of reports, of the record and of people's second factors.

Invariant: keys are written to stdout and to the key ring's file alone.
"""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.cli.connection_settings import hashing_stores, ring_stores, setting_keys_of, stores
from prequal.core.key_sources import KeySource

if TYPE_CHECKING:
    from prequal.core.settings import RingSettings
    from prequal.ops.key_retirement import ListedKey

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

From = Annotated[
    KeySource | None, typer.Option("--source", help="The key service that makes and wraps the ENCRYPTION_KEY.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


class Kind(StrEnum):
    """The keys that another may take the place of."""

    ENCRYPTION_KEY = "ENCRYPTION_KEY"
    PAN_HASH_KEY = "PAN_HASH_KEY"
    REPORT_KEY = "REPORT_KEY"
    RECORD_KEY = "RECORD_KEY"
    PEOPLE_KEY = "PEOPLE_KEY"


STEPS = {
    Kind.ENCRYPTION_KEY: """The database knows the new key. In this order:
  1. Add it to ENCRYPTION_KEYS_RETIRED of prequal-api and credit-service, and restart both.
  2. Make it their ENCRYPTION_KEY, add the old one to ENCRYPTION_KEYS_RETIRED, and restart both. If credit-service has
     no SCORE_DRAW_KEY yet, set that to the old key: nobody's score changes.""",
    Kind.PAN_HASH_KEY: """The database knows the new key. In this order:
  1. Add it to PAN_HASH_KEYS_RETIRED of prequal-api, and restart each of its processes.
  2. Make it their PAN_HASH_KEY, add the old one to PAN_HASH_KEYS_RETIRED, and restart; the same where one runs
     `prequal clients` and `prequal audit who`.
  3. From 24 hours after step 1 on, `prequal keys retire` the old one; then take it from prequal-api, and keep it for
     `prequal audit who`, which finds the applications of before by it.""",
    Kind.REPORT_KEY: """The database knows the new key. In this order:
  1. Make it decision-service's REPORT_KEY, set its REPORT_KEYS_RETIRED to the old one, and restart it.
  2. Make it credit-service's REPORT_KEY, and restart it.
  3. `prequal keys retire` the old one, and take REPORT_KEYS_RETIRED away.""",
    Kind.RECORD_KEY: """The database knows the new key. Make it the RECORD_KEY of the console and of `prequal
audit`, add the old one to the RECORD_KEYS_RETIRED of both, and restart the console: older blocks are
verified with it. When they have left the database (`prequal audit drop`), `prequal keys retire` the old one.""",
    Kind.PEOPLE_KEY: """The database knows the new key. In this order:
  1. Add it to PEOPLE_KEYS_RETIRED of the console, and restart each of its processes.
  2. Make it their PEOPLE_KEY, set PEOPLE_KEYS_RETIRED to the old one, and restart: the start encrypts second factors
     under the new key. The same where one runs `prequal users`.
  3. `prequal keys retire` the old one, and take PEOPLE_KEYS_RETIRED away.""",
}
LEFT = {
    "PAN_HASH_KEY": "Take it out of prequal-api's PAN_HASH_KEYS_RETIRED, and keep it for `prequal audit who`, which "
    "finds older applications by it.",
    "REPORT_KEY": "Take it out of decision-service's REPORT_KEYS_RETIRED: with it there, no decision-service starts.",
    "RECORD_KEY": "Take it out of the console's RECORD_KEYS_RETIRED, and keep it for `prequal audit verify --export`.",
    "PEOPLE_KEY": "Take it out of PEOPLE_KEYS_RETIRED.",
}
"""What is left to do when a key is retired."""


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
    name: Annotated[Kind, typer.Argument(help="Which keys.")] = Kind.ENCRYPTION_KEY, as_json: AsJson = False
) -> None:
    """List the keys of one kind by their ids, with their state and what needs each; never a key.

    A state is `active`; `decrypts`, `looked up` or `verifies` for one of …_KEYS_RETIRED; `not here` (known
    to the database, and not to this command); or `retired`. Of an ENCRYPTION_KEY there is its source (`environment`,
    `file`, or the key service that wrapped it in the file), its first use, and its encryptions, added up each
    minute; of the others how many rows need the key.
    Needs DATABASE_URL and the key that is named (for ENCRYPTION_KEY, ENCRYPTION_KEY_FILE does), or a running `prequal
    up`.

    \b
    Examples:
      prequal keys list --json
      prequal keys list REPORT_KEY
    """
    if name is Kind.ENCRYPTION_KEY:
        _list_ring(as_json)
        return
    from prequal.ops import hash_keys, setting_keys

    if name is Kind.PAN_HASH_KEY:
        settings, hasher = hashing_stores()
        found = hash_keys.list_keys(settings.database_url, [each.check for each in hasher.every])
    else:
        database_url, keys = setting_keys_of(name)
        found = setting_keys.list_keys(database_url, name, keys)
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in found], default=str))
        return
    for each in found:
        typer.echo(
            f"{each.key_id}  {each.state:9}  known since {each.recorded_at:%Y-%m-%d %H:%M}Z  needed by {_needed(each)}"
        )


@app.command()
def rotate(name: Annotated[Kind, typer.Argument(help="Which key.")] = Kind.ENCRYPTION_KEY, source: From = None) -> None:
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

    settings = ring_stores(RingSettings) if name is Kind.ENCRYPTION_KEY else stores(DatabaseSettings)
    if isinstance(settings, RingSettings) and settings.encryption_key_file:
        _rotate_file(settings, source)
        return
    if source is not None:
        raise UsageError("--source is for the key ring of ENCRYPTION_KEY_FILE: a key service wraps no other key.")
    fresh = generate()[name]
    if name is Kind.PAN_HASH_KEY:
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

    Refused, with the places and counts, while something needs it: of an ENCRYPTION_KEY an application, the outbox, its
    archive, a topic or a dead letter that holds a PAN under it (`reencrypt` renews applications; the archive and the
    topics run out, in 7 days, dead letters in 30); of a PAN_HASH_KEY a claim of the 24-hour rule, an idempotency key or
    a client's secret; of a REPORT_KEY an undecided application; of a RECORD_KEY a block of the record; of a PEOPLE_KEY
    a second factor. Needs what `list` of that kind needs; for an ENCRYPTION_KEY, KAFKA_BOOTSTRAP_SERVERS as well.

    \b
    Example:
      prequal keys retire 4d0b07ffb3a5a85e
    """
    from prequal.core.errors import UsageError
    from prequal.core.keys import KEY_ID_BYTES
    from prequal.core.settings import DatabaseSettings
    from prequal.ops.key_retirement import purpose_of

    try:
        wanted = bytes.fromhex(key_id)
    except ValueError:
        wanted = b""
    if len(wanted) != KEY_ID_BYTES:
        raise UsageError("KEY_ID is 16 hexadecimal digits, as `prequal keys list` shows it.")
    purpose = purpose_of(stores(DatabaseSettings).database_url, wanted)
    if purpose is None or purpose == Kind.ENCRYPTION_KEY:
        left = _retire_from_ring(wanted, is_known=purpose is not None)
    else:
        _retire_other(Kind(purpose), wanted)
        left = LEFT[purpose]
    typer.echo(f"Key {key_id} is retired. {left}".rstrip())


def _generate_wrapped(source: KeySource, as_json: bool) -> None:
    from prequal.core.settings import WrappingSettings, load
    from prequal.security import key_file, key_providers

    words = key_file.words_of(key_providers.generate(source, load(WrappingSettings)).stored)
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


def _list_ring(as_json: bool) -> None:
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


def _needed(key: "ListedKey") -> str:
    if key.needed_by is None:
        return "nobody knows what: the key is not here"
    return ", ".join(f"{place} {count}" for place, count in key.needed_by.items()) or "nothing"


def _retire_from_ring(key_id: bytes, *, is_known: bool) -> str:
    """Retire an encryption key; what is left to do."""
    from prequal.core.errors import Refused
    from prequal.core.settings import RingAndTopicsSettings
    from prequal.ops import key_retirement
    from prequal.record.acts import operator
    from prequal.security.pan_encryption import KeyRing

    settings = ring_stores(RingAndTopicsSettings)
    if KeyRing.of(settings).current_id == key_id:
        raise Refused(f"Key {key_id.hex()} is the active one: `prequal keys rotate` first.")
    if not is_known:
        raise Refused(f"The database knows no key {key_id.hex()}, or it is retired already: see `prequal keys list`.")
    key_retirement.retire(operator(), settings, key_id)
    return "" if settings.encryption_key_file else "Take it out of ENCRYPTION_KEYS_RETIRED."


def _retire_other(kind: Kind, key_id: bytes) -> None:
    from prequal.core.errors import Refused
    from prequal.ops import hash_keys, setting_keys
    from prequal.record.acts import operator

    if kind is not Kind.PAN_HASH_KEY:
        database_url, keys = setting_keys_of(kind)
        setting_keys.retire(database_url, operator(), kind, key_id, keys)
        return
    settings, hasher = hashing_stores()
    if hasher.key_id == key_id:
        raise Refused(f"Key {key_id.hex()} is the active one: `prequal keys rotate PAN_HASH_KEY` first.")
    hash_keys.retire(settings.database_url, operator(), key_id)


def _show_progress(done: object) -> None:
    from prequal.ops.reencryption import BATCH, Reencryption

    assert isinstance(done, Reencryption)
    if done.seen % (BATCH * 20) == 0:
        typer.echo(f"{done.seen} looked at, {done.renewed} renewed", err=True)
