"""The four processes, one command each.

Invariant: a process loads only its own package and its own settings.
"""

import sys


def _without_graphics() -> None:
    """Keep structlog from loading rich to draw tracebacks: 5 MiB in a process that has no terminal."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # the import system's own way to say "not here"


def api() -> None:
    """Run prequal-api, which accepts applications.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, ENCRYPTION_KEY and PAN_HASH_KEY.

    \b
    Example:
      HTTP_PORT=8000 prequal api
    """
    _without_graphics()
    from prequal.api import service
    from prequal.core.settings import ApiSettings, load

    service.run(load(ApiSettings))


def credit() -> None:
    """Run credit-service, which scores them.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS and ENCRYPTION_KEY.

    \b
    Example:
      HTTP_PORT=8001 prequal credit
    """
    _without_graphics()
    from prequal.core.settings import CreditSettings, load
    from prequal.credit import service

    service.run(load(CreditSettings))


def decision() -> None:
    """Run decision-service, which decides them.

    Needs DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, and uses no key.

    \b
    Example:
      HTTP_PORT=8002 prequal decision
    """
    _without_graphics()
    from prequal.core.settings import DecisionSettings, load
    from prequal.decision import service

    service.run(load(DecisionSettings))


def publisher() -> None:
    """Run the publisher, from outbox to Kafka.

    Needs DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, and uses no key.

    \b
    Example:
      HTTP_PORT=8003 prequal publisher
    """
    _without_graphics()
    from prequal.core.settings import PublisherSettings, load
    from prequal.publisher import service

    service.run(load(PublisherSettings))
