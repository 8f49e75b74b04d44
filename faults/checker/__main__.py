"""Judge a system that runs, by the journal of its client: `python -m faults.checker --journal J`.

Invariant: nothing of the system is changed, but for two PANs of the checker's own, planted to be found.
"""

import argparse
import sys
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException

from faults.checker import reading, verdict
from faults.checker.leaks import Search
from faults.checker.system import JudgedSystem
from faults.checker.topics import Unread
from harness import journal
from harness.keys import Unknown


def main() -> None:
    """Say what holds; exit code 1 when something does not, 2 when it cannot be found out."""
    parser = argparse.ArgumentParser(prog="python -m faults.checker", description=__doc__.partition("\n")[0])
    parser.add_argument("--journal", type=Path, required=True, help="what the client wrote down (faults/journal.py)")
    parser.add_argument("--run-file", type=Path, default=Path(".prequal/run.json"), help="its folder is searched")
    parser.add_argument("--wait", type=float, default=reading.AT_REST_SECONDS, help="seconds until it must be at rest")
    arguments = parser.parse_args()
    try:
        system = JudgedSystem.of(arguments.run_file)
        entries = journal.read(arguments.journal)
        seconds = reading.wait_until_at_rest(system, arguments.wait)
        evidence = reading.gather(system, entries, Search(system.folder, leave_out=[arguments.journal]))
    except (Unknown, Unread, OSError, psycopg.Error, KafkaException) as error:
        print(f"It cannot be found out: {error}")
        sys.exit(2)
    violations = verdict.check(evidence)
    figures = ", ".join(f"{number} {name}" for name, number in verdict.figures(evidence).items())
    print(f"Waited {seconds:.1f} s for it to rest: {figures}")
    for violation in violations:
        print(f"  {violation}")
    print(f"{len(violations)} violations." if violations else "No violation of I1 to I10.")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
