"""Documents for the tests: a small whole one, in parts that a test replaces."""

HEAD = """format = 1
version = "v9"
title = "A policy of the tests"
"""
LIMITS = """
[limits]
minimum_cibil_score = { score = 700 }
most_inr = { rupees = 500000, paise = 50 }
"""
DERIVED = """
[derived]
"""
ROWS = """
[[rows]]
when = ["cibil_score < minimum_cibil_score"]
outcome = "REJECTED"
reason = "SCORE"
measured = "cibil_score"
threshold = "minimum_cibil_score"
en = "{cibil_score} is below {minimum_cibil_score}."
hi = "{cibil_score} < {minimum_cibil_score}"

[[rows]]
when = ["loan_amount_inr > most_inr"]
outcome = "MANUAL_REVIEW"
reason = "AMOUNT"
measured = "loan_amount_inr"
threshold = "most_inr"
en = "{loan_amount_inr} is over {most_inr}."
hi = "{loan_amount_inr} > {most_inr}"

[[rows]]
when = []
outcome = "PRE_APPROVED"
reason = "FINE"
measured = "cibil_score"
threshold = "minimum_cibil_score"
en = "{cibil_score} reaches {minimum_cibil_score}."
hi = "{cibil_score} >= {minimum_cibil_score}"
"""
MISSING = """
[[missing]]
fact = "cibil_score"
reason = "NO_SCORE"
en = "There is no score."
hi = "स्कोर नहीं है।"

[[missing]]
fact = "loan_amount_inr"
reason = "NO_AMOUNT"
en = "There is no amount."
hi = "राशि नहीं है।"
"""
PATH = """
[path_to_yes]
step = { rupees = 1000 }
least = { rupees = 1000 }
most = { rupees = 10000000 }
en = "{loan_amount_inr} would do."
hi = "{loan_amount_inr}"
"""
NOTICE = """
[notice]
en = "No promise."
hi = "वचन नहीं।"
"""
TESTS = """
[[tests]]
cibil_score = 699
loan_amount_inr = { rupees = 1 }
reason = "SCORE"

[[tests]]
cibil_score = 700
loan_amount_inr = { rupees = 500000, paise = 51 }
reason = "AMOUNT"

[[tests]]
cibil_score = 700
loan_amount_inr = { rupees = 500000, paise = 50 }
reason = "FINE"

[[tests]]
loan_amount_inr = { rupees = 1 }
reason = "NO_SCORE"

[[tests]]
cibil_score = 700
reason = "NO_AMOUNT"
"""
PARTS = {
    "head": HEAD,
    "limits": LIMITS,
    "derived": DERIVED,
    "rows": ROWS,
    "missing": MISSING,
    "path": PATH,
    "notice": NOTICE,
    "tests": TESTS,
}


def a_document(**changed: str) -> str:
    """A whole document, with some of its parts replaced."""
    assert set(changed) <= set(PARTS)
    return "".join((PARTS | changed).values())


def without_the_score_in_its_rows() -> str:
    """A whole document whose rows look at the loan's amount alone: up to a limit it is approved, beyond it rejected."""
    _, over, fine = ROWS.split("\n\n")
    fine = fine.replace("minimum_cibil_score", "most_inr").replace("cibil_score", "loan_amount_inr")
    return a_document(
        limits=LIMITS.replace("minimum_cibil_score = { score = 700 }\n", ""),
        rows="\n".join(["", over.replace("MANUAL_REVIEW", "REJECTED"), "", fine]),
        tests=TESTS.partition('reason = "SCORE"\n')[2],
    )


def replaced(old: str, new: str, times: int = 1) -> str:
    """The whole document with `old`, which it has at least once, replaced."""
    text = a_document()
    assert old in text
    return text.replace(old, new, times)
