"""The four processes, one command each.

Neighbours: each room's `service.run` does the work, until SIGTERM or SIGINT.
Invariant: a process loads its own room only, and only its own settings.
"""


def api() -> None:
    """Run prequal-api, which takes applications.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, ENCRYPTION_KEY and PAN_HASH_KEY.

    \b
    Example:
      HTTP_PORT=8000 prequal api
    """
    from prequal.api import service
    from prequal.kernel.settings import ApiSettings, load

    service.run(load(ApiSettings))


def credit() -> None:
    """Run credit-service, which scores them.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS and ENCRYPTION_KEY.

    \b
    Example:
      HTTP_PORT=8001 prequal credit
    """
    from prequal.credit import service
    from prequal.kernel.settings import CreditSettings, load

    service.run(load(CreditSettings))


def decision() -> None:
    """Run decision-service, which decides them.

    Needs DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, and is given no key.

    \b
    Example:
      HTTP_PORT=8002 prequal decision
    """
    from prequal.decision import service
    from prequal.kernel.settings import DecisionSettings, load

    service.run(load(DecisionSettings))


def publisher() -> None:
    """Run the publisher, from outbox to Kafka.

    Needs DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, and is given no key.

    \b
    Example:
      HTTP_PORT=8003 prequal publisher
    """
    from prequal.kernel import publisher
    from prequal.kernel.settings import PublisherSettings, load

    publisher.run(load(PublisherSettings))
