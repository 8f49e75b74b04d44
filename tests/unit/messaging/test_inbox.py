import pytest

from prequal.core.errors import Invalid
from prequal.domain.application import Status
from prequal.messaging.handler import Outcome
from prequal.messaging.inbox import Known
from tests.builders import a_report

SAME = a_report().digest
OTHER = a_report(cibil_score=701).digest
FINAL = [Status.PRE_APPROVED, Status.REJECTED, Status.MANUAL_REVIEW]


def known(digest: bytes | None = None, status: Status | None = Status.PENDING, *, agrees: bool = True) -> Known:
    return Known(digest, status, agrees)


def kind(verdict: Outcome | Invalid | None) -> str | None:
    return verdict.kind if isinstance(verdict, Invalid) else verdict


def test_a_new_event_of_a_pending_application_is_to_take_effect() -> None:
    assert known().outcome_of(a_report()) is None


@pytest.mark.parametrize("status", Status)
def test_an_event_that_took_effect_before_is_a_duplicate(status: Status) -> None:
    assert known(SAME, status).outcome_of(a_report()) is Outcome.DUPLICATE


@pytest.mark.parametrize("status", FINAL)
def test_event_of_a_decided_application_is_a_duplicate_without_the_inbox(status: Status) -> None:
    assert known(None, status).outcome_of(a_report()) is Outcome.DUPLICATE


@pytest.mark.parametrize("status", [*Status, None])
@pytest.mark.parametrize("agrees", [True, False])
def test_the_same_id_with_other_content_is_a_dead_letter_whatever_else(status: Status | None, *, agrees: bool) -> None:
    assert kind(known(OTHER, status, agrees=agrees).outcome_of(a_report())) == "different_content"


@pytest.mark.parametrize("digest", [None, SAME])
def test_an_event_of_no_application_is_a_dead_letter(digest: bytes | None) -> None:
    assert kind(known(digest, None, agrees=False).outcome_of(a_report())) == "unknown_application"


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("digest", [None, SAME])
def test_an_event_that_contradicts_its_application_is_a_dead_letter(digest: bytes | None, status: Status) -> None:
    assert kind(known(digest, status, agrees=False).outcome_of(a_report())) == "contradicts_application"
