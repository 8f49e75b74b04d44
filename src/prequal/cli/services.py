"""The five processes, one command each.

Invariant: a process loads only its own package and its own settings.
"""

import sys
from importlib import import_module


def _run(package: str, settings: str, module: str = "settings") -> None:
    # structlog would load rich to draw tracebacks: 5 MiB in a process that has no terminal.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # the import system's own way to say "not here"
    from prequal.core.settings import load

    kind = getattr(import_module(f"prequal.core.{module}"), settings)
    import_module(f"{package}.service").run(load(kind))


def api() -> None:
    """Run prequal-api, which accepts applications.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, ENCRYPTION_KEY and PAN_HASH_KEY.

    \b
    Example:
      HTTP_PORT=8000 prequal api
    """
    _run("prequal.api", "ApiSettings")


def credit() -> None:
    """Run credit-service, which scores them.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, ENCRYPTION_KEY and REPORT_KEY.

    \b
    Example:
      HTTP_PORT=8001 prequal credit
    """
    _run("prequal.credit", "CreditSettings")


def decision() -> None:
    """Run decision-service, which decides them.

    Needs DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS and REPORT_KEY.

    \b
    Example:
      HTTP_PORT=8002 prequal decision
    """
    _run("prequal.decision", "DecisionSettings")


def publisher() -> None:
    """Run the publisher, from outbox to Kafka.

    Needs DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, and uses no key.

    \b
    Example:
      HTTP_PORT=8003 prequal publisher
    """
    _run("prequal.publisher", "PublisherSettings")


def console() -> None:
    """Run the console, which people look at in a browser.

    Needs DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, RECORD_KEY to chain the record, and PEOPLE_KEY for second factors.
    `prequal users` adds those who may sign in.

    \b
    Example:
      HTTP_PORT=8004 prequal console
    """
    _run("prequal.console", "ConsoleSettings", "settings.console")


def bureau() -> None:
    """Run a simulated bureau, which credit-service asks over HTTP.

    For trying out: it needs no store and no key, and knows nothing of anybody. Some PANs of docs/sandbox.md make it
    slow, away, or fail twice.

    \b
    Examples:
      HTTP_PORT=8006 prequal bureau
      BUREAU_URL=http://127.0.0.1:8006/reports prequal up
    """
    _run("prequal.bureau", "SimulatorSettings", "settings.simulator")
