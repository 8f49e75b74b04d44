"""What is refused when a document is loaded, and with which words."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.loading import ROWS_MAX, load
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.problems import NotAPolicy, Problem
from tests.unit.domain.policy.documents import (
    DERIVED,
    HEAD,
    LIMITS,
    MISSING,
    PATH,
    ROWS,
    TESTS,
    a_document,
    replaced,
    without_the_score_in_its_rows,
)
from tests.unit.domain.policy.test_v1 import HASH as V1_HASH


def refusal(text: str) -> str:
    with pytest.raises(NotAPolicy) as caught:
        load(text)
    return str(caught.value)


def test_whole_document_is_a_policy_with_a_hash() -> None:
    policy = load(a_document())

    assert (policy.version, len(policy.hash)) == ("v9", 64)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("format = 1\nversion = \n", "line 2: This is not TOML: Invalid value.", id="no TOML"),
        pytest.param("a = 'x", "This is not TOML: ", id="no TOML to its end"),
        pytest.param("# " + "x" * 300_000, "The document is over 256 KiB.", id="too large"),
        pytest.param("a = " + "[" * 5000, "nested too deeply", id="nested"),
        pytest.param(replaced("score = 700", "score = " + "7" * 5000), "a number of too many digits", id="digits"),
        pytest.param(a_document() + "# \ud800", "cannot be written as UTF-8", id="half of a character"),
        pytest.param("", "lacks format.", id="empty"),
        pytest.param(replaced("format = 1", "format = 2"), "line 1, format: must be 1 … 1.", id="another format"),
        pytest.param(replaced("format = 1", "format = true"), "format: must be a whole number.", id="a truth value"),
        pytest.param(replaced('title = "A', 'titel = "A'), "line 3, titel: is not understood here", id="unknown key"),
        pytest.param(replaced('"v9"', '"V 9"'), "version: must be a version", id="version"),
        pytest.param(replaced('"v9"', "9"), "version: must be text in quotes.", id="number for text"),
        pytest.param(a_document(limits="limits = 1\n"), "limits: must be a table", id="no table"),
        pytest.param(replaced("score = 700", 'score = "700"'), "is text: leave the quotes out", id="text for a number"),
        pytest.param(replaced("score = 700", "score = 700.0"), "is a float: use rupees and paise", id="a float"),
        pytest.param(
            replaced("score = 700", "score = 299"),
            "line 6, limits, minimum_cibil_score, score: must be 300 … 900",
            id="a range",
        ),
        pytest.param(
            replaced("{ score = 700 }", "{ points = 700 }"), "must have exactly one of score, months", id="unknown unit"
        ),
        pytest.param(
            replaced("{ score = 700 }", "{ score = 700, months = 4 }"), "must have exactly one of", id="two units"
        ),
        pytest.param(replaced("paise = 50", "paise = 100"), "paise: must be 0 … 99", id="paise"),
        pytest.param(replaced("minimum_cibil_score = ", '"Minimum score" = '), "a name of small letters", id="name"),
        pytest.param(
            replaced('when = ["cibil_score < minimum_cibil_score"]', 'when = "cibil_score"'),
            "line 12, row 1, when: must be a list.",
            id="no list",
        ),
        pytest.param(
            replaced('"REJECTED"', '"PENDING"'),
            "line 13, row 1, outcome: must be one of PRE_APPROVED, REJECTED",
            id="outcome",
        ),
        pytest.param(
            replaced('reason = "AMOUNT"', 'reason = "too much"'), "line 23, row 2, reason: must be a code", id="code"
        ),
        pytest.param(
            replaced('en = "No promise."', 'en = " "'), "notice, en: must be a sentence.", id="blank sentence"
        ),
        pytest.param(replaced('hi = "वचन नहीं।"', ""), "notice: lacks hi.", id="one language"),
        pytest.param(
            a_document(tests=TESTS + 'loan_type = "BOAT"\n'),
            "test 5, loan_type: must be one of PERSONAL, HOME, AUTO.",
            id="loan type",
        ),
    ],
)
def test_document_that_is_not_of_the_shape_is_refused_with_its_place(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("cibil_score<650", "line 12, row 1, when 1: must be three words"),
        ("cibil_score is low", "must be three words"),
        ("mood < minimum_cibil_score", "`: mood is no fact; facts are cibil_score, monthly_income_inr, "),
        ("minimum_cibil_score > cibil_score", "minimum_cibil_score is no fact"),
        ("cibil_score < 650", "a number stands in [limits] under a name"),
        ("cibil_score < least", "least is neither a fact nor in [limits] or [derived]"),
        ("cibil_score = minimum_cibil_score", "numbers are compared with < <= > >="),
        (
            "cibil_score < most_inr",
            "line 12, row 1, when: `cibil_score < most_inr`: cibil_score is a score, and most_inr is an amount",
        ),
        ("cibil_score < cibil_score", "is compared with itself"),
        ("loan_type < HOME", "row 1, when: `loan_type < HOME`: a loan type is compared with = or !="),
        ("loan_type = BOAT", "BOAT is no loan type; they are PERSONAL, HOME, AUTO"),
    ],
)
def test_cell_that_is_not_understood_is_refused_and_never_skipped(condition: str, words: str) -> None:
    assert words in refusal(replaced("cibil_score < minimum_cibil_score", condition))


DERIVED_LIMITS = LIMITS + "rate = { basis_points = 1200 }\nterm = { months = 12 }\n"
EMI = 'emi_inr = {{ emi_of = "{}", rate = "rate", over = "term", rounding = "up" }}\n'


@pytest.mark.parametrize(
    ("derived", "words"),
    [
        ('cibil_score = { income_over = "term" }', "derived, cibil_score: is the name of something else."),
        ('most_inr = { income_over = "term" }', "is the name of something else"),
        (
            'total_inr = { income_over = "terms" }',
            "derived, total_inr, income_over: terms is neither a fact nor in [limits] or [derived]",
        ),
        (
            'total_inr = { income_over = "rate" }',
            "derived, total_inr, income_over: rate is a share, and must be a number of months",
        ),
        (EMI.format("emi_inr"), "rests on itself: emi_inr form a cycle"),
        (EMI.format("b_inr") + EMI.format("emi_inr").replace("emi_inr =", "b_inr =", 1), "form a cycle"),
        (
            'share = { foir_of = "loan_amount_inr", rounding = "up" }\n'
            + EMI.format("loan_amount_inr").replace('"rate"', '"share"'),
            "derived, emi_inr, rate: share must stand in [limits]",
        ),
        (EMI.format("cibil_score"), "derived, emi_inr, emi_of: cibil_score is a score, and must be"),
        (
            EMI.format("loan_amount_inr").replace('"term"', '"rate"'),
            "derived, emi_inr, over: rate is a share, and must be",
        ),
        (
            'share = { foir_of = "term", rounding = "up" }',
            "derived, share, foir_of: term is a number of months, and must",
        ),
        (
            EMI.format("most_inr"),
            "line 12, derived, emi_inr, emi_of: most_inr is a limit, and must be a fact or stand in [derived].",
        ),
        (
            'share = { foir_of = "most_inr", rounding = "up" }',
            "line 12, derived, share, foir_of: most_inr is a limit, and must be a fact or stand in [derived].",
        ),
        ('share = { foir_of = "loan_amount_inr", rounding = "nearest" }', "rounding: must be one of up, half_up, down"),
        (EMI.format("loan_amount_inr"), "line 12, derived, emi_inr: is used nowhere."),
    ],
)
def test_derived_fact_that_rests_on_nothing_or_itself_is_refused(derived: str, words: str) -> None:
    assert words in refusal(a_document(limits=DERIVED_LIMITS, derived=DERIVED + derived + "\n"))


def test_comparison_of_two_amounts_that_both_change_with_the_loan_is_refused() -> None:
    rows = ROWS.replace("loan_amount_inr > most_inr", "emi_inr > loan_amount_inr")

    words = refusal(a_document(limits=DERIVED_LIMITS, derived=DERIVED + EMI.format("loan_amount_inr"), rows=rows))

    assert "both sides change with the loan's amount" in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            replaced("[limits]", "[limits]\nunused = { months = 3 }"),
            "limits, unused: is used nowhere.",
            id="unused limit",
        ),
        pytest.param(
            replaced("when = []", 'when = ["cibil_score >= minimum_cibil_score"]'),
            "line 30, row 3, when: the last row must take every application",
            id="not total",
        ),
        pytest.param(
            replaced('"loan_amount_inr > most_inr"', ""),
            "row 3, when: can never match: row 2 takes all that it would.",
            id="row behind a total one",
        ),
        pytest.param(
            replaced(
                '"loan_amount_inr > most_inr"', '"cibil_score < minimum_cibil_score", "loan_amount_inr > most_inr"'
            ),
            "line 21, row 2, when: can never match: row 1 takes all",
            id="row behind a wider one",
        ),
        pytest.param(
            replaced('"loan_amount_inr > most_inr"', '"loan_amount_inr > most_inr", "loan_amount_inr <= most_inr"'),
            "row 2, when: can never match: its conditions contradict",
            id="contradiction",
        ),
        pytest.param(
            replaced('"loan_amount_inr > most_inr"', '"loan_type = HOME", "loan_type = AUTO"'),
            "contradict",
            id="two loan types",
        ),
        pytest.param(
            replaced(
                '"loan_amount_inr > most_inr"',
                '"stated_obligations_inr > monthly_income_inr", "monthly_income_inr >= stated_obligations_inr"',
            ),
            "contradict",
            id="two facts both ways",
        ),
        pytest.param(
            replaced('"loan_amount_inr > most_inr"', '"cibil_score >= minimum_cibil_score"'),
            "row 3: no test reaches it",
            id="rows that leave nothing together",
        ),
        pytest.param(
            replaced('reason = "AMOUNT"', 'reason = "SCORE"'),
            "line 23, row 2, reason: SCORE is the reason of rows 1 too",
            id="reason twice",
        ),
        pytest.param(
            replaced('reason = "NO_SCORE"', 'reason = "FINE"'),
            "missing 1, reason: FINE is the reason of rows 3 too",
            id="reason of a row and a fact",
        ),
        pytest.param(
            replaced('measured = "loan_amount_inr"', 'measured = "amount"'),
            "line 24, row 2, measured: amount is neither",
            id="measured",
        ),
        pytest.param(
            replaced('threshold = "most_inr"', 'threshold = "minimum_cibil_score"'),
            "row 2, threshold: must be of the same kind",
            id="threshold of another kind",
        ),
        pytest.param(
            replaced('threshold = "most_inr"', 'threshold = "amount"'),
            "row 2, threshold: amount is neither",
            id="threshold",
        ),
        pytest.param(
            replaced('threshold = "most_inr"', 'threshold = "monthly_income_inr"'),
            "missing: there must be a reason for which a missing monthly_income_inr is reviewed",
            id="no reason for a threshold that may be missing",
        ),
        pytest.param(
            replaced("{loan_amount_inr} is over", "{amount} is over"), "row 2, en: {amount} is no figure", id="figure"
        ),
        pytest.param(replaced("is over", "is } over"), "row 2, en: has a } of its own", id="brace"),
        pytest.param(
            replaced("There is no score.", "{cibil_score} is no score."),
            "missing 1, en: {cibil_score} is no figure",
            id="figure of a missing fact",
        ),
        pytest.param(
            replaced("No promise.", "{loan_amount_inr}"),
            "notice, en: {loan_amount_inr} is no figure",
            id="figure in the notice",
        ),
        pytest.param(
            replaced('fact = "cibil_score"', 'fact = "age"'),
            "missing 1, fact: age is no fact; facts are cibil_score, monthly_income_inr, loan_amount_inr,",
            id="unknown missing fact",
        ),
        pytest.param(
            replaced('fact = "cibil_score"', 'fact = "loan_type"'),
            "loan_type is read nowhere in this policy",
            id="missing fact that is not read",
        ),
        pytest.param(
            replaced('fact = "cibil_score"', 'fact = "loan_amount_inr"'),
            "loan_amount_inr has a reason already",
            id="missing fact twice",
        ),
        pytest.param(
            a_document(missing=MISSING.split('[[missing]]\nfact = "loan', maxsplit=1)[0]),
            "missing: there must be a reason for which a missing loan_amount_inr is reviewed",
            id="no reason for a missing fact",
        ),
        pytest.param(
            without_the_score_in_its_rows().replace(MISSING.split("\n\n")[0], ""),
            "missing: there must be a reason for which a missing cibil_score is reviewed by people.",
            id="no reason for a missing score that no row reads",
        ),
        pytest.param(
            replaced("step = { rupees = 1000 }", "step = { rupees = 0 }"),
            "path_to_yes: step, least and most",
            id="step of nothing",
        ),
        pytest.param(
            replaced("least = { rupees = 1000 }", "least = { rupees = 10000001 }"), "must be in this order", id="bounds"
        ),
        pytest.param(
            replaced('rupees = 1 }\nreason = "SCORE"', 'rupees = 1 }\nreason = "OTHER"'),
            "test 1, reason: OTHER is no reason of this policy",
            id="unknown reason of a test",
        ),
        pytest.param(
            replaced('rupees = 1 }\nreason = "SCORE"', 'rupees = 1 }\nreason = "FINE"'),
            "test 1: the reason must be FINE, and is SCORE.",
            id="failing test",
        ),
        pytest.param(
            replaced("rupees = 1 }\nreason", "rupees = 0 }\nreason"),
            "line 63, test 1, loan_amount_inr: must be 0.01 … 9999999999.99 rupees.",
            id="amount of a test that no application has",
        ),
        pytest.param(
            replaced("cibil_score = 699\n", ""),
            "test 1: the reason must be SCORE, and is NO_SCORE.",
            id="test that lacks a fact",
        ),
    ],
)
def test_document_that_breaks_a_rule_is_refused_with_line_or_row_and_sentence(text: str, words: str) -> None:
    assert words in refusal(text)


ROW = '{{ when = [], outcome = "{}", reason = "R", measured = "cibil_score", en = "x", hi = "x" }}'
ROW_OF_TEXT = ROWS.replace('en = "{cibil_score} is', 'en = """\n[[rows]]\nwhen = 1\n{cibil_score} is')
ROW_OF_TEXT = ROW_OF_TEXT.replace('is below {minimum_cibil_score}."', 'is below {minimum_cibil_score}."""')
UNUSED = "minimum_cibil_score = { score = 700 }, most_inr = { rupees = 500000, paise = 50 }, step = { rupees = 1 }"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            a_document(head=HEAD + f"rows = [{ROW.format('REJECTED')}, {ROW.format('PENDING')}]\n", rows=""),
            "line 4, row 2, outcome: must be one of",
            id="rows in one line",
        ),
        pytest.param(
            a_document(head=HEAD + f"rows = [\n  {ROW.format('REJECTED')},\n  {ROW.format('PENDING')},\n]\n", rows=""),
            "line 6, row 2, outcome: must be one of",
            id="rows in a list",
        ),
        pytest.param(
            a_document(head=HEAD + "limits.minimum_cibil_score = { score = 650.5 }\n", limits=""),
            "line 4, limits, minimum_cibil_score, score: must be a whole number",
            id="dotted key",
        ),
        pytest.param(
            a_document(limits="\n[limits.minimum_cibil_score]\n# points\n'score' = 650.5\n"),
            "line 7, limits, minimum_cibil_score, score: must be a whole number",
            id="section of a limit, and a key in quotes",
        ),
        pytest.param(
            a_document(head=HEAD + f"limits = {{ {UNUSED} }}\n", limits=""),
            "line 4, limits, step: is used nowhere.",
            id="key that a later section has too",
        ),
        pytest.param(
            a_document(tests=TESTS.replace("cibil_score = 699", "cibil_score = 699\nmonthly_income_inr = 1")),
            "line 63, test 1, monthly_income_inr: must be a table",
            id="key of a test that later tests lack",
        ),
        pytest.param(
            a_document(rows=ROW_OF_TEXT.replace('"AMOUNT"', '"amount"')),
            "line 26, row 2, reason: must be a code",
            id="text that looks like a section",
        ),
        pytest.param(
            replaced('title = "A', 'title = "\u2028A').replace('"AMOUNT"', '"amount"'),
            "line 23, row 2, reason: must be a code",
            id="character that ends a line elsewhere",
        ),
        pytest.param(
            replaced('["cibil_score < minimum_cibil_score"]', '[\n  "cibil_score < minimum_cibil_score",\n  "x",\n]'),
            "line 14, row 1, when 2: must be three words",
            id="condition in a line of its own",
        ),
    ],
)
def test_line_of_a_fault_is_that_of_its_own_key_however_the_document_is_written(text: str, words: str) -> None:
    assert refusal(text).startswith(words)


FOIR = """
[derived]
foir = { foir_of = "loan_amount_inr", rounding = "up" }
"""
NO_INCOME = """
[[tests]]
cibil_score = 700
monthly_income_inr = { rupees = 0 }
loan_amount_inr = { rupees = 1 }
stated_obligations_inr = { rupees = 0 }
reason = "AMOUNT"
"""


def with_foir(tests: str) -> str:
    """A document that measures a share of the income in the place of the loan's amount."""
    rows = ROWS.replace("loan_amount_inr", "foir").replace("most_inr", "most_share")
    missing = MISSING + "".join(
        f'\n[[missing]]\nfact = "{fact}"\nreason = "NO_{fact.upper()}"\nen = "None."\nhi = "None."\n'
        for fact in ("monthly_income_inr", "stated_obligations_inr")
    )
    limits = LIMITS.replace("most_inr = { rupees = 500000, paise = 50 }", "most_share = { basis_points = 5000 }")
    return a_document(limits=limits, derived=FOIR, rows=rows, missing=missing, tests=tests)


def test_share_of_no_income_is_refused_in_a_test() -> None:
    words = refusal(with_foir(NO_INCOME))

    assert "test 1, monthly_income_inr: must be 0.01 … 9999999999.99 rupees." in words


def test_too_many_rows_are_refused() -> None:
    row = ROWS.split("\n\n")[1]
    rows = "\n\n".join(row.replace("AMOUNT", f"AMOUNT_{n}") for n in range(ROWS_MAX + 1))

    assert "there must be 1 … 200 rows" in refusal(a_document(rows=f"\n{rows}\n"))


def test_as_many_rows_as_may_be_are_not_too_many() -> None:
    row = ROWS.split("\n\n")[1]
    rows = "\n\n".join(row.replace("AMOUNT", f"AMOUNT_{n}") for n in range(ROWS_MAX))

    assert "there must be" not in refusal(a_document(rows=f"\n{rows}\n"))


def test_limit_that_is_a_threshold_alone_is_used() -> None:
    text = replaced("[limits]", "[limits]\nshown_inr = { rupees = 500000, paise = 50 }")

    assert load(text.replace('threshold = "most_inr"', 'threshold = "shown_inr"')).version == "v9"


def test_any_letter_may_stand_in_a_sentence() -> None:
    assert load(replaced("There is no score.", "There is no score of X.")).version == "v9"


def test_no_rows_are_refused() -> None:
    text = a_document(rows="", limits="rows = []\nmissing = []\n\n[limits]\n", missing="")

    assert "there must be 1 … 200 rows" in refusal(text)


def test_all_faults_of_a_check_are_named_at_once() -> None:
    text = replaced("{cibil_score} is below", "{a} is below").replace("{loan_amount_inr} is over", "{b} is over")

    with pytest.raises(NotAPolicy) as caught:
        load(text)

    assert [str(problem) for problem in caught.value.problems] == [
        "line 17, row 1, en: {a} is no figure that this sentence can have.",
        "line 26, row 2, en: {b} is no figure that this sentence can have.",
    ]
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))


def test_each_test_without_a_reason_of_the_policy_is_named() -> None:
    text = a_document(tests=TESTS + '\n[[tests]]\nreason = "OTHER"\n\n[[tests]]\nreason = "ANOTHER"\n')

    assert [words.split(": ")[1] for words in refusal(text).splitlines()] == [
        "OTHER is no reason of this policy.",
        "ANOTHER is no reason of this policy.",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "[path_to_yes]\nstep = { rupees = 0, paise = 1 }\nleast = { rupees = 0, paise = 1 }\nmost = { rupees = 1 }\n",
        "[path_to_yes]\nstep = { rupees = 1 }\nleast = { rupees = 1 }\nmost = { rupees = 1 }\n",
    ],
)
def test_step_may_be_one_paisa_and_all_three_the_same(path: str) -> None:
    sentences = "\n".join(line for line in PATH.splitlines() if line.startswith(("en =", "hi =")))

    assert load(a_document(path=f"\n{path}{sentences}\n")).document.path_to_yes is not None


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem(3, "row 1, en", "Is wrong."), "line 3, row 1, en: Is wrong."),
        (Problem(None, "row 1, en", "Is wrong."), "row 1, en: Is wrong."),
        (Problem(3, "", "Is wrong."), "line 3: Is wrong."),
        (Problem(None, "", "Is wrong."), "Is wrong."),
    ],
)
def test_fault_is_said_with_as_much_of_its_place_as_is_known(problem: Problem, words: str) -> None:
    assert str(problem) == words


WORDS = re.findall(r"[\w.]+|[^\w\s]|\n", a_document(limits=DERIVED_LIMITS, derived=FOIR + EMI.format("most_inr")))
ODD = ["0", "-1", "1e9", "nan", "7" * 5000, "1979-05-27", "[" * 2000, "\ud800", "\x00", '"\\ud800"', "true", "{", "''"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Any text, or a document of which some words were put in others' places, left out or doubled."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.text(st.characters(codec=None)))
    parts = re.split(r"([\w.]+|[^\w\s]|\n)", draw(st.sampled_from([a_document(), with_foir(NO_INCOME)])))
    for _ in range(draw(st.integers(1, 4))):
        at, number = draw(st.integers(0, len(parts) - 1)), draw(st.integers(0, 3))
        parts[at : at + number] = draw(st.lists(st.sampled_from(WORDS + ODD), max_size=3))
    return "".join(parts)


@given(texts())
@settings(max_examples=300)
def test_whatever_text_comes_is_a_policy_or_refused_as_none(text: str) -> None:
    try:
        found: Policy | str = load(text)
    except NotAPolicy as refusal:
        found = str(refusal)

    assert isinstance(found, Policy) or found.encode()


def test_policy_of_one_row_is_one() -> None:
    last = ROWS.rpartition("[[rows]]")[2]
    one = "[[rows]]" + last.replace("minimum_cibil_score", "cibil_score")
    alone = MISSING.partition('[[missing]]\nfact = "loan')[0]
    tests = '[[tests]]\ncibil_score = 700\nreason = "FINE"\n\n[[tests]]\nreason = "NO_SCORE"\n'

    policy = load(a_document(limits="[limits]\n", rows=one, missing=alone, tests=tests))

    assert policy.decide(Facts(300, None, None, None)).code == "FINE"


def test_policy_without_a_path_to_yes_or_a_threshold_is_one() -> None:
    text = a_document(path="").replace('threshold = "most_inr"\n', "")

    assert load(text).document.path_to_yes is None


def test_known_document_keeps_its_hash() -> None:
    document = packaged.text_of("v1")
    assert document is not None

    assert load(document).hash == V1_HASH


def test_hash_is_of_what_the_document_says_and_not_of_how_it_is_written() -> None:
    commented = "# A comment.\n" + replaced("{ score = 700 }", "{score=700}")
    other = load(replaced("500000, paise = 50 }\n\n", "500000, paise = 50 }\n\n\n")).hash

    assert load(commented).hash == load(a_document()).hash == other


@pytest.mark.parametrize(
    ("old", "new"), [("No promise.", "No promises."), ("rupees = 10000000", "rupees = 10000001"), ('"v9"', '"v8"')]
)
def test_hash_changes_with_anything_that_the_document_says(old: str, new: str) -> None:
    assert load(replaced(old, new)).hash != load(a_document()).hash
