"""The MACs of a credit report worked out a second time, from its JSON and nothing of `prequal`."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

REPORT_KEYS = ("REPORT_KEY",)
FACTS = ("application_id", "pan_number_hash", "monthly_income_inr", "loan_amount_inr", "loan_type", "cibil_score")
OF_THE_DRAW = ("challenge_draw", "challenge_mac")
"""What a report may lack: it is then decided by the version in force."""


def mac(key: bytes, report: Mapping[str, Any]) -> str:
    """What stands in `report_mac` of a report that a holder of the key made."""
    return _mac(key, _said(report))


def challenge_mac(key: bytes, report: Mapping[str, Any]) -> str:
    """What stands in `challenge_mac` of a report that a holder of the key made."""
    return _mac(key, f"{_said(report)}|challenge_draw={report['challenge_draw']}")


def _said(report: Mapping[str, Any]) -> str:
    return "|".join(["prequal credit report v1", *(str(report[name]) for name in FACTS)])


def _mac(key: bytes, said: str) -> str:
    return hmac.new(key, said.encode(), sha256).hexdigest()
