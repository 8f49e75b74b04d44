"""What the Makefile does on machines that lack something."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shipping.test_compose import SECRETS

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose installation is done, and in which nothing can be run."""
    for name in ("Makefile", "requirements/local.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / ".venv/.run").write_text(f"{tmp_path}\n")
    (tmp_path / "docker.env").touch()
    return tmp_path


def make(target: str, checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": f"{checkout}/tools:{os.environ['PATH']}"}
    return subprocess.run(
        ["make", *arguments, target],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_docker_without_the_compose_plugin_is_one_sentence(checkout: Path) -> None:
    docker = checkout / "tools/docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2\nexit 1\n")
    docker.chmod(0o755)

    done = make("docker-up", checkout)

    assert done.returncode != 0
    assert "docker-up needs Docker's compose plugin" in done.stdout
    assert "not a docker command" not in done.stdout + done.stderr


def test_gate_runs_the_tests_with_the_gates_of_their_coverage() -> None:
    assert "\nmake coverage " in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_checkout_that_was_moved_installs_again(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name(f"{checkout.name} moved"))

    done = make("help", moved)

    assert done.stdout.startswith("· this checkout was moved: .venv is made again\n")
    assert not (moved / ".venv").exists()


def test_checkout_that_stayed_keeps_its_installation(checkout: Path) -> None:
    done = make("help", checkout)

    assert "moved" not in done.stdout
    assert (checkout / ".venv/.run").exists()


@pytest.mark.parametrize(("arguments", "taken"), [((), "python3"), (("PYTHON=python3.13",), "python3.13")])
def test_optimised_python_of_the_path_is_taken_unless_another_is_named(
    checkout: Path, arguments: tuple[str, ...], taken: str
) -> None:
    python = checkout / "tools/python3"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\n[ "$1" = src/prequal/core/python_build.py ]\n')
    python.chmod(0o755)

    done = make("shown", checkout, "--eval=shown: ; @echo $(PYTHON)", *arguments)

    assert done.stdout == f"{taken}\n"


def test_secrets_that_compose_demands_are_drawn_and_those_that_are_there_stay(checkout: Path) -> None:
    prequal = checkout / ".venv/bin/prequal"
    prequal.write_text(f'#!/bin/sh\nexec {sys.executable} -m prequal "$@"\n')
    prequal.chmod(0o755)
    (checkout / "docker.env").write_text("RECORD_KEY=as it was\n")

    done = make("docker.env", checkout)

    drawn = dict(line.split("=", 1) for line in (checkout / "docker.env").read_text().splitlines())
    assert set(drawn) == SECRETS, done.stderr
    assert drawn["RECORD_KEY"] == "as it was"
    assert all(drawn.values())
