"""The keys of an issuer, without one."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from harness.waiting import soon
from prequal.issuers import discovery
from prequal.issuers.keys import SigningKeys


async def test_authorities_that_cannot_be_read_any_more_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr("prequal.issuers.keys.SPARED_SECONDS", 0.01)
    stop = asyncio.Event()

    with capture_logs() as logs:
        running = asyncio.create_task(SigningKeys("https://issuer.example").run(stop))
        await soon(lambda: bool(logs) or running.done())
        is_over = running.done()
        stop.set()
        await running

    assert not is_over
    assert [line["reason"] for line in logs] == ["the authorities of TLS cannot be read: FileNotFoundError"]


def test_no_person_signs_in_by_an_issuer_while_authorities_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    with pytest.raises(discovery.IssuerAway, match="FileNotFoundError"):
        discovery.a_client()
