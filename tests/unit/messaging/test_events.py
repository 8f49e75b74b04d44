import base64
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from prequal.core.errors import Invalid
from prequal.domain.application import LoanType
from prequal.domain.events import EventType
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted, CreditReportGenerated, Event
from tests.builders import (
    APPLICATION_ID,
    CLIENT,
    MOMENT,
    OTHER_APPLICATION_ID,
    PAN_HASH,
    REPORT_MAC,
    TOKEN,
    a_report,
    a_report_message,
    a_submitted_event,
    a_submitted_message,
)
from tests.support.pans import NUMBERS, shown

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
MONEY = st.integers(1, 999_999_999_999).map(lambda paise: f"{paise // 100}.{paise % 100:02d}")
MOMENTS = st.datetimes(EPOCH, EPOCH.replace(year=2100), timezones=st.just(UTC))
CLASSES: list[type[Event]] = [ApplicationSubmitted, CreditReportGenerated]
VALID: dict[type[Event], bytes] = {
    ApplicationSubmitted: a_submitted_message(),
    CreditReportGenerated: a_report_message(),
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def with_field(event_class: type[Event], name: str, value: object) -> bytes:
    """A valid message with one field set; `...` takes it away."""
    fields: dict[str, Any] = json.loads(VALID[event_class])
    fields[name] = value
    return json.dumps({key: field for key, field in fields.items() if field is not ...}).encode()


# ── round trips ─────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.uuids(), st.binary(max_size=80), MONEY, MONEY, st.sampled_from(LoanType), MOMENTS)
def test_a_submitted_application_is_read_back_as_it_was_written(
    id_: UUID, token: bytes, income: str, loan: str, loan_type: LoanType, moment: datetime
) -> None:
    message = a_submitted_message(
        application_id=id_,
        encrypted_pan=token,
        monthly_income_inr=income,
        loan_amount_inr=loan,
        loan_type=loan_type,
        created_at=moment,
    )

    event = ApplicationSubmitted.decode(message)

    assert event == ApplicationSubmitted(
        event_id=event_id(EventType.APPLICATION_SUBMITTED, id_),
        application_id=id_,
        pan_number_encrypted=token,
        pan_number_hash=PAN_HASH,
        monthly_income_inr=Decimal(income),
        loan_amount_inr=Decimal(loan),
        loan_type=loan_type,
        message_version="v1",
        client=CLIENT,
        created_at=moment,
    )


@given(st.uuids(), st.integers(300, 900), MOMENTS)
def test_a_credit_report_is_read_back_as_it_was_written(id_: UUID, score: int, moment: datetime) -> None:
    submitted = a_submitted_event(id_)

    report = CreditReportGenerated.decode(a_report_message(submitted, score, moment))

    assert (report.cibil_score, report.generated_at, report.application_id) == (score, moment, id_)
    assert report.event_id == event_id(EventType.CREDIT_REPORT_GENERATED, id_)
    assert (report.monthly_income_inr, report.loan_amount_inr, report.loan_type, report.pan_number_hash) == (
        submitted.monthly_income_inr,
        submitted.loan_amount_inr,
        submitted.loan_type,
        submitted.pan_number_hash,
    )


def test_a_submitted_application_has_the_public_fields_on_the_wire() -> None:
    assert json.loads(a_submitted_message()) == {
        "event_id": str(event_id(EventType.APPLICATION_SUBMITTED, APPLICATION_ID)),
        "application_id": str(APPLICATION_ID),
        "pan_number_encrypted": base64.b64encode(TOKEN).decode(),
        "pan_number_hash": PAN_HASH,
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": "AUTO",
        "message_version": "v1",
        "client": CLIENT,
        "created_at": "2026-11-23T09:30:00.123456Z",
    }


def test_a_credit_report_has_the_public_fields_on_the_wire_and_no_pan() -> None:
    assert json.loads(a_report_message()) == {
        "event_id": str(event_id(EventType.CREDIT_REPORT_GENERATED, APPLICATION_ID)),
        "application_id": str(APPLICATION_ID),
        "pan_number_hash": PAN_HASH,
        "cibil_score": 700,
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": "AUTO",
        "message_version": "v1",
        "client": CLIENT,
        "generated_at": "2026-11-23T09:30:00.123456Z",
        "report_mac": REPORT_MAC.make(a_report().facts),
    }


@pytest.mark.parametrize("event_class", CLASSES)
def test_what_is_written_is_what_is_declared(event_class: type[Event]) -> None:
    written = set(json.loads(VALID[event_class]))
    if event_class is CreditReportGenerated:
        written |= set(json.loads(a_report_message(cibil_score=None, challenge_draw=0)))

    assert written == set(event_class.model_json_schema(mode="serialization")["properties"])


@pytest.mark.parametrize("event_class", CLASSES)
def test_a_model_dumped_as_json_reads_back_equal(event_class: type[Event]) -> None:
    event = event_class.decode(VALID[event_class])

    assert event_class.decode(event.model_dump_json().encode()) == event


@pytest.mark.parametrize("event_class", CLASSES)
def test_unknown_fields_are_ignored(event_class: type[Event]) -> None:
    extended = with_field(event_class, "branch", {"code": "MUM-1"})

    assert event_class.decode(extended) == event_class.decode(VALID[event_class])


@pytest.mark.parametrize("event_class", CLASSES)
def test_an_event_is_of_its_type_and_names_its_time(event_class: type[Event]) -> None:
    assert event_class.type.value == event_class.__name__
    assert event_class.time_field in event_class.model_fields


def test_money_is_never_a_float_on_the_way() -> None:
    event = ApplicationSubmitted.decode(with_field(ApplicationSubmitted, "monthly_income_inr", "0.10"))

    assert str(event.monthly_income_inr) == "0.10"


# ── poison ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [None, b""])
def test_an_empty_message_is_poison(content: bytes | None) -> None:
    with pytest.raises(Invalid) as poison:
        ApplicationSubmitted.decode(content)

    assert (poison.value.kind, str(poison.value)) == ("empty_message", "the message has no content")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"not json",
        b"\xff\xfe",
        b"\x00",
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b"{}{}",
    ],
)
def test_what_is_not_json_is_poison(content: bytes) -> None:
    with pytest.raises(Invalid) as poison:
        ApplicationSubmitted.decode(content)

    assert poison.value.kind == "malformed_json"
    assert not str(poison.value).startswith(":")


@pytest.mark.parametrize("content", [b"null", b"[]", b"1", b'"text"', b"true", b"{}", b"NaN", b"-Infinity"])
def test_json_that_is_no_event_is_poison(content: bytes) -> None:
    with pytest.raises(Invalid) as poison:
        CreditReportGenerated.decode(content)

    assert poison.value.kind == "invalid_fields"


@pytest.mark.parametrize("event_class", CLASSES)
@pytest.mark.parametrize("version", ["v2", "V1", "", 1, None])
def test_an_unknown_version_is_poison_of_its_own_kind(event_class: type[Event], version: object) -> None:
    with pytest.raises(Invalid) as poison:
        event_class.decode(with_field(event_class, "message_version", version))

    assert poison.value.kind == "unknown_version"


def test_an_unknown_version_is_named_before_its_strange_fields() -> None:
    fields = {"event_id": 1, "message_version": "v2"}

    with pytest.raises(Invalid) as poison:
        ApplicationSubmitted.decode(json.dumps(fields).encode())

    assert poison.value.kind == "unknown_version"


@pytest.mark.parametrize(
    ("event_class", "name"),
    [(each, name) for each in CLASSES for name in json.loads(VALID[each]) if name not in {"report_mac", "client"}],
)
def test_a_missing_field_is_poison_that_names_it(event_class: type[Event], name: str) -> None:
    with pytest.raises(Invalid, match=name) as poison:
        event_class.decode(with_field(event_class, name, ...))

    assert poison.value.kind == "invalid_fields"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("event_id", "x"),
        ("application_id", "01935f6e"),
        ("application_id", 5),
        ("pan_number_encrypted", "é"),
        ("pan_number_encrypted", "AAA"),
        ("pan_number_encrypted", "AA="),
        ("pan_number_encrypted", "AA!AA"),
        ("pan_number_hash", "5E" * 32),
        ("pan_number_hash", "5e" * 31),
        ("pan_number_hash", "5e" * 32 + "\n"),
        ("monthly_income_inr", 85000),
        ("monthly_income_inr", 85000.5),
        ("monthly_income_inr", "85000.001"),
        ("monthly_income_inr", "0.00"),
        ("monthly_income_inr", "NaN"),
        ("monthly_income_inr", None),
        ("loan_amount_inr", "10000000000.00"),
        ("loan_amount_inr", "-1.00"),
        ("loan_amount_inr", "1e5"),
        ("loan_type", "BOAT"),
        ("loan_type", None),
        ("created_at", "2026-11-23T09:30:00"),
        ("created_at", "yesterday"),
    ],
)
def test_a_wrong_field_is_poison_that_names_it(name: str, value: object) -> None:
    with pytest.raises(Invalid, match=name) as poison:
        ApplicationSubmitted.decode(with_field(ApplicationSubmitted, name, value))

    assert poison.value.kind == "invalid_fields"


@pytest.mark.parametrize("event_class", CLASSES)
@pytest.mark.parametrize("name", ["event_id", "application_id"])
def test_an_event_id_of_another_application_is_poison_of_its_own_kind(event_class: type[Event], name: str) -> None:
    foreign = with_field(event_class, name, str(OTHER_APPLICATION_ID))

    with pytest.raises(Invalid) as poison:
        event_class.decode(foreign)

    words = "the event's id is not the one that its application's event has"
    assert (poison.value.kind, str(poison.value)) == ("wrong_event_id", words)


def test_an_event_id_of_the_other_type_is_poison() -> None:
    of_the_submission = str(event_id(EventType.APPLICATION_SUBMITTED, APPLICATION_ID))

    with pytest.raises(Invalid) as poison:
        CreditReportGenerated.decode(with_field(CreditReportGenerated, "event_id", of_the_submission))

    assert poison.value.kind == "wrong_event_id"


@pytest.mark.parametrize("score", [299, 901, "700", 700.5, 700.0, True, None, 10**40, -1])
def test_a_score_that_is_no_whole_number_of_the_range_is_poison(score: object) -> None:
    with pytest.raises(Invalid, match="cibil_score"):
        CreditReportGenerated.decode(with_field(CreditReportGenerated, "cibil_score", score))


def test_report_of_a_person_without_a_file_is_read_back_as_it_was_written() -> None:
    content = json.loads(a_report_message(cibil_score=None))
    report = CreditReportGenerated.decode(json.dumps(content).encode())

    assert content["cibil_score"] is None
    assert (report.cibil_score, report.bureau_outcome) == (None, "NO_FILE")
    assert report.digest != a_report().digest


def test_report_with_a_score_is_written_as_before_there_were_others() -> None:
    assert "bureau_outcome" not in json.loads(a_report_message())


@pytest.mark.parametrize("outcome", ["NO_FILE", "THIN_FILE", "", 1])
def test_report_with_a_score_and_another_outcome_is_poison(outcome: object) -> None:
    with pytest.raises(Invalid, match="bureau_outcome"):
        CreditReportGenerated.decode(with_field(CreditReportGenerated, "bureau_outcome", outcome))


def test_report_without_a_score_and_an_outcome_is_poison() -> None:
    content = json.loads(a_report_message())
    del content["cibil_score"]

    with pytest.raises(Invalid, match="either cibil_score or"):
        CreditReportGenerated.decode(json.dumps(content).encode())


@given(st.sampled_from(CLASSES), st.binary(max_size=200))
def test_any_bytes_are_read_or_invalid_and_nothing_else(event_class: type[Event], content: bytes) -> None:
    with pytest.raises(Invalid):
        event_class.decode(content)


def test_words_about_poison_name_each_field_and_what_is_wrong_with_it() -> None:
    fields = json.loads(a_report_message()) | {"cibil_score": 299, "loan_type": "BOAT"}

    with pytest.raises(Invalid) as poison:
        CreditReportGenerated.decode(json.dumps(fields).encode())

    assert str(poison.value) == (
        "loan_type: Input should be 'PERSONAL', 'HOME' or 'AUTO'; "
        "cibil_score: Input should be greater than or equal to 300"
    )


def test_words_about_poison_are_cut_to_500_characters() -> None:
    everything_wrong = dict.fromkeys(json.loads(a_report_message()), "x" * 100) | {"message_version": "v1"}

    with pytest.raises(Invalid) as poison:
        CreditReportGenerated.decode(json.dumps(everything_wrong).encode())

    assert len(str(poison.value)) == 500


def test_an_error_that_escaped_its_translation_would_not_repeat_the_field() -> None:
    with pytest.raises(ValidationError) as escaped:
        ApplicationSubmitted.model_validate_json(with_field(ApplicationSubmitted, "loan_type", "ABCDE1234F"))

    assert "ABCDE" not in str(escaped.value)


def verdict(event_class: type[Event], content: bytes) -> Invalid | None:
    """Why a message cannot be read; None when it can. Anything else that is raised is a crash."""
    try:
        event_class.decode(content)
    except Invalid as invalid:
        return invalid
    return None


@given(st.sampled_from(CLASSES), st.data())
def test_any_value_in_any_field_is_read_or_invalid_and_no_pan_is_shown(
    event_class: type[Event], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(json.loads(VALID[event_class]))))
    content = with_field(event_class, name, data.draw(JSON_VALUES))

    words = str(verdict(event_class, content))

    assert shown(words) == []
    assert len(words) <= 500


@given(NUMBERS, st.sampled_from(sorted(json.loads(VALID[ApplicationSubmitted]))))
@example("ABCDE1234F", "application_id")
def test_words_about_poison_never_hold_a_pan(number: str, name: str) -> None:
    poison = verdict(ApplicationSubmitted, with_field(ApplicationSubmitted, name, number))

    assert poison is not None
    assert number not in str(poison)
    assert poison.__cause__ is None


@given(st.sampled_from(CLASSES), st.integers(0), st.integers(0, 255))
def test_one_altered_byte_is_read_or_invalid_and_nothing_else(event_class: type[Event], place: int, byte: int) -> None:
    content = bytearray(VALID[event_class])
    content[place % len(content)] = byte

    poison = verdict(event_class, bytes(content))

    assert poison is None or poison.kind in {
        "malformed_json",
        "invalid_fields",
        "unknown_version",
        "wrong_event_id",
    }


# ── digests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_digest_ignores_times() -> None:
    later = MOMENT + timedelta(days=1)

    assert (
        ApplicationSubmitted.decode(a_submitted_message(created_at=later)).digest
        == ApplicationSubmitted.decode(a_submitted_message()).digest
    )
    assert CreditReportGenerated.decode(a_report_message(generated_at=later)).digest == a_report().digest


def test_a_digest_ignores_how_the_pan_is_encrypted() -> None:
    renewed = ApplicationSubmitted.decode(a_submitted_message(encrypted_pan=TOKEN[::-1]))

    assert renewed.digest == a_submitted_event().digest


def test_a_digest_ignores_the_mac_so_that_a_report_of_before_is_the_same_fact() -> None:
    assert CreditReportGenerated.decode(a_report_message(mac=None)).digest == a_report().digest


@pytest.mark.parametrize("event_class", CLASSES)
def test_event_of_before_clients_were_named_is_the_same_fact(event_class: type[Event]) -> None:
    before = json.loads(VALID[event_class])
    named = event_class.decode(json.dumps(before).encode())
    del before["client"]

    unnamed = event_class.decode(json.dumps(before).encode())

    assert (named.client, unnamed.client) == (CLIENT, None)
    assert named.digest == unnamed.digest


def test_report_names_the_client_that_its_applications_event_names() -> None:
    unnamed = a_submitted_event().model_copy(update={"client": None})

    assert json.loads(a_report_message())["client"] == CLIENT
    assert "client" not in json.loads(a_report_message(unnamed))


@pytest.mark.parametrize("event_class", CLASSES)
@pytest.mark.parametrize("client", ["", "k7m2", 'x","a":"', "K7M2XQ9Z", "k7m2xq9z1", "k7m2xq9z\n", 7])
def test_what_is_no_clients_id_is_poison(event_class: type[Event], client: object) -> None:
    with pytest.raises(Invalid) as poison:
        event_class.decode(with_field(event_class, "client", client))

    assert poison.value.kind == "invalid_fields"


def test_a_digest_ignores_trailing_zeros() -> None:
    respelt = ApplicationSubmitted.decode(with_field(ApplicationSubmitted, "monthly_income_inr", "85000.000"))

    assert respelt.digest == a_submitted_event().digest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pan_number_hash", "5f" * 32),
        ("monthly_income_inr", "85000.01"),
        ("loan_amount_inr", "1500000.01"),
        ("loan_type", "HOME"),
        ("cibil_score", 701),
    ],
)
def test_every_fact_counts_in_the_digest(name: str, value: object) -> None:
    altered = CreditReportGenerated.decode(with_field(CreditReportGenerated, name, value))

    assert altered.digest != a_report().digest


def test_two_applications_that_are_alike_have_digests_of_their_own() -> None:
    assert a_submitted_event(OTHER_APPLICATION_ID).digest != a_submitted_event(APPLICATION_ID).digest


# Pinned: the inbox holds digests for days, over deployments.
def test_known_events_keep_their_digest() -> None:
    assert a_submitted_event().digest.hex() == "59527cb3de9e7e623c5bb0cede6cae16"
    assert a_report().digest.hex() == "dc3a53042f9cae0ac760cb050018f4a4"


def test_amount_that_is_a_number_is_refused_with_how_it_is_written() -> None:
    with pytest.raises(Invalid, match=r"monthly_income_inr: Value error, must be a decimal string$"):
        ApplicationSubmitted.decode(with_field(ApplicationSubmitted, "monthly_income_inr", 85000))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            with_field(ApplicationSubmitted, "pan_number_encrypted", "AA!AA"),
            "pan_number_encrypted: Value error, must be base64",
        ),
        (with_field(ApplicationSubmitted, "message_version", "v2"), "message_version: Input should be 'v1'"),
        (b"{", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
    ],
)
def test_words_about_poison_say_what_is_wrong(content: bytes, words: str) -> None:
    with pytest.raises(Invalid) as poison:
        ApplicationSubmitted.decode(content)

    assert str(poison.value) == words


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        a_report().cibil_score = 900


@pytest.mark.parametrize("event_class", CLASSES)
def test_published_patterns_are_those_of_json_schema(event_class: type[Event]) -> None:
    patterns = re.findall(r'"pattern": "([^"]+)"', json.dumps(event_class.model_json_schema()))

    assert patterns
    assert not [pattern for pattern in patterns if "\\z" in pattern or "\\A" in pattern]


def test_a_ready_decimal_and_ready_bytes_are_taken_as_they_are() -> None:
    event = a_submitted_event()

    assert ApplicationSubmitted.model_validate(event.model_dump() | {"pan_number_encrypted": TOKEN}) == event


def test_encrypted_pan_that_is_a_number_is_an_invalid_field() -> None:
    fields = json.loads(a_submitted_message()) | {"pan_number_encrypted": 12345678}

    with pytest.raises(Invalid) as invalid:
        ApplicationSubmitted.decode(json.dumps(fields).encode())

    assert invalid.value.kind == "invalid_fields"
