"""What each role may see and do: every role tries every page and every act."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.routing import Match, Route

from harness.database import Database
from harness.policies import approved
from prequal.console.app import PAGES
from prequal.console.guard import Page
from prequal.console.rights import RIGHTS, Right
from prequal.console.visit import NAVIGATION
from prequal.core.errors import Transient
from prequal.domain.person import PersonRole
from prequal.postgres.connections import connected
from tests.console.conftest import csrf
from tests.support.console import REPORT
from tests.support.reviews import in_review

ID = "0190b5a8-0000-7000-8000-000000000000"
DEAD_LETTER = "loan_applications_submitted_dlq:0:17"
SHOWN_AS_A_FORM = (
    Right.APPLICATIONS,
    Right.PROPOSE_POLICY,
    Right.ACTIVATE_POLICY,
    Right.DECIDE_REVIEW,
    Right.AUDIT_RECORD,
    Right.CHANGE_PEOPLE,
)
"""The rights whose forms a page has where nothing but a case and an approved version is there."""


def address(page: Page) -> str:
    return page.path.format(id=ID, name="auditor", version="v1", dead_letter=DEAD_LETTER)


@pytest.mark.parametrize("role", PersonRole)
async def test_role_sees_and_does_what_its_row_says_and_is_refused_the_rest(
    role: PersonRole, signed_in: Callable[..., Any]
) -> None:
    person = await signed_in(role)
    wrong = []

    for page in PAGES:
        if page.path == "/sign-out":
            continue
        send = person.get if page.method == "GET" else person.post
        status = (await send(address(page))).status_code
        if (status == 403) is (role in RIGHTS[page.right]) or status == 500:
            wrong.append((page.method, page.path, status))

    assert wrong == []


@pytest.mark.parametrize("role", PersonRole)
async def test_role_is_shown_no_link_and_no_form_that_it_would_be_refused(
    role: PersonRole, signed_in: Callable[..., Any], database: Database
) -> None:
    case, person = await in_review(database), await signed_in(role)
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection, counts=REPORT)
    wrong, forms = [], set()

    for page in PAGES:
        if page.method == "POST" or role not in RIGHTS[page.right]:
            continue
        for version in ("v1", "v2") if "{version}" in page.path else ("v1",):
            html = (await person.get(page.path.format(id=case, version=version, dead_letter=DEAD_LETTER))).text
            for method, target in shown(html):
                found = page_of(method, target)
                forms |= {found.right} if method == "POST" else set()
                if role not in RIGHTS[found.right]:
                    wrong.append((page.path, method, target))

    assert wrong == []
    assert forms >= {right for right in SHOWN_AS_A_FORM if role in RIGHTS[right]}


def shown(html: str) -> set[tuple[str, str]]:
    """The methods and paths of the links and forms of a page's content, those that anybody may follow left out."""
    content = html.partition("<main")[2]
    found = {("GET", path) for path in re.findall(r'<a href="(/[^"?]*)', content)}
    return found | {("POST", path) for path in re.findall(r'method="post" action="(/[^"?]*)"', content)}


def page_of(method: str, target: str) -> Page:
    """The page or act at a path; one that is nowhere fails."""
    scope = {"type": "http", "path": target, "method": method}
    for page in PAGES:
        match, _ = Route(page.path, lambda _: None, methods=[page.method]).matches(scope)
        if match is Match.FULL:
            return page
    raise AssertionError(f"{method} {target} is no page")


@pytest.mark.parametrize("role", PersonRole)
async def test_page_that_is_not_ones_own_is_in_no_navigation(role: PersonRole, signed_in: Callable[..., Any]) -> None:
    text = (await (await signed_in(role)).get("/")).text

    for path, _, right in NAVIGATION:
        assert (f'<a href="{path}"' in text.partition("<nav")[2].partition("</nav>")[0]) is (role in RIGHTS[right])


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "POST"], ids=lambda page: page.path)
async def test_act_without_the_forms_token_is_refused(page: Page, signed_in: Callable[..., Any]) -> None:
    person = await signed_in(min(RIGHTS[page.right]))

    answer = await person.client.post(address(page), data={"csrf": "0" * 64})

    assert answer.status_code == 403


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "POST"], ids=lambda page: page.path)
async def test_act_after_the_session_has_ended_keeps_what_was_typed(page: Page, browser: Callable[..., Any]) -> None:
    answer = await browser().client.post(address(page), data={"because": "a long reason", "password": "a secret"})

    assert answer.status_code == 401
    assert "a long reason" in answer.text
    assert "a secret" not in answer.text


async def test_form_that_meets_the_database_away_keeps_what_was_typed_and_can_be_sent_again(
    signed_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Transient("PostgreSQL does not answer")

    reviewer, path = await signed_in(PersonRole.REVIEWER), f"/review/{ID}"
    own = csrf(await reviewer.get("/"))
    monkeypatch.setattr("prequal.console.guard.sessions.use", away)

    answers = [
        await reviewer.client.post(path, data={"csrf": token, "act": "note", "text": "<b>slips</b>\r\nof May"})
        for token in (own, "0" * 64)
    ]

    assert [(answer.status_code, csrf(answer)) for answer in answers] == [(503, own), (503, "")]
    for answer in answers:
        assert "PostgreSQL does not answer." in answer.text
        assert ">\n&lt;b&gt;slips&lt;/b&gt;\nof May</textarea>" in answer.text


def test_every_right_has_its_roles_and_every_page_a_right() -> None:
    assert set(RIGHTS) == set(Right)
    assert {right for right, roles in RIGHTS.items() if not roles} == set()
    assert len({(page.method, page.path) for page in PAGES}) == len(PAGES)


def test_no_role_but_the_administrator_changes_people_or_clients() -> None:
    for right, role in itertools.product((Right.CHANGE_PEOPLE, Right.REVOKE_CLIENTS), PersonRole):
        assert (role in RIGHTS[right]) is (role is PersonRole.ADMINISTRATOR)
