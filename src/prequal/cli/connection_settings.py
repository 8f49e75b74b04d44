"""Where the stores are, for commands that work on what runs already.

Invariant: what the settings name wins; the stores come from one place.
"""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from prequal.core.settings import DatabaseSettings

S = TypeVar("S", bound="DatabaseSettings")


def stores(kind: type[S]) -> S:
    """Those that DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name; without either, those of a running `prequal up`.

    Raises:
        Misconfigured: nothing names them.
    """
    from prequal.core.settings import load
    from prequal.local.data_folder import DataFolder
    from prequal.local.run_file import read
    from prequal.local.settings import UpSettings

    told = load(UpSettings)
    here = read(DataFolder(told.prequal_data_dir).run_file)
    if here is None or told.database_url is not None or told.kafka_bootstrap_servers is not None:
        return load(kind)
    kafka = {"kafka_bootstrap_servers": here.kafka_bootstrap_servers, **told.of_own_broker}
    return load(kind, database_url=here.database_url, **kafka)
