"""`prequal up`.

Invariant: a stop by signal ends with exit code 0, however early.
"""

from enum import StrEnum
from typing import Annotated

import typer


class ApiAuthentication(StrEnum):
    """What the API asks of its callers."""

    NONE = "none"
    KEYS = "keys"


def up(
    authentication: Annotated[
        ApiAuthentication | None,
        typer.Option(help="Whether the API asks for a client's token. Default: API_AUTHENTICATION, or none."),
    ] = None,
) -> None:
    """Run everything on this machine, until Ctrl-C.

    PostgreSQL, Kafka and the five processes start, and one that dies is started again. Data, logs and development keys
    are in .prequal/ (PREQUAL_DATA_DIR). DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name your own stores instead.
    Every port can be moved: POSTGRES_PORT, KAFKA_PORT, KAFKA_CONTROLLER_PORT, API_PORT, CREDIT_PORT, DECISION_PORT,
    PUBLISHER_PORT, CONSOLE_PORT, and ADMIN_PORT with --authentication keys. Ctrl-C stops everything.

    Everybody on this machine may post. With --authentication keys a client's token is asked for, as everywhere else;
    the first such start makes a client and prints its token, once.

    \b
    Example:
      prequal up --authentication keys

    \b
    Example, a second copy beside the first:
      PREQUAL_DATA_DIR=.second POSTGRES_PORT=15433 KAFKA_PORT=19192 KAFKA_CONTROLLER_PORT=19193 \\
      API_PORT=8100 CREDIT_PORT=8101 DECISION_PORT=8102 PUBLISHER_PORT=8103 CONSOLE_PORT=8104 prequal up
    """
    from prequal.core.settings import load
    from prequal.local import supervisor
    from prequal.local.settings import UpSettings

    given = {} if authentication is None else {"api_authentication": authentication.value}
    supervisor.up(load(UpSettings, **given))
