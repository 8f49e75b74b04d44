"""The events' description: every topic, key, header and field, with examples that the code itself can read.

Invariant: names, types and limits come from the code; only the words about headers are written here.
"""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from confluent_kafka import Message
from pydantic.json_schema import models_json_schema

from prequal import __version__
from prequal.api.decision_examples import EXAMPLE_ID, EXAMPLE_TIME
from prequal.core.errors import Invalid
from prequal.core.topology import dead_letter_topic, topic_of
from prequal.domain.api_client import LOCAL
from prequal.domain.application import DECIDED_VERSION, LoanType, Status
from prequal.domain.events import MESSAGE_VERSION, EventType
from prequal.domain.pan import Pan
from prequal.domain.policy import packaged
from prequal.messaging import dead_letter_publisher, topics
from prequal.messaging.dead_letter_publisher import DeadLetter
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationDecided, ApplicationSubmitted, CreditReportGenerated, Event, Published
from prequal.messaging.messages import ConsumedMessage
from prequal.messaging.report_mac import ReportMac
from prequal.security.pan_encryption import TOKEN_BYTES, VERSION, PanHasher

Document = dict[str, Any]

EVENTS: tuple[type[Published], ...] = (ApplicationSubmitted, CreditReportGenerated, ApplicationDecided)

PUBLISHED_BY = {
    EventType.APPLICATION_SUBMITTED: "prequal-api",
    EventType.CREDIT_REPORT_GENERATED: "credit-service",
    EventType.APPLICATION_DECIDED: "decision-service, and where people decide the console or `prequal review`,",
}
CONSUMED_BY = {EventType.APPLICATION_SUBMITTED: "credit-service", EventType.CREDIT_REPORT_GENERATED: "decision-service"}

HEADERS = {
    "event_id": "The event's id, as in the body.",
    "event_type": "What happened.",
    "message_version": "The version of the body's format, as in the body.",
    "correlation_id": "The id of the request that the application came with. Absent when it is not known.",
    "traceparent": "W3C trace context of the publication, when the application is traced. Absent when it is not.",
}
"""What the publisher sends beside the body. A consumer needs none of them: the body rules."""
OPTIONAL_HEADERS = ("correlation_id", "traceparent")

DEAD_LETTER_HEADERS = {
    "dlq.topic": "The topic of the message.",
    "dlq.partition": "Its partition there.",
    "dlq.offset": "Its offset there.",
    "dlq.error_kind": "A short, stable name of the reason, such as `malformed_json` or `unknown_application`.",
    "dlq.error_message": "The reason in words; never a PAN.",
    "dlq.first_seen": "When the consumer first had it in hand (the consumer's clock).",
    "dlq.last_seen": "When it was made a dead letter (the consumer's clock).",
    "dlq.attempts": "How often it was tried.",
}

_EXAMPLE_PAN = Pan("ABCDE1234F")
_EXAMPLE_TOKEN = VERSION + bytes(range(1, TOKEN_BYTES))
_EXAMPLE_REQUEST = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
_EXAMPLE_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def document() -> Document:
    """The AsyncAPI 3.0 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Loan Prequalification",
            "version": __version__,
            "description": "What the services publish to each other, and to others where that is switched on. "
            "The same fact always has the same event_id: a "
            "consumer keeps the ids it has applied, ignores fields it does not know, and makes a dead letter "
            "of a version it does not know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def example_body(event: type[Published]) -> Document:
    """An event's body as the code writes it, with a time as the database adds it."""
    if issubclass(event, Event):
        return _example_of_ours(event)
    return {
        "event_id": str(event_id(event.type, UUID(EXAMPLE_ID), DECIDED_VERSION)),
        "application_id": EXAMPLE_ID,
        "client": LOCAL,
        "version": DECIDED_VERSION,
        "status": Status.PRE_APPROVED.value,
        "policy": {"version": packaged.CURRENT, "hash": packaged.current().hash},
        "reasons": [{"code": "INCOME_COVERS_LOAN"}],
        "review": None,
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": LoanType.HOME.value,
        "decided_at": EXAMPLE_TIME,
        "message_version": MESSAGE_VERSION,
    }


def _example_of_ours(event: type[Event]) -> Document:
    fields = {
        "pan_number_hash": PanHasher(bytes(32)).hash(_EXAMPLE_PAN),
        "monthly_income_inr": Decimal("85000.00"),
        "loan_amount_inr": Decimal("1500000.00"),
        "loan_type": LoanType.HOME,
        "client": LOCAL,
    }
    body: Callable[..., str] = partial(ApplicationSubmitted.body, pan_number_encrypted=_EXAMPLE_TOKEN)
    if event is CreditReportGenerated:
        mac = ReportMac(bytes(32))
        body = partial(CreditReportGenerated.body, make_mac=mac.make, cibil_score=790, challenge_draw=4821)
    example: Document = json.loads(body(UUID(EXAMPLE_ID), **fields))
    return example | {event.time_field: EXAMPLE_TIME}


def _channels() -> Document:
    channels = {}
    for topic in topics.plan():
        config = topic.config or {}
        channels[topic.topic] = {
            "address": topic.topic,
            "messages": {name: _ref("messages", name) for name in _names_on(topic.topic)},
            "bindings": {
                "kafka": {
                    "topic": topic.topic,
                    "partitions": topic.num_partitions,
                    "topicConfiguration": {name: int(config[name]) for name in ("retention.ms", "max.message.bytes")},
                    "bindingVersion": "0.5.0",
                }
            },
        }
    return channels


def _names_on(topic: str) -> list[str]:
    return [event.__name__ for event in EVENTS if topic_of(event.type) == topic] or ["DeadLetter"]


def _operations() -> Document:
    operations: Document = {}
    for event in EVENTS:
        kind, name = event.type, event.__name__
        operations[f"publish{name}"] = _operation(
            "send", topic_of(kind), f"{PUBLISHED_BY[kind]} publishes it, by way of its outbox."
        )
        if kind not in CONSUMED_BY:
            continue
        consumed = _operation("receive", topic_of(kind), f"{CONSUMED_BY[kind]} consumes it.")
        group = {"type": "string", "const": f"{CONSUMED_BY[kind]}-group"}
        consumed["bindings"] = {"kafka": {"groupId": group, "bindingVersion": "0.5.0"}}
        operations[f"consume{name}"] = consumed
        dead_letter = f"{CONSUMED_BY[kind]} publishes what can never succeed."
        operations[f"publish{name}DeadLetter"] = _operation("send", dead_letter_topic(topic_of(kind)), dead_letter)
    return operations


def _operation(action: str, topic: str, summary: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic}"}, "summary": summary}


def _messages() -> Document:
    return {event.__name__: _event_message(event) for event in EVENTS} | {"DeadLetter": _dead_letter_message()}


def _event_message(event: type[Published]) -> Document:
    body = example_body(event)
    return {
        "name": event.__name__,
        "summary": (event.__doc__ or "").partition("\n")[0].strip(),
        "headers": _ref("schemas", f"{event.__name__}Headers"),
        "payload": _ref("schemas", event.__name__),
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": "0.5.0"}},
        "examples": [{"name": event.type.value, "headers": _example_headers(event), "payload": body}],
    }


def _dead_letter_message() -> Document:
    return {
        "name": "DeadLetter",
        "summary": "A message that can never succeed: key and value are the original's bytes, unchanged.",
        "description": "The original's headers come first, the dlq.* headers behind them. The body may be anything.",
        "contentType": "application/octet-stream",
        "headers": _ref("schemas", "DeadLetterHeaders"),
        "payload": {"description": "The original's bytes."},
        "examples": [{"name": "MalformedJson", "headers": example_dead_letter_headers(), "payload": "{"}],
    }


_KEY = {"type": "string", "format": "uuid", "description": "The application's id."}


def _example_headers(event: type[Published]) -> Document:
    return {
        "event_id": example_body(event)["event_id"],
        "event_type": event.type.value,
        "message_version": MESSAGE_VERSION,
        "correlation_id": _EXAMPLE_REQUEST,
        "traceparent": _EXAMPLE_TRACE,
    }


def example_dead_letter_headers() -> Document:
    """The headers of a dead letter as the code writes them, at the example's time."""
    message = Message(topic=topic_of(ApplicationSubmitted.type), partition=1, offset=4711, value=b"{")
    consumed = ConsumedMessage(message, [])
    consumed.first_seen = datetime.fromisoformat(EXAMPLE_TIME)
    dead_letter = DeadLetter(consumed, Invalid("malformed_json", "the body is not JSON"))
    written = {name: str(value) for name, value in dead_letter_publisher.headers(dead_letter)}
    return written | {"dlq.last_seen": written["dlq.first_seen"]}


def _schemas() -> Document:
    _, found = models_json_schema(
        [(event, "serialization") for event in EVENTS], ref_template="#/components/schemas/{model}"
    )
    schemas: Document = {name: _plain(schema) for name, schema in found["$defs"].items()}
    for event in EVENTS:
        schemas[f"{event.__name__}Headers"] = _event_headers(event)
    schemas["DeadLetterHeaders"] = _headers(DEAD_LETTER_HEADERS)
    return schemas


def _event_headers(event: type[Published]) -> Document:
    headers = _headers(HEADERS, OPTIONAL_HEADERS)
    headers["properties"]["event_type"]["const"] = event.type.value
    return headers


def _headers(words: dict[str, str], optional: tuple[str, ...] = ()) -> Document:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in words.items()},
        "required": [name for name in words if name not in optional],
    }


def _plain(schema: Any) -> Any:
    """A pydantic schema in the words of JSON Schema alone: no titles, no binary in a text."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items() if name != "title"}
    if "contentEncoding" in plain:
        plain.pop("format", None)
    return plain


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}
