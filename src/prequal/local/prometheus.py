"""Prometheus beside `prequal up`, where it is installed: a configuration for the ports in use, and the command.

Invariant: nothing is started here, and nothing is shown where Prometheus or the rules are missing.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Final

from prequal.local.data_folder import DataFolder
from prequal.local.settings import PORT_SETTINGS, UpSettings

PATTERN: Final = Path(__file__).parents[3] / "observability" / "prometheus.yml"
SCRAPED: Final = tuple(PORT_SETTINGS.values())


def offer(settings: UpSettings, folder: DataFolder) -> str | None:
    """The command that starts Prometheus with our rules on these processes; None where it is not installed.

    Writes the configuration that the command names into the data folder.
    """
    program = shutil.which("prometheus")
    if program is None or not PATTERN.exists():
        return None
    folder.prometheus.mkdir(exist_ok=True)
    file = folder.prometheus / "prometheus.yml"
    ports = {name: getattr(settings, name) for name in SCRAPED} | {"api_port": settings.pages_port}
    file.write_text(configuration(ports), encoding="utf-8")
    return shlex.join([Path(program).name, *arguments(file, folder.prometheus / "data")])


def configuration(ports: dict[str, int]) -> str:
    """The template with these ports instead of the default ones, by the names of their settings."""
    replacements = {str(UpSettings.model_fields[name].default): str(port) for name, port in ports.items()}
    here = PATTERN.read_text(encoding="utf-8").replace("- rules/*.yml", f'- "{PATTERN.parent}/rules/*.yml"')
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: replacements[port[0]], here)


def arguments(file: Path, data: Path, port: int = 9090) -> list[str]:
    """Arguments of Prometheus: its configuration, its data folder, and its port on 127.0.0.1."""
    return [f"--config.file={file}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{port}"]
