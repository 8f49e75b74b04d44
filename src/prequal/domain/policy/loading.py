"""From a document's text to a policy that decides: everything that can be wrong is found here.

Invariant: a policy that is returned passed its own tests, reaches every row, and gives every application an outcome,
which is a review by people where a fact that it reads is missing, or the score.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from prequal.domain.policy.conditions import Box, Comparison, box, comparisons, covers, is_empty
from prequal.domain.policy.document import LANGUAGES, Document, Money, Row, Test
from prequal.domain.policy.facts import KINDS, RANGES, Facts, Kind
from prequal.domain.policy.lines import lines_of
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.problems import Fault, NotAPolicy, Place
from prequal.domain.policy.reading import hash_of, read
from prequal.domain.policy.scope import AMOUNT, SCORE, Scope, references, scope_of
from prequal.domain.policy.sentences import PLACEHOLDER, figure

ROWS_MAX: Final = 200


def load(text: str) -> Policy:
    """The policy that a TOML document spells out.

    Raises:
        NotAPolicy: it breaks a rule; all faults of the first check that finds any are in it, with line and sentence.
    """
    document = read(text)
    try:
        scope = scope_of(document)
        tables = tuple(comparisons(scope, row, number) for number, row in enumerate(document.rows, 1))
    except Fault as fault:
        raise NotAPolicy([fault.problem(lines_of(text))]) from None
    for check in (_reasons, _rows, _figures, _sentences, _missing, _unused, _path):
        _refuse(text, list(check(document, scope, tables)))
    policy = Policy(document, hash_of(document), scope, tables)
    _refuse(text, list(_tests(policy)))
    return policy


Tables = Sequence[tuple[Comparison, ...]]


def _refuse(text: str, faults: Sequence[Fault]) -> None:
    if faults:
        lines = lines_of(text)
        raise NotAPolicy([fault.problem(lines) for fault in faults])


def facts_read(document: Document, scope: Scope, tables: Tables) -> frozenset[str]:
    """The facts that conditions, figures and sentences of rows rest on."""
    names = {name for table in tables for each in table for name in (each.left, each.right)}
    for row in document.rows:
        names |= {row.measured, row.threshold or row.measured, *_placeholders(row)}
    return frozenset().union(*(scope.facts_of(name) for name in names))


def facts_of(test: Test) -> Facts:
    """The application of a test."""
    return Facts(
        test.cibil_score,
        _paise(test.monthly_income_inr),
        _paise(test.loan_amount_inr),
        test.loan_type,
        _paise(test.stated_obligations_inr),
    )


def _paise(money: Money | None) -> int | None:
    return None if money is None else money.in_paise


def _reasons(document: Document, _: Scope, __: Tables) -> Iterator[Fault]:
    places: dict[str, Place] = {}
    for place, code in _coded(document):
        if code in places:
            other = places[code]
            yield Fault((*place, "reason"), f"{code} is the reason of {other[0]} {other[1]} too: each has its own.")
        places.setdefault(code, place)


def _coded(document: Document) -> Iterator[tuple[Place, str]]:
    """Each entry that has a reason of its own, and that reason."""
    for number, row in enumerate(document.rows, 1):
        yield ("rows", number), row.reason
    for number, missing in enumerate(document.missing, 1):
        yield ("missing", number), missing.reason


def _rows(document: Document, scope: Scope, tables: Tables) -> Iterator[Fault]:
    if not 0 < len(tables) <= ROWS_MAX:
        yield Fault(("rows",), f"there must be 1 … {ROWS_MAX} rows.")
        return
    if tables[-1]:
        yield Fault(("rows", len(tables), "when"), "the last row must take every application: leave it empty.")
    boxes: list[Box] = []
    for number, table in enumerate(tables, 1):
        here = box(scope, table)
        if is_empty(here):
            yield Fault(("rows", number, "when"), "can never match: its conditions contradict one another.")
        earlier = next((n for n, other in enumerate(boxes, 1) if covers(other, here)), None)
        if earlier is not None:
            yield Fault(("rows", number, "when"), f"can never match: row {earlier} takes all that it would.")
        boxes.append(here)


def _figures(document: Document, scope: Scope, _: Tables) -> Iterator[Fault]:
    for number, row in enumerate(document.rows, 1):
        for key, name in (("measured", row.measured), ("threshold", row.threshold)):
            if name is not None and name not in scope.kinds:
                yield Fault(("rows", number, key), f"{name} is neither a fact nor in [limits] or [derived].")
        kinds = [scope.kinds.get(name) for name in (row.measured, row.threshold) if name is not None]
        if len(set(kinds)) > 1 and None not in kinds:
            yield Fault(("rows", number, "threshold"), "must be of the same kind as what is measured.")


def _sentences(document: Document, scope: Scope, _: Tables) -> Iterator[Fault]:
    limits = frozenset(scope.limits)
    parts: list[tuple[Place, object, frozenset[str]]] = [(("notice",), document.notice, frozenset())]
    parts += [(("rows", n), row, frozenset(scope.kinds)) for n, row in enumerate(document.rows, 1)]
    parts += [(("missing", n), missing, limits) for n, missing in enumerate(document.missing, 1)]
    if document.path_to_yes:
        parts.append((("path_to_yes",), document.path_to_yes, limits | {AMOUNT}))
    for place, part, known in parts:
        for language in LANGUAGES:
            yield from _sentence((*place, language), getattr(part, language), known)


def _sentence(place: Place, sentence: str, known: frozenset[str]) -> Iterator[Fault]:
    for name in PLACEHOLDER.findall(sentence):
        if name not in known:
            yield Fault(place, f"{{{name}}} is no figure that this sentence can have.")
    if stray := set("{}") & set(PLACEHOLDER.sub("", sentence)):
        yield Fault(place, f"has a {min(stray)} of its own: braces stand round a figure's name alone.")


def _missing(document: Document, scope: Scope, tables: Tables) -> Iterator[Fault]:
    needed, seen = facts_read(document, scope, tables) | {SCORE}, set[str]()
    for number, missing in enumerate(document.missing, 1):
        place: Place = ("missing", number, "fact")
        if missing.fact not in KINDS:
            yield Fault(place, f"{missing.fact} is no fact; facts are {', '.join(KINDS)}.")
        elif missing.fact not in needed:
            yield Fault(place, f"{missing.fact} is read nowhere in this policy.")
        elif missing.fact in seen:
            yield Fault(place, f"{missing.fact} has a reason already.")
        seen.add(missing.fact)
    for fact in KINDS:
        if fact in needed - seen:
            yield Fault(("missing",), f"there must be a reason for which a missing {fact} is reviewed by people.")


def _unused(document: Document, _: Scope, tables: Tables) -> Iterator[Fault]:
    used = {name for table in tables for each in table for name in (each.left, each.right)}
    used |= {name for derived in document.derived.values() for _, name, _ in references(derived)}
    for row in document.rows:
        used |= {row.measured, row.threshold or row.measured, *_placeholders(row)}
    for part, names in (("limits", document.limits), ("derived", document.derived)):
        for name in names:
            if name not in used:
                yield Fault((part, name), "is used nowhere.")


def _path(document: Document, _: Scope, __: Tables) -> Iterator[Fault]:
    path = document.path_to_yes
    if path and not 0 < path.step.in_paise <= path.least.in_paise <= path.most.in_paise:
        yield Fault(("path_to_yes",), "step, least and most must be in this order, and the step more than nothing.")


def _tests(policy: Policy) -> Iterator[Fault]:
    reached = set[str]()
    for number, test in enumerate(policy.document.tests, 1):
        if policy.reason(test.reason) is None:
            yield Fault(("tests", number, "reason"), f"{test.reason} is no reason of this policy.")
            continue
        facts = facts_of(test)
        if faults := list(_out_of_range(("tests", number), facts)):
            yield from faults
            continue
        found = policy.decide(facts).code
        if found != test.reason:
            yield Fault(("tests", number), f"the reason must be {test.reason}, and is {found}.")
        reached.add(found)
    for place, code in _coded(policy.document):
        if code not in reached:
            yield Fault(place, "no test reaches it: add one, or leave it out if there can be none.")


def _out_of_range(place: Place, facts: Facts) -> Iterator[Fault]:
    """The amounts of a test that no application can have; scores were looked at when they were read."""
    for name, value in facts._asdict().items():
        if KINDS[name] is Kind.MONEY and value is not None and value not in RANGES[name]:
            least, most = (figure(each, Kind.MONEY) for each in (RANGES[name][0], RANGES[name][-1]))
            yield Fault((*place, name), f"must be {least} … {most} rupees.")


def _placeholders(row: Row) -> set[str]:
    return {name for language in LANGUAGES for name in PLACEHOLDER.findall(getattr(row, language))}
