"""`prequal up`.

Invariant: a stop by signal ends with exit code 0, however early.
"""


def up() -> None:
    """Run everything on this machine, until Ctrl-C.

    PostgreSQL, Kafka and the four processes start, and one that dies is started again. Data, logs and development keys
    are in .prequal/ (PREQUAL_DATA_DIR). DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name your own stores instead.
    Every port can be moved: POSTGRES_PORT, KAFKA_PORT, KAFKA_CONTROLLER_PORT, API_PORT, CREDIT_PORT, DECISION_PORT,
    PUBLISHER_PORT. Ctrl-C stops everything.

    \b
    Example, a second copy beside the first:
      PREQUAL_DATA_DIR=.second POSTGRES_PORT=15433 KAFKA_PORT=19192 KAFKA_CONTROLLER_PORT=19193 \\
      API_PORT=8100 CREDIT_PORT=8101 DECISION_PORT=8102 PUBLISHER_PORT=8103 prequal up
    """
    from prequal.core.settings import load
    from prequal.local import supervisor
    from prequal.local.settings import UpSettings

    supervisor.up(load(UpSettings))
