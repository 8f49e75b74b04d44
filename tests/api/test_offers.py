"""Clients that offer another protocol with their request, as a JDK HttpClient does by default, are served."""

import json

import pytest

from harness.applications import an_application
from tests.support.api import Api
from tests.support.edge import OFFER, a_request, answers


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
async def test_application_that_comes_with_an_h2c_offer_is_accepted(api: Api, chunked: bool) -> None:
    requests = [a_request(headers=OFFER, body=json.dumps(an_application()).encode(), chunked=chunked) for _ in "12"]
    port = api.client.base_url.port or 0

    statuses = [status for status, _ in await answers(port, *requests, number=2)]

    assert statuses == [202, 202]
