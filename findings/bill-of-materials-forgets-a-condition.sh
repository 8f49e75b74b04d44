#!/usr/bin/env bash
# cyclonedx-bom 7.5.0
#
# Done: a bill of materials is made of a lock with one package that Windows alone gets (an environment marker), and with
#   the SHA-256 of its wheel and of its source archive, as pip demands them.
# Expected: the package is marked as optional, or its condition is a property; each file is a reference with its hash.
# Seen: it is a component like any other, without scope or property: a scan of the bill reports its weaknesses for
#   servers that never had it. Its two hashes stand in one reference, as though one file had two SHA-256.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages cyclonedx-bom==7.5.0

cat >"$work/lock.txt" <<'LOCK'
colorama==0.4.6 ; sys_platform == 'win32' \
    --hash=sha256:08695f5cb7ed6e0531a20572697297273c47b8cae5a63ffc6d6ed5c201be6e44 \
    --hash=sha256:4f1d9991f5acc0ca119f9d443620b77f9d6b33703e51011c16baf57afb285fc6
LOCK
python -m cyclonedx_py requirements "$work/lock.txt" --output-reproducible --output-file "$work/bom.json" 2>"$work/log"

BOM="$work/bom.json" python - <<'PYTHON'
import json
import os
from pathlib import Path

(component,) = json.loads(Path(os.environ["BOM"]).read_text())["components"]
marked = {"scope", "properties"} & component.keys()
references = [reference for reference in component["externalReferences"] if reference["type"] == "distribution"]
algorithms = [hash_["alg"] for reference in references for hash_ in reference["hashes"]]

assert not marked, component
assert (len(references), algorithms) == (1, ["SHA-256", "SHA-256"]), references
print("expected: what Windows alone gets is marked, and each file has a reference with its one SHA-256")
print(f"seen: {component['name']} {component['version']} without scope or property, {len(algorithms)} SHA-256 of one reference")
PYTHON
