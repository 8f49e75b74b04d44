"""The addresses of stores and API, for commands that work on a running system.

Invariant: settings win over `run.json`, and both addresses come from the same of the two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from prequal.core.settings import DatabaseSettings, HashingSettings, KafkaSettings
    from prequal.core.settings.people import PeopleSettings
    from prequal.core.settings.record import RecordSettings
    from prequal.local.run_file import RunFile
    from prequal.local.settings import UpSettings
    from prequal.security.pan_encryption import PanHasher

STORES: Final = ("database_url", "kafka_bootstrap_servers")

S = TypeVar("S", bound="DatabaseSettings | KafkaSettings")


def stores(kind: type[S]) -> S:
    """The stores of DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS; if neither is set, those of a running `prequal up`.

    Raises:
        Misconfigured: neither names them.
    """
    return _found(kind)


def database_if_known() -> str | None:
    """The database's address as `stores` finds it; None where neither settings nor a running `prequal up` name one."""
    from prequal.core.settings import DatabaseSettings

    settings, running = _local_stack()
    return None if settings.database_url is None and running is None else stores(DatabaseSettings).database_url


def hashing_stores() -> "tuple[HashingSettings, PanHasher]":
    """The database as `stores` finds it, and what hashes with PAN_HASH_KEY and PAN_HASH_KEYS_RETIRED.

    Raises:
        Misconfigured: neither settings nor a running `prequal up` name both.
    """
    from prequal.core.settings import HashingSettings
    from prequal.security.pan_encryption import PanHasher

    settings = _found(HashingSettings, "PAN_HASH_KEY")
    return settings, PanHasher.of(settings)


def setting_keys_of(name: str) -> tuple[str, list[bytes]]:
    """The database as `stores` finds it, and the keys of REPORT_KEY, RECORD_KEY or PEOPLE_KEY, the active one first.

    Raises:
        Misconfigured: neither settings nor a running `prequal up` name both.
    """
    if name == "RECORD_KEY":
        record = record_stores()
        return record.database_url, record.record_keys()
    if name == "PEOPLE_KEY":
        people = people_stores()
        return people.database_url, people.people_keys()
    from prequal.core.settings import ReportsSettings

    reports = _found(ReportsSettings, "REPORT_KEY", named_by=("database_url",))
    return reports.database_url, reports.report_keys()


def record_stores() -> "RecordSettings":
    """The database as `stores` finds it, and the RECORD_KEY of the settings or else of a running `prequal up`.

    Raises:
        Misconfigured: neither names both.
    """
    from prequal.core.settings.record import RecordSettings

    return _found(RecordSettings, "RECORD_KEY", named_by=("database_url",))


def people_stores() -> "PeopleSettings":
    """The database as `stores` finds it, and the PEOPLE_KEY of the settings or else of a running `prequal up`.

    Raises:
        Misconfigured: neither names both.
    """
    from prequal.core.settings.people import PeopleSettings

    return _found(PeopleSettings, "PEOPLE_KEY", named_by=("database_url",))


def ring_stores(kind: type[S]) -> S:
    """The stores as `stores` finds them, with the key ring of the settings or else of a running `prequal up`.

    Raises:
        Misconfigured: neither names them, or they name no good ring.
    """
    return _found(kind, "ENCRYPTION_KEY")


def _found(kind: type[S], key: str = "", named_by: Sequence[str] = STORES) -> S:
    """Settings with the stores and, where one is named, a key: those that are set, or those of a running `prequal up`.

    A setting of `named_by` that is set says that all of them are.
    """
    from prequal.core.settings import load

    up, running = _local_stack()
    if running is None or any(getattr(up, name) is not None for name in named_by):
        return load(kind)
    given = {"kafka_bootstrap_servers": running.kafka_bootstrap_servers, **up.of_own_broker}
    if key and not (key == "ENCRYPTION_KEY" and up.encryption_key_file):
        given[key.lower()] = up.keys().get(key) or _development_key(up, key)
    return load(kind, database_url=running.database_url, **given)


def _development_key(up: "UpSettings", name: str) -> str:
    from prequal.local.data_folder import DataFolder
    from prequal.local.keys import development_keys

    return development_keys(DataFolder(up.prequal_data_dir).keys, [name])[name]


def api_url() -> str:
    """The API of a running `prequal up`; without one, the port of API_PORT on this machine."""
    settings, running = _local_stack()
    api = running.processes.get("api") if running else None
    return f"http://127.0.0.1:{api.port if api else settings.api_port}"


def _local_stack() -> "tuple[UpSettings, RunFile | None]":
    """The settings of `prequal up` here, and what it says of itself while it runs."""
    from prequal.core.settings import load
    from prequal.local.data_folder import DataFolder
    from prequal.local.run_file import read
    from prequal.local.settings import UpSettings

    settings = load(UpSettings)
    return settings, read(DataFolder(settings.prequal_data_dir).run_file)
