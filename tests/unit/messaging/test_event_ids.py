from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.domain.events import EventType
from prequal.messaging.event_ids import event_id


# Pinned: an event published again after a deployment must find its own inbox row.
@pytest.mark.parametrize(
    ("event_type", "application_id", "known"),
    [
        ("ApplicationSubmitted", "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44", "5d2319e4-3f02-5ff7-a55f-c2d39c4466e2"),
        ("CreditReportGenerated", "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44", "a74bff96-6bd0-5ef9-97ca-6db5b8779625"),
        ("ApplicationSubmitted", "00000000-0000-0000-0000-000000000000", "368b4892-028c-5918-95f6-f634549f2bcf"),
    ],
)
def test_a_known_fact_keeps_its_event_id(event_type: str, application_id: str, known: str) -> None:
    assert event_id(EventType(event_type), UUID(application_id)) == UUID(known)


@given(st.uuids(), st.uuids())
def test_event_ids_differ_between_applications_and_between_types(one: UUID, other: UUID) -> None:
    ids = {event_id(event_type, id_) for event_type in EventType for id_ in (one, other)}

    assert len(ids) == len(EventType) * len({one, other})


def test_decisions_of_an_application_have_ids_of_their_own() -> None:
    application_id = UUID("01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44")

    ids = [str(event_id(EventType.APPLICATION_DECIDED, application_id, version)) for version in (2, 3)]

    assert ids == ["6f16e747-702f-5269-9124-b0083f1ced2d", "d7fb1bee-2553-5ad6-82f8-b47e7e8f5c63"]
