"""What each role may see and do: every role tries every page and every act."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from prequal.console.app import PAGES
from prequal.console.guard import Page
from prequal.console.rights import RIGHTS, Right
from prequal.console.visit import NAVIGATION
from prequal.domain.person import PersonRole

ID = "0190b5a8-0000-7000-8000-000000000000"


def address(page: Page) -> str:
    return page.path.format(id=ID, name="auditor", version="v1", dead_letter="loan_applications_submitted_dlq:0:17")


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


def test_every_right_has_its_roles_and_every_page_a_right() -> None:
    assert set(RIGHTS) == set(Right)
    assert {right for right, roles in RIGHTS.items() if not roles} == set()
    assert len({(page.method, page.path) for page in PAGES}) == len(PAGES)


def test_no_role_but_the_administrator_changes_people_or_clients() -> None:
    for right, role in itertools.product((Right.CHANGE_PEOPLE, Right.REVOKE_CLIENTS), PersonRole):
        assert (role in RIGHTS[right]) is (role is PersonRole.ADMINISTRATOR)
