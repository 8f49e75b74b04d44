"""On which line each value of a document is found, however it is written."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.domain.policy import packaged
from prequal.domain.policy.lines import lines_of
from prequal.domain.policy.problems import Place
from tests.unit.domain.policy.documents import a_document

TEXT = """\
# first
a = 1.5  # [b]
"b c".'d' = [ 1, [
  2, "x # ]",
], { e.f = 1979-05-27 07:32:00, g = "\\"]" } ]
h = \"\"\"
[[i]]
\\\"\"\"\"\"\"
[j]
k = '''
j = 1''''
[[ l . m ]]
[l.m.n]
o = [
]
[[l.m]]
n.o = {}
[[l.m.p]]
[j.q]
"""
LINES: dict[Place, int] = {
    ("a",): 2,
    ("b c",): 3,
    ("b c", "d"): 3,
    ("b c", "d", 1): 3,
    ("b c", "d", 2): 3,
    ("b c", "d", 2, 1): 4,
    ("b c", "d", 2, 2): 4,
    ("b c", "d", 3): 5,
    ("b c", "d", 3, "e"): 5,
    ("b c", "d", 3, "e", "f"): 5,
    ("b c", "d", 3, "g"): 5,
    ("h",): 6,
    ("j",): 9,
    ("j", "k"): 10,
    ("l",): 12,
    ("l", "m"): 12,
    ("l", "m", 1): 12,
    ("l", "m", 1, "n"): 13,
    ("l", "m", 1, "n", "o"): 14,
    ("l", "m", 2): 16,
    ("l", "m", 2, "n"): 17,
    ("l", "m", 2, "n", "o"): 17,
    ("l", "m", 2, "p"): 18,
    ("l", "m", 2, "p", 1): 18,
    ("j", "q"): 19,
}


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every key and every entry of a list, as tomllib reads them."""
    entries = value.items() if isinstance(value, dict) else enumerate(value, 1) if isinstance(value, list) else ()
    for part, each in entries:
        yield (*place, part)
        yield from places(each, (*place, part))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_key_header_and_entry_has_the_line_on_which_it_begins(newline: str) -> None:
    assert lines_of(TEXT.replace("\n", newline)) == LINES
    assert set(LINES) == set(places(tomllib.loads(TEXT)))


def test_nothing_has_a_line_in_an_empty_text() -> None:
    assert lines_of("") == lines_of("# nothing") == {}


def test_table_has_the_line_of_its_own_header_and_not_of_one_in_it() -> None:
    assert lines_of("[a.b]\n\n[a]") == {("a",): 3, ("a", "b"): 1}


@pytest.mark.parametrize("text", [a_document(), packaged.text_of("v1")])
def test_all_that_a_document_has_is_found(text: str) -> None:
    assert set(lines_of(text)) == set(places(tomllib.loads(text)))


KEYS = st.sampled_from(["a", "b", '"a"', "'b'", "a.b", 'b . "a"', "1", "1.2"])
TEXTS = ['"]"', "'}'", '"\\""', '"""\n[a]\n"""""', "'''\n#'''"]
VALUES = st.recursive(
    st.sampled_from(["1", "1.5", "true", "1979-05-27 07:32:00.5", *TEXTS]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: "[\n" + ", # ]\n".join(parts) + "\n]"),
        st.lists(st.tuples(KEYS, inner), max_size=2).map(
            lambda pairs: f"{{ {', '.join(f'{key} = {value}' for key, value in pairs)} }}"
        ),
    ),
    max_leaves=6,
)
SECTIONS = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]} # x"),
    KEYS.map(lambda key: f"[{key}]"),
    KEYS.map(lambda key: f"[[ {key} ]]"),
    st.just(""),
)


@given(st.lists(SECTIONS, max_size=8).map("\n".join))
def test_all_that_tomllib_reads_is_found_and_nothing_else(text: str) -> None:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        lines_of(text)  # whatever it finds, it ends
        return

    assert set(lines_of(text)) == set(places(content))
