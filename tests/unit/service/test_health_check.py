"""`service.health_check`, as the Dockerfile has it carried out, beside a process's port."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from harness.ports import free_port
from prequal.service.http_tls import HttpCertificate
from tests.support.certificates import Authority
from tests.support.edge import an_edge

DOCKERFILE = Path(__file__).parents[3] / "Dockerfile"


async def is_healthy(port: int, **settings: str) -> bool:
    """Carry out the command of the image's health check in a process's environment."""
    [command] = re.findall(r"^HEALTHCHECK (?:.|\\\n)*?CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    [python, *arguments] = json.loads(command)
    assert python == "python"
    environment = os.environ | {"HTTP_PORT": str(port), "HTTP_CERTIFICATE_FILE": "", **settings}
    asked = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environment)
    return await asyncio.wait_for(asked.wait(), 30) == 0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """The files of a certificate that is for another name than the check asks by."""
    issued = Authority(tmp_path).issue("prequal.example", "prequal.example")
    return str(issued.certificate), str(issued.key)


async def test_process_that_answers_by_http_is_healthy() -> None:
    async with an_edge() as port:
        assert await is_healthy(port)


async def test_process_that_answers_by_https_alone_is_healthy(certificate: tuple[str, str]) -> None:
    async with an_edge(certificate=HttpCertificate(*certificate)) as port:
        assert await is_healthy(port, HTTP_CERTIFICATE_FILE=certificate[0])


async def test_process_that_answers_by_http_though_it_was_given_a_certificate_is_healthy() -> None:
    async with an_edge() as port:
        assert await is_healthy(port, HTTP_CERTIFICATE_FILE="/run/secrets/certificate.pem")


async def test_process_is_asked_itself_whatever_proxy_its_container_has() -> None:
    async with an_edge() as port:
        assert await is_healthy(port, http_proxy="http://127.0.0.1:9", no_proxy="")


async def test_process_that_does_not_answer_is_not_healthy() -> None:
    assert not await is_healthy(free_port())


async def test_process_that_answers_with_an_error_is_not_healthy() -> None:
    async def failing(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with an_edge(failing) as port:
        assert not await is_healthy(port)
