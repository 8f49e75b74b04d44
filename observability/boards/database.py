"""The board of PostgreSQL as the services see it, and of its own statistics.

Invariant: what the server says of itself is read by the publisher, the same from each replica.
"""

from observability.boards.shared import breakers, quantiles, reached
from observability.panels import Board, Kind, Panel, Row, Unit, above, below

LATENCY = Row(
    "Latency",
    [
        Panel(
            "Transaction latency p95",
            "Seconds that a transaction took, failed ones included, by what it was for.",
            Unit.SECONDS,
            {
                "{{service}}: {{query}}": "histogram_quantile(0.95, sum by (le, service, query)"
                " (rate(db_query_duration_seconds_bucket[$__rate_interval])))"
            },
            above(0.1, 0.5),
            ("HighLatency",),
            width=12,
        ),
        Panel(
            "Write transaction",
            "Seconds that the API's write took, from BEGIN to the answer to COMMIT: a slow disk shows here first.",
            Unit.SECONDS,
            quantiles('db_query_duration_seconds_bucket{query="write"}'),
            above(0.1, 0.25),
            ("HighLatency", "AcceptanceBudgetBurnsFast"),
            width=12,
        ),
    ],
)

TRAFFIC = Row(
    "Traffic",
    [
        Panel(
            "Transactions",
            "Transactions that ended in this database a second, by any client.",
            Unit.PER_SECOND,
            {"{{outcome}}": "max by (outcome) (rate(db_transactions_total[$__rate_interval]))"},
            width=12,
        ),
        Panel(
            "Transactions by query",
            "Transactions of the services a second, by what they were for. Under load each carries many applications.",
            Unit.PER_SECOND,
            {
                "{{service}}: {{query}}": "sum by (service, query)"
                " (rate(db_query_duration_seconds_count[$__rate_interval]))"
            },
            width=12,
        ),
    ],
)

ERRORS = Row(
    "Errors",
    [
        Panel(
            "Rollback ratio",
            "Share of the transactions that were rolled back.",
            Unit.SHARE,
            {
                "rolled back": 'max(rate(db_transactions_total{outcome="rolled_back"}[$__rate_interval]))'
                " / sum(max by (outcome) (rate(db_transactions_total[$__rate_interval])))"
            },
            above(0.05, 0.2),
        ),
        Panel(
            "Deadlocks",
            "Deadlocks of the chosen time. The losers are tried again at once; there should be none.",
            Unit.COUNT,
            {"deadlocks": "max(increase(db_deadlocks_total[$__range]))"},
            above(1, 10),
            (),
            Kind.NUMBER,
        ),
        reached("database"),
        breakers("database"),
    ],
)

SATURATION = Row(
    "Saturation",
    [
        Panel(
            "Server connections",
            "Clients connected to the server, of those that it takes.",
            Unit.SHARE,
            {"taken": "max(db_server_connections) / max(db_server_connections_limit)"},
            above(0.6, 0.8),
            ("DatabaseConnectionsNearLimit",),
            most=1,
        ),
        Panel(
            "Connections by service",
            "Connections of each service, at work and idle; the read pool apart from those of one's own.",
            Unit.COUNT,
            {
                "{{service}} {{use}} at work": "sum by (service, use) (db_connections_active)",
                "{{service}} {{use}} idle": "sum by (service, use) (db_connections_idle)",
            },
            alerts=("DatabasePoolExhausted",),
        ),
        Panel(
            "Oldest transaction",
            "Seconds that the oldest transaction has been open. Ours end within seconds; a long one slows the outbox.",
            Unit.SECONDS,
            {"open for": "max(db_oldest_transaction_seconds)"},
            above(10, 60),
            ("LongTransaction",),
        ),
        Panel(
            "Size",
            "Bytes that the database takes on disk.",
            Unit.BYTES,
            {"database": "max(db_size_bytes)"},
            alerts=("DiskFilling",),
        ),
        Panel(
            "Disk",
            "Share of the watched volume that is taken (WATCHED_FOLDER of the publisher).",
            Unit.SHARE,
            {"{{instance}}": "max by (instance) (1 - disk_free_bytes / disk_size_bytes)"},
            above(0.7, 0.8),
            ("DiskFilling",),
            most=1,
        ),
        Panel(
            "Archive partitions ahead",
            "Days after today for which the archive has partitions; `prequal maintain` makes them, daily.",
            Unit.DAYS,
            {"days": "max(outbox_archive_days_ahead)"},
            below(5, 2),
            ("ArchiveDaysLow",),
            Kind.NUMBER,
        ),
    ],
)

DATABASE = Board(
    "prequal-database",
    "Prequalification: database",
    "PostgreSQL as the services see it, and its own statistics.",
    [LATENCY, TRAFFIC, ERRORS, SATURATION],
)
