"""The topics of events and who reads them, as they are public: by name, and not by what the service calls them.

Invariant: nothing of the service's code is used, so that a checker finds out when it means another topic.
"""

from typing import Final

SUBMITTED: Final = "loan_applications_submitted"
REPORTED: Final = "credit_reports_generated"
GROUPS: Final = {"credit-service-group": SUBMITTED, "decision-service-group": REPORTED}
"""The topic that each group reads."""
