import json
import tracemalloc
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prequal.api.errors import ApiError, ErrorCode
from prequal.api.request import ApplicationRequest, checked_key, parse
from prequal.domain.application import LoanType
from prequal.domain.pan import Pan
from tests.builders import PAN, a_body, a_request
from tests.support.pans import NUMBERS
from tests.unit.domain.test_identity_detection import COMPANIES, PANS

INDIVIDUALS = frozenset("P")


def refusal(body: bytes, holder_types: frozenset[str] | None = None) -> ApiError:
    with pytest.raises(ApiError) as refused:
        parse(body, holder_types)
    return refused.value


def issues(error: ApiError) -> dict[str, str]:
    return {issue.field: issue.issue for issue in error.details or []}


def with_number(name: str, spelling: str) -> bytes:
    """A body in which a field is spelt just so, without quotes."""
    return a_body(**{name: "@"}).replace(b'"@"', spelling.encode())


# ── what is taken ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_valid_body_becomes_a_request() -> None:
    assert parse(a_body()) == ApplicationRequest(
        Pan(PAN), "Asha Rao", Decimal("85000.00"), Decimal("1500000.00"), LoanType.AUTO
    )


@given(NUMBERS)
def test_every_pan_of_the_shape_is_taken(number: str) -> None:
    assert parse(a_body(pan_number=number)).pan.reveal() == number


@pytest.mark.parametrize("loan_type", LoanType)
def test_every_loan_type_is_taken(loan_type: LoanType) -> None:
    assert parse(a_body(loan_type=loan_type.value)).loan_type is loan_type


@pytest.mark.parametrize("name", [..., None])
def test_the_name_may_be_left_out(name: object) -> None:
    assert parse(a_body(applicant_name=name)).applicant_name is None


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("  Asha Rao\t", "Asha Rao"),
        ("A", "A"),
        ("अशा राव", "अशा राव"),
        ("x" * 255, "x" * 255),
        (" " + "x" * 255 + " ", "x" * 255),
        ("O'Neil-Ñúñez, Jr.", "O'Neil-Ñúñez, Jr."),
        ("क्‍ष", "क्‍ष"),
    ],
)
def test_a_name_is_trimmed_and_else_kept(name: str, taken: str) -> None:
    assert parse(a_body(applicant_name=name)).applicant_name == taken


@pytest.mark.parametrize("field", ["monthly_income_inr", "loan_amount_inr"])
@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("0.01", "0.01"),
        ("9999999999.99", "9999999999.99"),
        ("85000", "85000.00"),
        ("85000.5", "85000.50"),
        ("85000.000000000", "85000.00"),
        ("8.5e4", "85000.00"),
        ("8500000E-2", "85000.00"),
        ("1e+9", "1000000000.00"),
        ("0.1", "0.10"),
        ("1." + "0" * 98, "1.00"),
    ],
)
def test_an_amount_may_be_any_json_number(field: str, spelling: str, value: str) -> None:
    assert str(getattr(parse(with_number(field, spelling)), field)) == value


@given(st.integers(1, 999_999_999_999))
@example(999_999_999_998)
def test_a_number_and_its_string_are_the_same_exact_amount(paise: int) -> None:
    spelling = f"{paise // 100}.{paise % 100:02d}"

    as_number = parse(with_number("loan_amount_inr", spelling)).loan_amount_inr

    assert Fraction(as_number) == Fraction(paise, 100)
    assert as_number == parse(a_body(loan_amount_inr=spelling)).loan_amount_inr


def test_no_float_is_ever_made() -> None:
    request = parse(with_number("loan_amount_inr", "0.29"))

    assert str(request.loan_amount_inr * 100) == "29.00"


def test_whitespace_and_order_do_not_matter() -> None:
    respelt = json.dumps(dict(reversed(a_request().items())), indent=3).encode()

    assert parse(respelt) == parse(a_body())


# ── not well-formed: 400 ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="blank"),
        pytest.param(b"{", id="unfinished"),
        pytest.param(b"{}x", id="more behind it"),
        pytest.param(b"{}{}", id="two"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b'{"a": 01}', id="leading zero"),
        pytest.param(b'{"a": .5}', id="bare point"),
        pytest.param(b'{"a": "\n"}', id="raw line break in a string"),
        pytest.param(b"pan_number=ABCDE1234F", id="a form"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
        pytest.param(b'{"applicant_name": "\xe9"}', id="Latin-1"),
        pytest.param(b'{"applicant_name": "\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"\x00", id="NUL"),
        pytest.param(b"[" * 16_000, id="nested absurdly, unfinished"),
        pytest.param(b"[" * 8_000 + b"]" * 8_000, id="nested absurdly"),
        pytest.param(b'{"a":' * 3_000 + b"1" + b"}" * 3_000, id="objects nested absurdly"),
    ],
)
def test_body_that_is_not_well_formed_is_malformed(body: bytes) -> None:
    error = refusal(body)

    assert error.code is ErrorCode.MALFORMED_REQUEST
    assert error.details is None


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "nan", "undefined"])
def test_constants_that_json_does_not_have_are_malformed(constant: str) -> None:
    assert refusal(with_number("loan_amount_inr", constant)).code is ErrorCode.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "duplicated", ['"loan_type": "HOME"', '"x": 1, "x": 1', '"x": {"y": 1, "y": 2}', '"\\u006coan_type": 1']
)
def test_duplicate_keys_are_malformed(duplicated: str) -> None:
    body = a_body()[:-1] + b", " + duplicated.encode() + b"}"

    assert refusal(body).code is ErrorCode.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "spelling", ["1" * 101, "0." + "0" * 99, "-" + "1" * 100, "1e" + "0" * 98 + "1", "1" * 10_000, "1." + "0" * 99]
)
def test_a_number_of_over_100_characters_is_malformed(spelling: str) -> None:
    assert len(spelling) > 100
    assert refusal(with_number("loan_amount_inr", spelling)).code is ErrorCode.MALFORMED_REQUEST


def test_a_long_number_in_an_unknown_field_is_malformed_too() -> None:
    body = a_body()[:-1] + b', "x": [' + b"9" * 101 + b"]}"

    assert refusal(body).code is ErrorCode.MALFORMED_REQUEST


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_code_and_never_crash(body: bytes) -> None:
    assert refusal(body).code in {ErrorCode.MALFORMED_REQUEST, ErrorCode.VALIDATION_ERROR}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(a_request())) | st.text(max_size=12), JSON_VALUES, max_size=6))
def test_any_fields_are_taken_or_refused_with_a_code_and_never_crash(fields: dict[str, Any]) -> None:
    body = a_body(**fields)

    status = status_of(body)

    assert status in (202, 400, 422)
    assert status != 202 or set(fields) <= set(a_request())


def status_of(body: bytes) -> int:
    """What a body would be answered with; anything else that is raised is a crash."""
    try:
        parse(body)
    except ApiError as refused:
        return refused.code.status
    return 202


# ── fields: 422 ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"ABCDE1234F"', b"true", b"[{}]", b"1.5"])
def test_json_that_is_no_object_is_a_validation_error(body: bytes) -> None:
    error = refusal(body)

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issues(error) == {"": "must be a JSON object"}


@pytest.mark.parametrize("field", ["pan_number", "monthly_income_inr", "loan_amount_inr", "loan_type"])
@pytest.mark.parametrize("absent", [..., None])
def test_a_required_field_that_is_missing_is_named(field: str, absent: object) -> None:
    error = refusal(a_body(**{field: absent}))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issues(error) == {field: "is required"}


WRONG_PANS = [
    "",
    "abcde1234f",
    "ABCDE1234f",
    "ABCDE12345",
    "ABCDE1234FG",
    " ABCDE1234F",
    "ABCDE1234F ",
    "ABCDE1234F\n",
    "ABCDE-1234-F",
    "ＡＢＣＤＥ1234F",
    "ABCDE१२३४F",
    "\ud800",
    "ABCDE1234\u0000",
]


@pytest.mark.parametrize("pan", WRONG_PANS)
def test_a_pan_that_is_not_exactly_one_is_refused(pan: str) -> None:
    error = refusal(a_body(pan_number=pan))

    assert error.code is ErrorCode.INVALID_PAN_FORMAT
    assert list(issues(error)) == ["pan_number"]


@pytest.mark.parametrize("pan", ["ABCDE1234F", "ABCHE1234F"])
def test_a_holder_type_that_is_not_allowed_is_refused(pan: str) -> None:
    error = refusal(a_body(pan_number=pan), INDIVIDUALS)

    assert error.code is ErrorCode.INVALID_PAN_FORMAT
    assert "holder of type P" in issues(error)["pan_number"]


def test_a_holder_type_that_is_allowed_is_taken() -> None:
    assert parse(a_body(pan_number="ABCPE1234F"), frozenset("HP")).pan.holder_type == "P"


@pytest.mark.parametrize("pan", ["ABCPE0000F", "ZZZPZ0000Z"])
def test_serial_that_no_pan_has_is_refused_where_holder_types_are_set(pan: str) -> None:
    error = refusal(a_body(pan_number=pan), INDIVIDUALS)

    assert error.code is ErrorCode.INVALID_PAN_FORMAT
    assert "no PAN has 0000" in issues(error)["pan_number"]


def test_serial_that_no_pan_has_is_taken_where_any_holder_is() -> None:
    assert parse(a_body(pan_number="ABCPE0000F")).pan.serial == "0000"


@pytest.mark.parametrize("name", COMPANIES)
def test_company_with_a_year_in_its_name_is_taken(name: str) -> None:
    assert parse(a_body(applicant_name=name)).applicant_name == name


AMOUNTS = ["monthly_income_inr", "loan_amount_inr"]


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize("spelling", ["0", "-0", "0.00", "0e5", "-1", "-0.001", "-1e99", "-1e9999999999999999999"])
def test_a_number_of_zero_or_less_is_a_negative_amount(field: str, spelling: str) -> None:
    error = refusal(with_number(field, spelling))

    assert error.code is ErrorCode.NEGATIVE_AMOUNT
    assert issues(error) == {field: "must be greater than zero"}


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize("text", ["0", "-0", "0.00", "-1", "-0.001"])
def test_a_string_of_zero_or_less_is_a_negative_amount(field: str, text: str) -> None:
    assert refusal(a_body(**{field: text})).code is ErrorCode.NEGATIVE_AMOUNT


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize(
    ("spelling", "issue"),
    [
        ("10000000000", "at most 9999999999.99"),
        ("9999999999.991", "at most 9999999999.99"),
        ("1e10", "at most 9999999999.99"),
        ("1e1000", "at most 9999999999.99"),
        ("1e9999999999999999999", "at most 9999999999.99"),
        ("1E+9999999999999999999", "at most 9999999999.99"),
        ("0.001", "two decimals"),
        ("1.005", "two decimals"),
        ("1e-3", "two decimals"),
        ("1E-9999999999999999999", "two decimals"),
        ("1." + "0" * 97 + "1", "two decimals"),
    ],
)
def test_a_number_out_of_range_is_a_validation_error(field: str, spelling: str, issue: str) -> None:
    error = refusal(with_number(field, spelling))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issue in issues(error)[field]


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize(
    "value", ["", " ", "1e3", "+1", "1,000", "₹1", " 1", "1\n", "१२३", "NaN", "1_000", "1" * 101, "0x1f", "\ud800"]
)
def test_a_string_that_is_no_decimal_is_a_validation_error(field: str, value: str) -> None:
    error = refusal(a_body(**{field: value}))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issues(error) == {field: "must be a decimal number"}


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize("value", [True, False, [], [1], {}, {"amount": 1}])
def test_an_amount_of_another_kind_is_a_validation_error(field: str, value: object) -> None:
    error = refusal(a_body(**{field: value}))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issues(error) == {field: "must be a number or a decimal string"}


@pytest.mark.parametrize("loan_type", ["", "home", "BOAT", "HOME ", "LoanType.HOME", "\ud800"])
def test_another_loan_type_is_refused(loan_type: str) -> None:
    error = refusal(a_body(loan_type=loan_type))

    assert error.code is ErrorCode.INVALID_LOAN_TYPE
    assert issues(error) == {"loan_type": "must be PERSONAL, HOME or AUTO"}


@pytest.mark.parametrize("field", ["pan_number", "loan_type", "applicant_name"])
@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, ["HOME"]])
def test_text_of_another_kind_is_a_validation_error(field: str, value: object) -> None:
    error = refusal(a_body(**{field: value}))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issues(error) == {field: "must be a string"}


@pytest.mark.parametrize(
    ("name", "issue"),
    [
        ("", "1 to 255"),
        ("   ", "1 to 255"),
        ("\u2003", "1 to 255"),
        ("x" * 256, "1 to 255"),
        ("Asha\u0000Rao", "control"),
        ("Asha\nRao", "control"),
        ("Asha\u007fRao", "control"),
        ("Asha\u0085Rao", "control"),
        ("Asha \ud800", "control"),
        ("ABCDE1234F", "PAN"),
        ("Asha abcde1234f Rao", "PAN"),
        ("ABCDE 1234 F", "PAN"),
        ("ＡＢＣＤＥ１２３４Ｆ", "PAN"),
        ("Asha 2341 2341 2346", "an Aadhaar number"),
    ],
)
def test_a_name_that_breaks_a_rule_is_a_validation_error(name: str, issue: str) -> None:
    error = refusal(a_body(applicant_name=name))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issue in issues(error)["applicant_name"]


def test_a_name_with_the_own_pan_is_refused_whatever_its_fourth_letter() -> None:
    error = refusal(a_body(pan_number="XYZDQ1234F", applicant_name="Asha XYZDQ 1234F"))

    assert issues(error) == {"applicant_name": "must not contain the PAN"}


@pytest.mark.parametrize("field", ["aadhaar", "pan", "PAN_NUMBER", "", "application_id", "\ud800"])
def test_an_unknown_field_is_refused_by_name(field: str) -> None:
    error = refusal(a_body(**{field: "x"}))

    assert error.code is ErrorCode.VALIDATION_ERROR
    assert issues(error) == {field: "is not a field of this request"}


def test_a_long_name_of_an_unknown_field_is_cut() -> None:
    error = refusal(a_body(**{"x" * 5000: 1}))

    assert list(issues(error)) == ["x" * 100]


def test_of_many_unknown_fields_20_are_named_and_the_rest_counted() -> None:
    error = refusal(a_body(**{f"field{number}": 1 for number in range(50)}))

    assert list(issues(error)) == [*(f"field{number}" for number in range(20)), ""]
    assert issues(error)[""] == "has 30 more fields that are not of this request"


def test_long_name_of_an_unknown_field_beyond_ascii_is_not_shown() -> None:
    error = refusal(a_body(**{"é" * 300: 1}))

    assert list(issues(error)) == ["XXXXX"]


# ── order, completeness, silence ────────────────────────────────────────────────────────────────────────────────────

WRONG = {
    "pan_number": ("x", ErrorCode.INVALID_PAN_FORMAT),
    "monthly_income_inr": (-1, ErrorCode.NEGATIVE_AMOUNT),
    "loan_amount_inr": ("x", ErrorCode.VALIDATION_ERROR),
    "loan_type": ("x", ErrorCode.INVALID_LOAN_TYPE),
    "applicant_name": ("", ErrorCode.VALIDATION_ERROR),
    "aadhaar": (1, ErrorCode.VALIDATION_ERROR),
}


@given(st.sets(st.sampled_from(list(WRONG)), min_size=1), st.randoms())
def test_all_wrong_fields_are_listed_and_the_first_gives_the_code(wrong: set[str], random: Any) -> None:
    fields = list(a_request(**{name: WRONG[name][0] for name in wrong}).items())
    random.shuffle(fields)

    error = refusal(json.dumps(dict(fields)).encode())

    in_order = [name for name in WRONG if name in wrong]
    assert list(issues(error)) == in_order
    assert error.code is WRONG[in_order[0]][1]


@given(PANS, st.sampled_from(["monthly_income_inr", "loan_amount_inr", "loan_type", "applicant_name", "x"]))
def test_no_issue_repeats_the_value_that_was_sent(number: str, field: str) -> None:
    error = refusal(a_body(**{field: number}))

    assert not [issue for issue in error.details or [] if number in issue.issue]
    assert number not in str(error)


def test_a_refused_pan_is_not_repeated() -> None:
    error = refusal(a_body(pan_number="ABCDE1234f"))

    assert "1234" not in repr(error.details) + str(error)


def test_the_largest_body_costs_little_memory() -> None:
    body = b'{"a": [' + b"1e999999," * 1_800 + b"1]}"
    tracemalloc.start()

    refusal(body)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


# ── the same body ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        a_body(monthly_income_inr=85000, loan_amount_inr=1500000.0),
        a_body(monthly_income_inr="85000.000"),
        a_body(applicant_name="  Asha Rao "),
        json.dumps(a_request(), indent=1).encode(),
        with_number("loan_amount_inr", "15e5"),
    ],
)
def test_the_same_fields_spelt_otherwise_are_the_same_body(body: bytes) -> None:
    assert parse(body).canonical() == parse(a_body()).canonical()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pan_number", "PQRPS6789U"),
        ("applicant_name", "Asha Roy"),
        ("applicant_name", None),
        ("monthly_income_inr", "85000.01"),
        ("loan_amount_inr", "1500000.01"),
        ("loan_type", "HOME"),
    ],
)
def test_another_value_is_another_body(field: str, value: object) -> None:
    assert parse(a_body(**{field: value})).canonical() != parse(a_body()).canonical()


def test_income_and_amount_exchanged_are_another_body() -> None:
    exchanged = a_body(monthly_income_inr="1500000.00", loan_amount_inr="85000.00")

    assert parse(exchanged).canonical() != parse(a_body()).canonical()


def test_a_request_shows_its_pan_masked() -> None:
    assert PAN not in repr(parse(a_body()))


# ── the key ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", [None, "a", "!", "~", "x" * 255, PAN, "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"])
def test_a_sane_key_is_taken_as_it_is(key: str | None) -> None:
    assert checked_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", " ", "a\t", "\x7f", "é", "a\x00b", "क"])
def test_another_key_is_a_validation_error_that_does_not_repeat_it(key: str) -> None:
    with pytest.raises(ApiError) as refused:
        checked_key(key)

    assert refused.value.code is ErrorCode.VALIDATION_ERROR
    assert issues(refused.value) == {"Idempotency-Key": "must be 1 to 255 visible ASCII characters"}


@pytest.mark.parametrize("levels", [33, 990, 8000])
def test_deeply_nested_body_is_malformed_on_every_interpreter(levels: int) -> None:
    body = b'{"pan_number": ' + b"[" * levels + b"]" * levels + b"}"

    with pytest.raises(ApiError) as refused:
        parse(body)

    assert refused.value.code is ErrorCode.MALFORMED_REQUEST


@pytest.mark.parametrize("zero", ["0e9999999999999999999", "-0.00E9999999999999999999", "0e-9999999999999999999"])
def test_zero_with_an_exponent_beyond_decimals_is_zero_still(zero: str) -> None:
    body = f'{{"pan_number": "WXYZA1234B", "monthly_income_inr": {zero}, "loan_amount_inr": 1, "loan_type": "AUTO"}}'

    with pytest.raises(ApiError) as refused:
        parse(body.encode())

    assert refused.value.code is ErrorCode.NEGATIVE_AMOUNT
