"""How the system is watched: what Prometheus evaluates and Grafana shows, as far as it is written by code.

Invariant: every written file is compared with the code by `make lint`.
"""

from pathlib import Path

from observability import service_levels
from observability.boards import BOARDS
from observability.panels import board_json


def files() -> dict[Path, str]:
    """Every written file, by its path in the repository, with its whole content."""
    boards = {Path(f"observability/dashboards/{board.uid}.json"): board_json(board) for board in BOARDS}
    return {Path("observability/rules/service_levels.yml"): service_levels.rules(), **boards}
