"""A stand-in for AWS KMS: moto's server, in a process of its own. It checks no signature."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from harness.ports import free_port
from harness.waiting import eventually

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "of-the-test", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}


@dataclass(frozen=True)
class Kms:
    """The server's address, and the key it has."""

    url: str
    key_id: str

    @property
    def settings(self) -> dict[str, str]:
        """What a process is given to reach it, beside credentials."""
        return {"KMS_KEY_ID": self.key_id, "KMS_REGION": "ap-south-1", "KMS_ENDPOINT_URL": self.url}

    def say(self, act: str, **content: str) -> httpx.Response:
        """One act of the API, without a signature."""
        headers = {
            "X-Amz-Target": f"TrentService.{act}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261129/ap-south-1/kms/aws4_request, "
            "SignedHeaders=host, Signature=none",
        }
        return httpx.post(self.url, json=content, headers=headers, trust_env=False)


@contextmanager
def a_kms() -> Iterator[Kms]:
    """KMS with one key, until the end of the block."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            made = eventually(lambda: _created(Kms(url, "")), 60)
            yield Kms(url, made)
        finally:
            server.kill()


def _created(kms: Kms) -> str:
    """The id of a fresh key; nothing while the server does not answer yet."""
    try:
        return str(kms.say("CreateKey").json()["KeyMetadata"]["KeyId"])
    except httpx.TransportError:
        return ""
