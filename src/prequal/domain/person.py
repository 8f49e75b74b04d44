"""The people who work with the service: their names and the roles that give them rights.

Invariant: a role is public from its first release; a name is lower case, so that it is one person's in either case.
"""

import re
from enum import StrEnum
from typing import Final


class PersonRole(StrEnum):
    """What a person is there for; one person may have several."""

    ADMINISTRATOR = "administrator"
    """Adds people and clients, and ends them."""
    RISK_OFFICER = "risk_officer"
    """Proposes versions of the policy."""
    APPROVER = "approver"
    """Approves what a risk officer proposes, and puts it into force."""
    REVIEWER = "reviewer"
    """Decides the applications that are for review."""
    OPERATOR = "operator"
    """Is on call: dead letters, processes, backlogs."""
    AUDITOR = "auditor"
    """Reads everything, the record of acts included, and changes nothing."""


PERSON_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,99}", re.ASCII)
"""A name or an email address, in lower case."""
