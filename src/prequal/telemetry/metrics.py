"""Every metric, with its unit and meaning. The names are public: dashboards and alerts are written against them.

Invariant: no label carries personal data, an application's id or text of a caller.
"""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from prequal.core import python_build
from prequal.telemetry.collected_gauge import CollectedGauge

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
"""Upper bounds of the buckets; 0.25 and 2 are the bounds of the two service levels."""
SCORES = tuple(range(324, 900, 25))
"""The last score of each band; 649 is the last that is rejected."""


def _counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    return Counter(name, documentation, labels, registry=None)


def _gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    return Gauge(name, documentation, labels, registry=None)


def _histogram(
    name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
) -> Histogram:
    return Histogram(name, documentation, labels, buckets=buckets, registry=None)


# ── every process ───────────────────────────────────────────────────────────────────────────────────────────────────

PYTHON_BUILD = _gauge(
    "python_build_info",
    "1; the version of this process's Python, and whether it is an optimised build.",
    ["version", "optimized"],
)
PYTHON_BUILD.labels(python_build.version(), str(python_build.is_optimized()).lower()).set(1)
DEPENDENCY_UP = _gauge("dependency_up", "1 while the dependency answers this process.", ["dependency"])
BREAKER_STATE = _gauge(
    "breaker_state",
    "State of a dependency's breaker: 0 closed (used freely), 1 half-open (one probe), 2 open (not used).",
    ["breaker"],
)
RETRIES = _counter("retries_total", "Retries, by operation.", ["operation"])
HTTP_CONNECTIONS = _gauge("http_connections", "Connections of clients, open.")
HTTP_CONNECTIONS_LIMIT = _gauge(
    "http_connections_limit", "Most connections of clients, by HTTP_CONNECTIONS_MAX and the limit of descriptors."
)
HTTP_CONNECTIONS_CLOSED = _counter(
    "http_connections_closed_total",
    "Connections that were closed because they were idle, their head was late, their client read nothing, a new one "
    "needed the room, nobody could make room for them (refused), or too many had not agreed on TLS (handshake).",
    ["reason"],
)
DB_CONNECTIONS_ACTIVE = _gauge("db_connections_active", "Connections to PostgreSQL in use.", ["use"])
DB_CONNECTIONS_IDLE = _gauge("db_connections_idle", "Connections to PostgreSQL open and idle.", ["use"])
DB_SECONDS = _histogram("db_query_duration_seconds", "Seconds a transaction took, failed ones included.", ["query"])

# ── prequal-api ─────────────────────────────────────────────────────────────────────────────────────────────────────

HTTP_REQUESTS = _counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
HTTP_SECONDS = _histogram(
    "http_request_duration_seconds",
    "Seconds from a request's head to its answer: ok (below 400), refused (4xx) or failed (5xx).",
    ["method", "route", "outcome"],
)
HTTP_IN_PROGRESS = _gauge("http_requests_in_progress", "Requests being answered now.")
CLIENT_REQUESTS = _counter(
    "http_requests_by_client_total",
    "Requests of clients that were recognised, by the client's id: the first 100 have a series each, the rest `other`.",
    ["client", "outcome"],
)
AUTHENTICATION_FAILURES = _counter(
    "authentication_failures_total",
    "Requests without a token (missing), with one that is not taken (invalid), with too many such from one address "
    "(limited), or without the right to what they ask (forbidden).",
    ["reason"],
)
RATE_LIMITED = _counter(
    "requests_rate_limited_total",
    "Requests refused with 429 because their client exceeds its rate (requests), or posts PANs again (repeats).",
    ["reason"],
)
DB_CONNECTIONS_LIMIT = _gauge("db_connections_limit", "Most connections to PostgreSQL of that use.", ["use"])
KEY_SERVICE_AWAY = _gauge(
    "key_service_away", "1 while the key service does not unwrap the keys of this process; 0 also where none is needed."
)
SUBMITTED = _counter(
    "applications_submitted_total", "Applications accepted, counted after their commit.", ["loan_type"]
)
REQUESTED_INR = _counter("loan_amount_requested_inr_total", "Rupees asked for in accepted applications.", ["loan_type"])
WAITING = _gauge("applications_waiting", "Applications in the queue before the write.")
WAITING_LIMIT = _gauge("applications_waiting_limit", "Length of that queue at which more are refused.")
SHED = _counter("applications_shed_total", "Applications refused unread: they would not have been written in time.")

# ── credit-service and decision-service ─────────────────────────────────────────────────────────────────────────────

CONSUMED = _counter("kafka_messages_consumed_total", "Messages handled, by outcome.", ["topic", "outcome"])
DEAD_LETTERS = _counter(
    "dead_letters_total", "Messages that can never succeed, published as dead letters.", ["topic", "reason"]
)
CONSUMER_STOPPED = _gauge("consumer_stopped", "1 while too many dead letters in a row have stopped the consumer.")
PARTITIONS_WITHOUT_KEY = _gauge(
    "consumer_partitions_without_key", "Partitions paused because this process lacks a key."
)
PARTITIONS_IN_TRANSACTION = _gauge(
    "consumer_partitions_in_transaction", "Partitions of which an open transaction holds back messages."
)
HOP_SECONDS = _histogram(
    "hop_duration_seconds",
    "Seconds from commit to broker (outbox) and from broker to handled (topic), of the oldest message of each batch.",
    ["topic", "hop"],
)
SCORE = _histogram("cibil_score_distribution", "Scores of reports written to the outbox.", buckets=SCORES)
PAN_DECRYPTS = _counter("pan_decrypts_total", "PANs decrypted.")
BUREAU_REQUESTS = _counter("bureau_requests_total", "Requests to a bureau over HTTP, by its answer.", ["outcome"])
BUREAU_SECONDS = _histogram("bureau_request_duration_seconds", "Seconds a request to a bureau took, failed ones too.")
BUREAU_AWAITED = _gauge("bureau_applications_waiting", "Applications of this process that wait for the bureau.")
BUREAU_REUSED = _counter("bureau_reports_reused_total", "Applications reported by a kept report of the bureau.")
BUREAU_CALLS_LIMIT = _gauge("bureau_calls_limit", "BUREAU_MAX_CALLS_A_DAY of this process; 0 for no limit.")
BY_STATUS = _counter(
    "applications_by_status_total",
    "Applications decided, by final status and the rule that fired, counted after their commit.",
    ["status", "reason", "loan_type"],
)
DECIDED_INR = _counter(
    "loan_amount_decided_inr_total", "Rupees asked for in decided applications.", ["status", "loan_type"]
)
DECISION_SECONDS = _histogram(
    "decision_duration_seconds", "Seconds from an application's acceptance to its final status, by database time."
)
SHADOW_DECISIONS = _counter(
    "policy_shadow_decisions_total",
    "Decisions that the shadow decided again, by the status that was decided and the shadow's.",
    ["status", "outcome"],
)
BY_ROLE = _counter(
    "policy_decisions_total",
    "Applications decided, by the role of the version that decided, live or challenger, and final status.",
    ["role", "status"],
)
POLICY_IN_FORCE = _gauge("policy_in_force", "1 for the version of the policy that decides here, else 0.", ["version"])
POLICY_REFUSED = _gauge("policy_refused", "1 while the activated document cannot be loaded: the one before decides.")

# ── publisher ───────────────────────────────────────────────────────────────────────────────────────────────────────

PUBLISHED = _counter(
    "kafka_messages_published_total", "Events that are published: acknowledged and archived.", ["topic"]
)
PUBLISH_ERRORS = _counter("kafka_publish_errors_total", "Messages that the broker refused or lost.", ["topic", "error"])
REPUBLISHED = _counter("events_republished_total", "Events published again for applications undecided for too long.")

# ── the whole system, shown by the publisher (`publisher.system_metrics`) ───────────────────────────────────────────

OUTBOX_DEPTH = CollectedGauge("outbox_depth", "Events not yet published, counted up to 100,000.", ["topic"])
OUTBOX_OLDEST_SECONDS = CollectedGauge(
    "outbox_oldest_age_seconds", "Seconds that the oldest event has waited for its first publication.", ["topic"]
)
OUTBOX_PARKED = CollectedGauge(
    "outbox_parked", "Events that the broker refused, waiting for their retry, counted up to 100,000.", ["topic"]
)
ARCHIVE_DAYS_AHEAD = CollectedGauge(
    "outbox_archive_days_ahead", "Days after today for which the archive has partitions."
)
KEY_ENCRYPTIONS = CollectedGauge(
    "encryption_key_encryptions", "PANs that the key in use has encrypted; not more than 2^32 with random nonces."
)
UNDECIDED = CollectedGauge("applications_undecided", "Applications without a decision, counted up to 100,000.")
OVERDUE = CollectedGauge("applications_overdue", "Applications without a decision for over 2 s, counted up to 100,000.")
OLDEST_UNDECIDED_SECONDS = CollectedGauge(
    "oldest_undecided_age_seconds", "Seconds that the oldest application without a decision has waited; 0 for none."
)
REVIEW_OPEN = CollectedGauge("review_cases_open", "Cases that people have not decided, counted up to 100,000.")
REVIEW_OVERDUE = CollectedGauge(
    "review_cases_overdue", "Those of them whose target time has passed, counted up to 100,000."
)
REVIEW_HOURS_TO_TARGET = CollectedGauge(
    "review_hours_to_target",
    "Hours from now to the target time of the oldest undecided case; negative after it, absent without a case.",
)
BUREAU_CALLS_TODAY = CollectedGauge(
    "bureau_calls_today", "Calls of the bureau allowed so far on this day of India, where they are limited."
)
CONSUMER_LAG = CollectedGauge(
    "kafka_consumer_lag",
    "Messages between a group's committed offset and the partition's end, as the broker says.",
    ["group", "topic", "partition"],
)
DEAD_LETTERS_STORED = CollectedGauge(
    "dead_letters_stored", "Messages that a dead-letter topic holds, resolved or not.", ["topic"]
)
DB_SERVER_CONNECTIONS = CollectedGauge("db_server_connections", "Clients connected to the PostgreSQL server.")
DB_SERVER_CONNECTIONS_LIMIT = CollectedGauge("db_server_connections_limit", "Its max_connections.")
DB_OLDEST_TRANSACTION_SECONDS = CollectedGauge(
    "db_oldest_transaction_seconds", "Seconds that the oldest transaction of this database has been open; 0 for none."
)
DB_TRANSACTIONS = CollectedGauge(
    "db_transactions", "Transactions of this database since its statistics began.", ["outcome"], counter=True
)
DB_DEADLOCKS = CollectedGauge("db_deadlocks", "Deadlocks in this database since its statistics began.", counter=True)
DB_SIZE_BYTES = CollectedGauge("db_size_bytes", "Bytes that this database takes on disk.")
DISK_FREE_BYTES = CollectedGauge(
    "disk_free_bytes", "Bytes free on the volume of WATCHED_FOLDER; absent without that setting."
)
DISK_SIZE_BYTES = CollectedGauge("disk_size_bytes", "Bytes that this volume has in all.")

COLLECTED = tuple(each for each in list(globals().values()) if isinstance(each, CollectedGauge))

# ── console ──────────────────────────────────────────────────────────────────────────────────────────────────────────

RECORD_CHAINED_AT = _gauge("record_chained_timestamp_seconds", "Unix time of the record's newest block; 0 for none.")
RECORD_UNCHAINED_AGE = _gauge(
    "record_unchained_age_seconds", "Seconds that the record's oldest entry has been in no block; 0 to 5 with none."
)
RECORD_HEAD_UNWRITTEN_AGE = _gauge(
    "record_head_unwritten_age_seconds",
    "Seconds that a head of the record's chain has waited to be written into RECORD_HEADS_FOLDER; 0 while none is due.",
)

ISSUER_SIGN_INS = _counter(
    "issuer_sign_ins_total",
    "Sign-ins of people by the issuer: done, or refused for what the browser brought (another_browser), the issuer or "
    "its token (not_vouched), whom that names (unknown_subject), too many of these from one address (limited), too "
    "many at once (busy), or no answer (away).",
    ["outcome"],
)

# ── labels ──────────────────────────────────────────────────────────────────────────────────────────────────────────

SUBMIT_ROUTE = "/applications"
READ_ROUTES = {end: f"/applications/{{application_id}}/{end}" for end in ("status", "decision")}
"""The routes of one application, by the end of their paths."""
STATUS_ROUTE, DECISION_ROUTE = READ_ROUTES["status"], READ_ROUTES["decision"]

PUBLISH_ERROR_NAMES = (
    "MSG_SIZE_TOO_LARGE",
    "NOT_ENOUGH_REPLICAS",
    "TOPIC_AUTHORIZATION_FAILED",
    "UNKNOWN_TOPIC_OR_PART",
    "_MSG_TIMED_OUT",
    "_PURGE_QUEUE",
    "_TRANSPORT",
    "_UNKNOWN_TOPIC",
    "other",
)
"""librdkafka's names of delivery errors; all others are counted as `other`."""
