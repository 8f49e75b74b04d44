"""People, clients and the record in the console: what an administrator does and an auditor sees."""

import asyncio
import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from harness.database import Database
from harness.policies import policy_text
from harness.system import PAN_HASH_KEY
from prequal.api_clients import administration
from prequal.console.queries import record
from prequal.console.views import clients, people, policy
from prequal.core.keys import key_bytes
from prequal.domain.api_client import ClientScope
from prequal.domain.person import PersonRole
from prequal.domain.policy import packaged
from prequal.people.administration import NewSecrets, set_password, set_roles
from prequal.policy_versions import life
from prequal.postgres.connections import connected
from prequal.record.acts import operator
from prequal.security.pan_encryption import PanHasher
from tests.console.conftest import SECOND_FACTOR_KEYS, Browser

SignedIn = Callable[..., Any]
HASHER = PanHasher(key_bytes(SecretStr(PAN_HASH_KEY)))


async def test_added_person_signs_in_with_the_password_that_is_shown_once(
    signed_in: SignedIn, browser: Callable[[], Browser], database: Database
) -> None:
    administrator = await signed_in(PersonRole.ADMINISTRATOR)

    shown = await administrator.post("/people", name="Asha", role=["reviewer", "auditor"])

    password = re.search(r"Password</dt><dd><code>([^<]+)</code>", shown.text)
    assert password
    assert (await browser().sign_in("asha", password[1])).status_code == 303
    assert database.row("SELECT actor, details FROM acts WHERE action = 'person_added' AND subject = 'asha'") == {
        "actor": "administrator",
        "details": {"roles": "auditor reviewer", "second_factor": False},
    }


async def test_second_factor_of_an_added_person_is_shown_as_its_address(signed_in: SignedIn) -> None:
    shown = await (await signed_in(PersonRole.ADMINISTRATOR)).post("/people", name="ravi", role="auditor", totp="on")

    assert "otpauth://totp/prequal:ravi?secret=" in shown.text


async def test_disabled_person_is_signed_out(signed_in: SignedIn) -> None:
    reviewer, administrator = await signed_in(PersonRole.REVIEWER), await signed_in(PersonRole.ADMINISTRATOR)

    answer = await administrator.post("/people/reviewer/disable")

    assert answer.headers["location"] == "/people?done=DISABLED"
    assert (await reviewer.get("/")).status_code == 303


async def test_new_roles_hold_at_the_next_page(signed_in: SignedIn) -> None:
    reviewer, administrator = await signed_in(PersonRole.REVIEWER), await signed_in(PersonRole.ADMINISTRATOR)

    await administrator.post("/people/reviewer/roles", shown="reviewer", role="administrator")

    assert (await reviewer.get("/people")).status_code == 200
    assert (await reviewer.get("/applications")).status_code == 403


async def test_roles_that_somebody_set_since_the_page_was_shown_are_not_overwritten(
    signed_in: SignedIn, database: Database
) -> None:
    administrator = await signed_in(PersonRole.ADMINISTRATOR)
    shown = await hidden(administrator, "reviewer", "roles")
    async with connected(database.url, "test") as connection:
        await set_roles(connection, operator(), "reviewer", [PersonRole.AUDITOR, PersonRole.OPERATOR])

    stale = await administrator.post("/people/reviewer/roles", **shown, role=["reviewer", "approver"])
    without = await administrator.post("/people/reviewer/roles", role=["reviewer", "approver"])
    again = await administrator.post(
        "/people/reviewer/roles", **await hidden(administrator, "reviewer", "roles"), role="reviewer"
    )

    assert [each.status_code for each in (stale, without, again)] == [409, 409, 303]
    assert "reviewer has other roles than were shown: auditor, operator, by now." in stale.text
    assert database.value("SELECT roles FROM people WHERE name = 'reviewer'") == ["reviewer"]
    assert database.value("SELECT count(*) FROM acts WHERE action = 'person_roles_changed'") == 2


async def test_second_factor_that_somebody_gave_since_the_page_was_shown_is_not_taken_by_a_new_password(
    signed_in: SignedIn, database: Database
) -> None:
    administrator = await signed_in(PersonRole.ADMINISTRATOR)
    shown = await hidden(administrator, "reviewer", "password")
    new = NewSecrets.of(None, totp=True, keys=SECOND_FACTOR_KEYS)
    async with connected(database.url, "test") as connection:
        await set_password(connection, operator(), "reviewer", new, second_factor_too=True)

    stale = await administrator.post("/people/reviewer/password", **shown)
    again = await administrator.post(
        "/people/reviewer/password", **await hidden(administrator, "reviewer", "password"), totp="on"
    )

    assert (stale.status_code, again.status_code) == (409, 200)
    assert "reviewer was shown without a second factor, and has one by now." in stale.text
    assert "otpauth://totp/prequal:reviewer?secret=" in again.text


async def hidden(person: Browser, name: str, act: str) -> dict[str, str]:
    """What the page of people sends along with a form for one of them, but for the token of the forms."""
    form = (await person.get("/people")).text.partition(f'action="/people/{name}/{act}">')[2].partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="(?!csrf)(\w+)" value="([^"]*)"', form))


@pytest.mark.parametrize("act", ["disable", "roles", "password", "identity"])
async def test_nobody_changes_himself(signed_in: SignedIn, act: str, database: Database) -> None:
    answer = await (await signed_in(PersonRole.ADMINISTRATOR)).post(f"/people/administrator/{act}", role="auditor")

    assert answer.status_code == 409
    assert database.value("SELECT roles FROM people WHERE name = 'administrator'") == ["administrator"]


@pytest.mark.parametrize(
    "fields", [{"name": "a b", "role": "auditor"}, {"name": "asha", "role": "king"}, {"name": "asha"}], ids=str
)
async def test_person_that_does_not_fit_is_not_added(
    signed_in: SignedIn, fields: dict[str, str], database: Database
) -> None:
    answer = await (await signed_in(PersonRole.ADMINISTRATOR)).post("/people", **fields)

    assert answer.status_code == 409
    assert database.count("people") == len(PersonRole)


async def test_auditor_sees_people_without_a_form_to_change_them(signed_in: SignedIn) -> None:
    page = (await (await signed_in(PersonRole.AUDITOR)).get("/people")).text

    assert "risk_officer" in page
    assert "/disable" not in page


async def test_revoked_client_is_the_administrators_act(signed_in: SignedIn, database: Database) -> None:
    issued = await asyncio.to_thread(
        administration.add, database.url, HASHER, operator(), "<b>Lender</b>", list(ClientScope), sandbox=False
    )
    administrator = await signed_in(PersonRole.ADMINISTRATOR)
    before = (await administrator.get("/clients")).text

    answer = await administrator.post(f"/clients/{issued.client.id}/revoke")

    assert "&lt;b&gt;Lender&lt;/b&gt;" in before
    assert answer.headers["location"] == "/clients?done=REVOKED"
    assert database.value("SELECT revoked_at IS NOT NULL FROM api_clients")
    assert database.value("SELECT actor FROM acts WHERE action = 'client_revoked'") == "administrator"


async def test_lists_go_on_by_key(signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for view, most in ((people, "SHOWN_MAX"), (clients, "SHOWN_MAX"), (policy, "VERSIONS_MAX")):
        monkeypatch.setattr(view, most, 2)
    for name in ("c", "a", "B & <b>"):
        await asyncio.to_thread(
            administration.add, database.url, HASHER, operator(), name, list(ClientScope), sandbox=False
        )
    text = packaged.text_of("v1") or ""
    async with connected(database.url, "test") as connection, connection.transaction():
        for version in ("v2", "v3"):
            await life.propose(connection, operator(), text.replace('version = "v1"', f'version = "{version}"'))
    auditor = await signed_in(PersonRole.AUDITOR)

    names = await walked(auditor, "/people", r'<td data-label="Name" class="long">([^<]+)<')
    lenders = await walked(auditor, "/clients", r'<td data-label="Name" class="long">([^<]+)<')
    versions = await walked(auditor, "/policy", r'<td data-label="Version"><a href="[^"]*">([^<]+)<')
    paths = ("/people?after=%00", "/clients?after=%00", "/policy?before=%00", "/policy/%00")
    nobody = [await auditor.get(path) for path in paths]

    assert names == [["administrator", "approver"], ["auditor", "operator"], ["reviewer", "risk_officer"]]
    assert lenders == [["B &amp; &lt;b&gt;", "a"], ["c"]]
    assert versions == [["v3", "v2"], ["v1"]]
    assert [each.status_code for each in nobody] == [404, 404, 404, 404]


async def test_older_versions_go_on_behind_one_that_was_edited_since_it_was_shown(
    signed_in: SignedIn, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "VERSIONS_MAX", 1)
    async with connected(database.url, "test") as connection:
        for version in ("v2", "v3"):
            await life.propose(connection, operator(), policy_text(version))
    auditor, older = await signed_in(PersonRole.AUDITOR), re.compile(r'href="(/policy\?before=[^"]+)"')
    address = "/policy"
    for _ in range(2):  # those of v3 and of v2
        (address,) = older.findall((await auditor.get(address)).text)

    async with connected(database.url, "test") as connection:
        await life.propose(connection, operator(), policy_text("v2", 710))
    behind = (await auditor.get(address)).text
    garbage = [
        (await auditor.get(f"/policy?before={each}")).text for each in ("v3", "7d%20v3", "0001-01-01T00:00:00Z%20v3")
    ]

    assert [f'"/policy/{version}"' in behind for version in ("v1", "v2", "v3")] == [True, False, False]
    assert ['"/policy/v2"' in each for each in garbage] == [True, True, False]


async def walked(person: Browser, path: str, shown: str) -> list[list[str]]:
    """What each page of a list shows, from link to link."""
    pages = []
    while path:
        text = (await person.get(path)).text
        pages.append(re.findall(shown, text))
        further = re.search(r'<a href="([^"]+)">(?:Further|Older)', text)
        path = html.unescape(further[1]) if further else ""
    return pages


async def test_record_lists_acts_and_goes_on_by_key(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "SHOWN_MAX", 3)
    auditor = await signed_in(PersonRole.AUDITOR)

    newest = (await auditor.get("/record")).text
    older = re.search(r"/record\?before=(\d+)", newest)
    assert older
    page = (await auditor.get(older[0])).text

    assert "signed in" in newest
    assert "signed in" not in page
    assert "person added" in page


async def test_record_takes_no_nonsense_as_a_key(signed_in: SignedIn) -> None:
    assert (await (await signed_in(PersonRole.AUDITOR)).get("/record?before=%27;--")).status_code == 200
