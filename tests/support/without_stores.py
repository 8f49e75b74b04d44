"""The API's settings and its queue where no store answers, for tests that start nothing."""

from prequal.api.submit import Submissions
from prequal.core.settings import ApiSettings
from prequal.core.topology import Service
from prequal.messaging.own_event_publisher import OwnEventPublisher
from tests.builders import DATABASE_URL, a_key_text


def api_settings() -> ApiSettings:
    """Those of an API, whatever the environment has."""
    return ApiSettings.model_validate(
        {
            "database_url": DATABASE_URL,
            "kafka_bootstrap_servers": "127.0.0.1:1",
            "encryption_key": a_key_text(1),
            "pan_hash_key": a_key_text(2),
        }
    )


def unopened_submissions() -> Submissions:
    """The queue before its database was found right: it is not full, and takes nothing."""
    settings = api_settings()
    return Submissions(settings, OwnEventPublisher(settings, Service.API, "topic"))
