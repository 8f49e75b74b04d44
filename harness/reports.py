"""The MAC of a credit report worked out a second time, from its JSON and nothing of `prequal`."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

REPORT_KEYS = ("REPORT_KEY",)
FACTS = ("application_id", "pan_number_hash", "monthly_income_inr", "loan_amount_inr", "loan_type", "cibil_score")


def mac(key: bytes, report: Mapping[str, Any]) -> str:
    """What stands in `report_mac` of a report that a holder of the key made."""
    said = "|".join(["prequal credit report v1", *(str(report[name]) for name in FACTS)])
    return hmac.new(key, said.encode(), sha256).hexdigest()
