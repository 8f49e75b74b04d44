import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import reports
from prequal.core.keys import key_id
from prequal.messaging.report_mac import ReportMac
from tests.builders import APPLICATION_ID, PAN_HASH, a_key, a_report, a_report_message

MAC = ReportMac(a_key(1))
FACTS = a_report().facts


def test_a_mac_is_hmac_sha_256_over_the_facts_joined() -> None:
    facts = f"prequal credit report v1|{APPLICATION_ID}|{PAN_HASH}|85000.00|1500000.00|AUTO|700"

    assert MAC.make(FACTS) == hmac.new(a_key(1), facts.encode(), "sha256").hexdigest()


def test_the_harness_makes_the_same_mac_of_the_message() -> None:
    message = a_report_message(mac=MAC)

    report = json.loads(message)

    assert report["report_mac"] == reports.mac(a_key(1), report)


def test_the_harness_makes_the_same_mac_of_the_facts_and_the_draw() -> None:
    message = a_report_message(mac=MAC, challenge_draw=9999)

    report = json.loads(message)

    assert report["challenge_mac"] == reports.challenge_mac(a_key(1), report)
    assert report["report_mac"] == json.loads(a_report_message(mac=MAC))["report_mac"]  # older readers check this alone


def test_a_mac_is_valid_of_its_own_facts_alone() -> None:
    mac = MAC.make(FACTS)

    assert MAC.is_valid(mac, FACTS)
    assert not MAC.is_valid(mac, a_report(cibil_score=701).facts)


@given(st.none() | st.text(max_size=70))
def test_whatever_else_is_given_as_a_mac_is_invalid(text: str | None) -> None:
    assert not MAC.is_valid(text, FACTS)


@pytest.mark.parametrize(("retired", "valid"), [([], False), ([a_key(2)], True), ([a_key(3), a_key(2)], True)])
def test_a_mac_under_a_retired_key_is_valid_while_that_key_is_given(retired: list[bytes], valid: bool) -> None:
    assert ReportMac(a_key(1), retired).is_valid(ReportMac(a_key(2)).make(FACTS), FACTS) is valid


def test_a_mac_is_made_under_the_current_key() -> None:
    assert ReportMac(a_key(1), [a_key(2)]).make(FACTS) == MAC.make(FACTS)


def test_no_representation_shows_a_key() -> None:
    assert repr(MAC) == "ReportMac()"


def test_forgotten_key_is_accepted_no_more_and_the_others_are() -> None:
    mac = ReportMac(a_key(1), [a_key(2), a_key(3)])
    assert mac.key_id == key_id(a_key(1))
    assert mac.verifies_with == {key_id(a_key(number)) for number in (1, 2, 3)}

    mac.forget([key_id(a_key(2)), key_id(a_key(9))])

    assert mac.verifies_with == {key_id(a_key(1)), key_id(a_key(3))}
    valid = [mac.is_valid(ReportMac(a_key(number)).make(FACTS), FACTS) for number in (1, 2, 3)]
    assert valid == [True, False, True]
