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


ROW_FORM = """
[[rows]]
when = {when}
outcome = "{outcome}"
reason = "ROW_{number}"
measured = "cibil_score"
en = "x"
hi = "x"
"""
MISSING_FORM = """
[[missing]]
fact = "{fact}"
reason = "NO_{number}"
en = "x"
hi = "x"
"""
"""A row and a missing fact of any kind, to be filled in."""
WITH_FOIR = a_document(
    limits="\n[limits]\nrate = { basis_points = 1200 }\nterm = { months = 12 }\nmost_foir = { basis_points = 6000 }\n",
    derived="""
[derived]
emi_inr = { emi_of = "loan_amount_inr", rate = "rate", over = "term", rounding = "half_up" }
foir = { foir_of = "emi_inr", rounding = "up" }
""",
    rows=(
        ROW_FORM.format(when='["loan_type = HOME", "foir > most_foir"]', outcome="REJECTED", number=1)
        + ROW_FORM.format(when="[]", outcome="PRE_APPROVED", number=2)
    ).replace("cibil_score", "foir"),
    missing="".join(
        MISSING_FORM.format(fact=fact, number=number)
        for number, fact in enumerate(
            ["monthly_income_inr", "loan_amount_inr", "loan_type", "stated_obligations_inr", "cibil_score"]
        )
    ),
    path="",
    tests="".join(
        f'\n[[tests]]\ncibil_score = 700\nmonthly_income_inr = {{ rupees = 50000 }}\n'
        f'loan_amount_inr = {{ rupees = 1000000 }}\n'
        f'loan_type = "{kind}"\nstated_obligations_inr = {{ rupees = 0 }}\nreason = "{code}"\n'
        for kind, code in (("HOME", "ROW_1"), ("AUTO", "ROW_2"))
    )
    + '\n[[tests]]\nreason = "NO_0"\n'
    + '\n[[tests]]\nmonthly_income_inr = { rupees = 1 }\nreason = "NO_1"\n'
    + '\n[[tests]]\nmonthly_income_inr = { rupees = 1 }\nloan_amount_inr = { rupees = 1 }\nreason = "NO_2"\n'
    + '\n[[tests]]\nmonthly_income_inr = { rupees = 1 }\nloan_amount_inr = { rupees = 1 }\nloan_type = "HOME"\n'
    + 'reason = "NO_3"\n'
    + '\n[[tests]]\nmonthly_income_inr = { rupees = 1 }\nloan_amount_inr = { rupees = 1 }\nloan_type = "HOME"\n'
    + 'stated_obligations_inr = { rupees = 0 }\nreason = "NO_4"\n',
)  # fmt: skip
"""A document whose rows compare a derived ratio, of a fact that no application has."""


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
