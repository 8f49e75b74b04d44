"""The OpenAPI document against the running API: whatever it allows is answered as it says, and never with a 5xx."""

import json
import os
from typing import Any, Final

import jsonschema_rs
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from schemathesis.specs.openapi.definitions import OPENAPI_31

from prequal.api.openapi import document
from tests.support.api_clients import Guarded, bearer

pytest_plugins = ["schemathesis.pytest.plugin"]

EXAMPLES: Final = int(os.environ.get("EXAMPLES", "150"))
"""Requests to each operation, with and without credentials; `make test-schema` sends more."""

schema = schemathesis.openapi.from_dict(document())


def test_the_document_is_valid_openapi() -> None:
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(json.loads(json.dumps(document())))


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_api_answers_as_its_document_says(guarded: Guarded, case: Case[Any]) -> None:
    url = (guarded.admin if case.path == "/metrics" else guarded.system.api).url
    # No schema can say all the rules: that a name holds no PAN, or that an amount's string is not zero.
    case.call_and_validate(
        base_url=url,
        headers=bearer(guarded.app.token),
        timeout=15,
        excluded_checks=[positive_data_acceptance, ignored_auth],
    )

    if case.operation.definition.raw["security"]:  # as `ignored_auth` does, which takes no 429 for a refusal
        without = case.call(base_url=url, timeout=15)
        assert 400 <= without.status_code < 500
