"""The board of a risk officer: applications, decisions with their reasons, and what is undecided or in review.

Invariant: figures of the chosen time are sums of what was committed; nobody can be recognised in them.
"""

from observability.boards.shared import burn, quantiles
from observability.panels import Board, Kind, Panel, Row, Unit, above, below

APPROVED = 'status="PRE_APPROVED"'


def _share(part: str, whole: str, by: str) -> str:
    return f"sum by ({by}) (increase({part}[$__range])) / sum by ({by}) (increase({whole}[$__range]))"


LATENCY = Row(
    "Latency",
    [
        Panel(
            "Time to decision",
            "Seconds from acceptance to final status, by database time. Promised: 99.9 % within 2 s.",
            Unit.SECONDS,
            quantiles("decision_duration_seconds_bucket"),
            above(1, 2),
            ("DecisionBudgetBurnsFast", "DecisionBudgetBurnsSlowly"),
        ),
        Panel(
            "Decided within 2 s",
            "Share of the decisions of the chosen time that were made within 2 s.",
            Unit.SHARE,
            {
                "in time": 'sum(increase(decision_duration_seconds_bucket{le="2.0"}[$__range]))'
                " / sum(increase(decision_duration_seconds_count[$__range]))"
            },
            below(0.999, 0.99),
            ("DecisionBudgetBurnsSlowly",),
            Kind.NUMBER,
            most=1,
        ),
        burn("decision", "DecisionBudgetBurns"),
    ],
)

TRAFFIC = Row(
    "Traffic",
    [
        Panel(
            "Applications",
            "Applications accepted in the chosen time, by what the loan is for.",
            Unit.COUNT,
            {"{{loan_type}}": "sum by (loan_type) (increase(applications_submitted_total[$__range]))"},
            kind=Kind.BARS,
        ),
        Panel(
            "Decisions by status",
            "Applications decided in the chosen time, by final status.",
            Unit.COUNT,
            {"{{status}}": "sum by (status) (increase(applications_by_status_total[$__range]))"},
            kind=Kind.BARS,
        ),
        Panel(
            "Decisions by reason",
            "The same, by the rule of the policy that fired.",
            Unit.COUNT,
            {"{{reason}}": "sum by (reason) (increase(applications_by_status_total[$__range]))"},
            kind=Kind.BARS,
        ),
        Panel(
            "Decision rate",
            "Applications decided a second, by final status.",
            Unit.PER_SECOND,
            {"{{status}}": "sum by (status) (rate(applications_by_status_total[$__rate_interval]))"},
        ),
        Panel(
            "Approval rate",
            "Share of the decided that were pre-approved, by what the loan is for.",
            Unit.SHARE,
            {
                "{{loan_type}}": _share(
                    f"applications_by_status_total{{{APPROVED}}}", "applications_by_status_total", "loan_type"
                )
            },
            kind=Kind.BARS,
            most=1,
        ),
        Panel(
            "Scores",
            "Scores of the bureau in the chosen time, in bands of 25 named by their last; 649 is the last rejected.",
            Unit.COUNT,
            {"{{le}}": "sum by (le) (increase(cibil_score_distribution_bucket[$__range]))"},
            kind=Kind.BANDS,
        ),
        Panel(
            "Policy in force",
            "Decision processes by the version of the policy that they decide by: one version, but for some seconds of "
            "a switch.",
            Unit.COUNT,
            {"{{version}}": "sum by (version) (policy_in_force)"},
            alerts=("PolicyDiffers", "PolicyRefused"),
        ),
        Panel(
            "Live and challenger",
            "Applications decided in the chosen time, by the version in force (live) and by its challenger.",
            Unit.COUNT,
            {"{{role}}: {{status}}": "sum by (role, status) (increase(policy_decisions_total[$__range]))"},
            kind=Kind.BARS,
        ),
        Panel(
            "Shadow decisions",
            "Applications of the chosen time that the candidate decided again: the status that was decided → its own.",
            Unit.COUNT,
            {
                "{{status}} → {{outcome}}": "sum by (status, outcome)"
                " (increase(policy_shadow_decisions_total[$__range]))"
            },
            kind=Kind.BARS,
        ),
        Panel(
            "Amount requested",
            "Sum of the amounts of the applications accepted in the chosen time.",
            Unit.RUPEES,
            {"{{loan_type}}": "sum by (loan_type) (increase(loan_amount_requested_inr_total[$__range]))"},
            kind=Kind.BARS,
        ),
        Panel(
            "Amount pre-approved",
            "Sum of the amounts of the applications pre-approved in the chosen time.",
            Unit.RUPEES,
            {"{{loan_type}}": f"sum by (loan_type) (increase(loan_amount_decided_inr_total{{{APPROVED}}}[$__range]))"},
            kind=Kind.BARS,
        ),
        Panel(
            "Approval rate by amount",
            "Pre-approved rupees of the decided ones, by what the loan is for.",
            Unit.SHARE,
            {
                "{{loan_type}}": _share(
                    f"loan_amount_decided_inr_total{{{APPROVED}}}", "loan_amount_decided_inr_total", "loan_type"
                )
            },
            kind=Kind.BARS,
            most=1,
        ),
    ],
)

ERRORS = Row(
    "Errors",
    [
        Panel(
            "4xx by status",
            "Requests of the chosen time that were refused, by status: 409 is the 24-hour rule, 422 a bad field.",
            Unit.COUNT,
            {
                "{{status}}": 'sum by (status) (increase(http_requests_total{route="/applications",'
                ' status=~"4.."}[$__range]))'
            },
            kind=Kind.BARS,
        ),
        Panel(
            "Dead letters",
            "Applications' messages of the chosen time that became dead letters; their applications wait for a person.",
            Unit.COUNT,
            {"{{topic}}": "sum by (topic) (increase(dead_letters_total[$__range]))"},
            above(1, 50),
            ("DeadLettersRising",),
            Kind.NUMBER,
        ),
        Panel(
            "PANs decrypted",
            "PANs decrypted in the chosen time beside applications accepted. Many more of them must be explainable; "
            "each is on record.",
            Unit.COUNT,
            {
                "decrypted": "sum(increase(pan_decrypts_total[$__range]))",
                "applications": "sum(increase(applications_submitted_total[$__range]))",
            },
            alerts=("PanDecryptsUnusual",),
            kind=Kind.NUMBER,
        ),
    ],
)

SATURATION = Row(
    "Saturation",
    [
        Panel(
            "Undecided",
            "Applications without a decision, and those of them that have waited for over 2 s.",
            Unit.COUNT,
            {"undecided": "max(applications_undecided)", "for over 2 s": "max(applications_overdue)"},
            above(100, 1000),
            ("DecisionBudgetBurnsFast",),
            width=12,
        ),
        Panel(
            "Oldest undecided",
            "Seconds that the oldest application without a decision has waited.",
            Unit.SECONDS,
            {"waits for": "max(oldest_undecided_age_seconds)"},
            above(30, 120),
            ("UndecidedTooLong",),
            width=12,
        ),
        Panel(
            "Open reviews",
            "Applications that wait for people, and those of them whose target time has passed.",
            Unit.COUNT,
            {"open": "max(review_cases_open)", "overdue": "max(review_cases_overdue)"},
            alerts=("ReviewOverdue",),
            width=12,
        ),
        Panel(
            "Hours to review target",
            "Hours until the target time of the oldest case; negative after it, nothing when no case is open.",
            Unit.HOURS,
            {"oldest case": "max(review_hours_to_target)"},
            below(4, 0),
            ("ReviewOverdue",),
            width=12,
        ),
    ],
)

BUSINESS = Board(
    "prequal-business",
    "Prequalification: business",
    "Applications, decisions with their reasons, and what is undecided or in review.",
    [LATENCY, TRAFFIC, ERRORS, SATURATION],
    since="now-24h",
)
