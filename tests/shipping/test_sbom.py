"""`make sbom`: the list of what the service runs with is that of the lock."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_sbom_names_each_locked_package_with_its_version_and_hashes(tmp_path: Path) -> None:
    lock = (ROOT / "requirements" / "runtime.txt").read_text()
    locked = {
        (name, version, frozenset(re.findall(r"--hash=sha256:(\w+)", hashes)))
        for name, version, hashes in re.findall(r"^([\w.-]+)==([^ ;]+)(.*(?:\n +--hash.*)+)", lock, re.MULTILINE)
    }
    file = tmp_path / "new" / "sbom.json"

    made = subprocess.run(
        ["make", "sbom", f"SBOM={file}"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert made.returncode == 0, made.stderr
    bom = json.loads(file.read_text())
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", "prequal")
    assert len(locked) == len(re.findall("^[a-z]", lock, re.MULTILINE))
    assert locked == {
        (
            component["name"],
            component["version"],
            frozenset(each["content"] for where in component["externalReferences"] for each in where["hashes"]),
        )
        for component in bom["components"]
    }
