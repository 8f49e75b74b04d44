"""The board of prequal-api and of the processes as such: availability, latency, and what they use.

Invariant: probes and scrapes are left out of what applicants feel.
"""

from observability.boards.shared import burn, quantiles, reached
from observability.panels import Board, Kind, Panel, Row, Unit, above, below
from prequal.core.topology import Service

OURS = 'route=~"/applications.*"'
POST = 'route="/applications"'
STATUS = 'route="/applications/{application_id}/status"'
PROCESSES = f'job=~"{"|".join(Service)}"'

LATENCY = Row(
    "Latency",
    [
        Panel(
            "POST /applications",
            "Seconds from a request's head to its answer. Promised: 99.9 % of valid ones within 250 ms.",
            Unit.SECONDS,
            quantiles(f"http_request_duration_seconds_bucket{{{POST}}}"),
            above(0.25, 0.5),
            ("HighLatency",),
        ),
        Panel(
            "GET status",
            "Seconds from a request's head to its answer, one SELECT each.",
            Unit.SECONDS,
            quantiles(f"http_request_duration_seconds_bucket{{{STATUS}}}"),
            above(0.25, 0.5),
            ("HighLatency",),
        ),
        burn("acceptance", "AcceptanceBudgetBurns"),
    ],
)

TRAFFIC = Row(
    "Traffic",
    [
        Panel(
            "Requests",
            "Requests answered a second, by route; probes and scrapes among them.",
            Unit.REQUESTS_PER_SECOND,
            {"{{method}} {{route}}": "sum by (method, route) (rate(http_requests_total[$__rate_interval]))"},
        ),
        Panel(
            "Accepted",
            "Applications accepted a second, counted after their commit. A first answer given again counts nothing.",
            Unit.PER_SECOND,
            {"{{loan_type}}": "sum by (loan_type) (rate(applications_submitted_total[$__rate_interval]))"},
        ),
        Panel(
            "POST within 250 ms",
            "Share of the valid POSTs of the chosen time that were answered 202 within 250 ms.",
            Unit.SHARE,
            {
                "in time": f"sum(increase(http_request_duration_seconds_bucket"
                f'{{{POST}, outcome="ok", le="0.25"}}[$__range]))'
                f' / sum(increase(http_request_duration_seconds_count{{{POST}, outcome=~"ok|failed"}}[$__range]))'
            },
            below(0.999, 0.99),
            ("AcceptanceBudgetBurnsSlowly",),
            Kind.NUMBER,
            most=1,
        ),
    ],
)

ERRORS = Row(
    "Errors",
    [
        Panel(
            "5xx ratio",
            "Share of the answers that are 5xx. Over 5 % for five minutes is critical.",
            Unit.SHARE,
            {
                "5xx": f'sum(rate(http_requests_total{{{OURS}, status=~"5.."}}[$__rate_interval]))'
                f" / sum(rate(http_requests_total{{{OURS}}}[$__rate_interval]))"
            },
            above(0.01, 0.05),
            ("HighErrorRate",),
        ),
        Panel(
            "4xx and 5xx",
            "Answers that are no success, a second, by status: 4xx is the caller's, 5xx is ours.",
            Unit.REQUESTS_PER_SECOND,
            {
                "{{status}}": "sum by (status)"
                f' (rate(http_requests_total{{{OURS}, status=~"[45].."}}[$__rate_interval]))'
            },
        ),
        Panel(
            "Sign-ins by the issuer that failed",
            "Within a quarter of an hour. The alert names the outcome, and the runbook says what each means.",
            Unit.COUNT,
            {"failed": 'sum(increase(issuer_sign_ins_total{outcome!="done"}[15m])) or vector(0)'},
            above(1, 10),
            ("IssuerSignInsFail",),
        ),
        Panel(
            "Retries",
            "Retries a second: writes that lost a race, commits whose answer was lost, batches.",
            Unit.PER_SECOND,
            {"{{service}} {{operation}}": "sum by (service, operation) (rate(retries_total[$__rate_interval]))"},
        ),
    ],
)

SATURATION = Row(
    "Saturation",
    [
        Panel(
            "Requests in flight",
            "Requests being answered at the moment of the scrape; a scrape of the same port is one of them.",
            Unit.COUNT,
            {"{{instance}}": "sum by (instance) (http_requests_in_progress)"},
            above(500, 1500),
        ),
        Panel(
            "Write queue fill",
            "Applications that wait for the next write, of those that may; when the queue is full more are refused.",
            Unit.SHARE,
            {"{{instance}}": "max by (instance) (applications_waiting / applications_waiting_limit)"},
            above(0.5, 0.9),
            ("WritesWaiting",),
            most=1,
        ),
        Panel(
            "Shed load",
            "Applications refused at once, a second, because they would not have been written in time.",
            Unit.PER_SECOND,
            {"{{instance}}": "sum by (instance) (rate(applications_shed_total[$__rate_interval]))"},
            above(1, 50),
            ("LoadShed",),
        ),
        Panel(
            "Rate-limited requests",
            "Requests a second answered 429: their client sends more than its rate lets through, or posts PANs again.",
            Unit.PER_SECOND,
            {"{{reason}}": "sum by (reason) (rate(requests_rate_limited_total[$__rate_interval]))"},
            above(1, 100),
            ("ClientBeyondItsRate", "ClientProbes"),
        ),
        Panel(
            "Connections",
            "Connections of clients, of those that each process lets in; at the limit the idle ones make room.",
            Unit.SHARE,
            {"{{service}} {{instance}}": "max by (service, instance) (http_connections / http_connections_limit)"},
            above(0.7, 0.9),
            ("ConnectionsNearLimit",),
            most=1,
        ),
        Panel(
            "Connections closed",
            "Closed a second, by reason: idle, head or reading late, for a new one's room, refused, no handshake.",
            Unit.PER_SECOND,
            {
                "{{service}} {{reason}}": "sum by (service, reason)"
                " (rate(http_connections_closed_total[$__rate_interval]))"
            },
            alerts=("ConnectionsRefused",),
        ),
        Panel(
            "Read pool",
            "Connections for status reads that are at work, of those that there may be.",
            Unit.SHARE,
            {
                "{{instance}}": 'max by (instance) (db_connections_active{use="pool"}'
                ' / db_connections_limit{use="pool"})'
            },
            above(0.8, 0.9),
            ("DatabasePoolExhausted",),
            most=1,
        ),
        Panel(
            "CPU",
            "Share of one core that each process takes.",
            Unit.SHARE,
            {
                "{{service}} {{instance}}": "sum by (service, instance)"
                " (rate(process_cpu_seconds_total[$__rate_interval]))"
            },
            above(0.8, 0.95),
        ),
        Panel(
            "Memory",
            "Resident memory of each process; 150 MiB is the budget.",
            Unit.BYTES,
            {"{{service}} {{instance}}": "sum by (service, instance) (process_resident_memory_bytes)"},
            above(120 * 2**20, 150 * 2**20),
        ),
        Panel(
            "Open files",
            "Descriptors that each process holds, of those that it may: sockets above all.",
            Unit.SHARE,
            {"{{service}} {{instance}}": "max by (service, instance) (process_open_fds / process_max_fds)"},
            above(0.5, 0.8),
            most=1,
        ),
        Panel(
            "Up",
            "1 for each process that answers its scrape.",
            Unit.COUNT,
            {"{{job}} {{instance}}": f"up{{{PROCESSES}}}"},
            (("red", None), ("green", 1)),
            ("ServiceDown", "ConsoleDown", "ReplicaDown"),
            most=1,
        ),
        Panel(
            "Restarts",
            "Times that each process was restarted within a quarter of an hour.",
            Unit.COUNT,
            {"{{job}} {{instance}}": f"changes(process_start_time_seconds{{{PROCESSES}}}[15m])"},
            above(1, 3),
            ("RestartsOften",),
        ),
        reached("database"),
        Panel(
            "Key service away",
            "1 while Vault or AWS KMS does not unwrap the keys of the process; 0 also where none is needed.",
            Unit.COUNT,
            {"{{service}} {{instance}}": "max by (service, instance) (key_service_away)"},
            (("green", None), ("red", 1)),
            ("KeyServiceAway",),
            most=1,
        ),
    ],
)

API = Board(
    "prequal-api",
    "Prequalification: API and processes",
    "Availability and latency of the API, and what each process uses.",
    [LATENCY, TRAFFIC, ERRORS, SATURATION],
)
