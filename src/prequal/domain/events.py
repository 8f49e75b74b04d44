"""The three facts that the services publish, and their names."""

from enum import StrEnum

MESSAGE_VERSION = "v1"


class EventType(StrEnum):
    """What happened to an application."""

    APPLICATION_SUBMITTED = "ApplicationSubmitted"
    CREDIT_REPORT_GENERATED = "CreditReportGenerated"
    APPLICATION_DECIDED = "ApplicationDecided"
