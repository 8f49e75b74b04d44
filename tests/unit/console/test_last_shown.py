"""Pages as each session was shown them last: for as long as it lives, in so many bytes."""

import pytest

from prequal.console import last_shown
from prequal.console.last_shown import LastShown
from prequal.domain.person import PersonRole
from prequal.people.sessions import Session

SECONDS_LEFT = 1800
SESSION = Session("asha", frozenset({PersonRole.AUDITOR}), SECONDS_LEFT)


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pages(clock: Clock) -> LastShown:
    return LastShown(clock)


def html_of(pages: LastShown, token: str, address: str) -> bytes | None:
    found = pages.of(token, address)
    return found.html if found else None


def test_newest_of_an_address_is_for_the_session_that_was_shown_it(pages: LastShown) -> None:
    pages.keep("asha", "/system?", b"first", SESSION)
    pages.keep("asha", "/system?", b"second", SESSION)
    pages.keep("ravi", "/system?", b"ravi's", SESSION)

    assert html_of(pages, "asha", "/system?") == b"second"
    assert html_of(pages, "ravi", "/system?") == b"ravi's"
    assert html_of(pages, "asha", "/") is None
    assert html_of(pages, "", "/system?") is None


def test_page_is_gone_when_its_session_would_have_ended(pages: LastShown, clock: Clock) -> None:
    pages.keep("asha", "/", b"page", SESSION)

    clock.seconds = SECONDS_LEFT - 0.1
    kept = html_of(pages, "asha", "/")
    clock.seconds = SECONDS_LEFT

    assert (kept, html_of(pages, "asha", "/")) == (b"page", None)


def test_ended_session_has_none(pages: LastShown) -> None:
    pages.keep("asha", "/", b"page", SESSION)
    pages.keep("ravi", "/", b"ravi's", SESSION)

    pages.end("asha")

    assert (html_of(pages, "asha", "/"), html_of(pages, "ravi", "/")) == (None, b"ravi's")


def test_page_of_other_roles_is_gone_with_the_next_page_of_the_session(pages: LastShown) -> None:
    pages.keep("asha", "/record", b"an auditor's", SESSION)
    pages.keep("ravi", "/record", b"ravi's", SESSION)

    pages.keep("asha", "/", b"an operator's", Session("asha", frozenset({PersonRole.OPERATOR}), SECONDS_LEFT))

    assert html_of(pages, "asha", "/record") is None
    assert html_of(pages, "asha", "/") == b"an operator's"
    assert html_of(pages, "ravi", "/record") == b"ravi's"


def test_those_that_were_shown_longest_ago_make_room(pages: LastShown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_shown, "BYTES_MAX", 10)
    for address in ("/1", "/2", "/1", "/3"):
        pages.keep("asha", address, b"12345", SESSION)

    assert [html_of(pages, "asha", address) for address in ("/1", "/2", "/3")] == [b"12345", None, b"12345"]


def test_page_larger_than_the_room_is_not_kept(pages: LastShown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_shown, "BYTES_MAX", 4)

    pages.keep("asha", "/", b"12345", SESSION)
    pages.keep("asha", "/1", b"1234", SESSION)

    assert (html_of(pages, "asha", "/"), html_of(pages, "asha", "/1")) == (None, b"1234")
