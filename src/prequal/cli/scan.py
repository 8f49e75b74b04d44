"""`prequal scan`: PANs in the files of the stores and in logs, where none should be.

Invariant: PANs come from a prompt or stdin, never from the command line, and none is printed.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prequal.cli.typed_pan import typed_pan

if TYPE_CHECKING:
    from prequal.domain.pan import Pan
    from prequal.ops.pan_scan import Finding, PanSearch, Scan


def scan(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, and folders with all below them.")],
    pans: Annotated[
        bool, typer.Option("--pans", help="Look for given PANs: asked for, or read from stdin, one a line.")
    ] = False,
    binary: Annotated[
        bool, typer.Option("--binary", help="Look for the shape of a PAN in binary files too; chance has it there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Look for PANs in files: data folders of PostgreSQL and Kafka, logs, dumps.

    In text files whatever has the shape of a PAN is found. With --pans those given are found in every file, also in
    lower case, UTF-16, base64, hexadecimal, and as a hash without a key. A random PAN is planted in temporary
    files first, and must be found. What is compressed or encrypted is not looked into.

    Exit code 1: something was found. 2: the planted PAN was not found, or a file could not be read.

    \b
    Examples:
      prequal scan /var/log/prequal
      prequal scan --pans .prequal < pans.txt
    """
    from prequal.core.topology import ExitCode
    from prequal.ops.pan_scan import PanSearch, check_control

    _check_paths(paths)
    given = _read_pans() if pans else []
    planted = check_control()
    search = PanSearch(given, shapes_in_binary=binary)
    done = _as_json(paths, search, planted) if as_json else _as_lines(paths, search, planted, len(given))
    if done.findings:
        raise typer.Exit(ExitCode.REFUSED)
    if done.unreadable:
        raise typer.Exit(ExitCode.MISCONFIGURED)


def _check_paths(paths: list[Path]) -> None:
    from prequal.core.errors import UsageError
    from prequal.domain.pan_detection import redact

    for path in paths:
        if not path.is_dir() and not path.is_file():
            raise UsageError(f"PATH must be a file or a folder: {redact(str(path))} is none.")


def _read_pans() -> "list[Pan]":
    """The PANs of stdin's lines, or of a person who is asked until he enters nothing."""
    from prequal.core.errors import UsageError

    entered = _entered() if sys.stdin.isatty() else sys.stdin.read().splitlines()
    pans = [typed_pan(line, f"Entry {number}") for number, line in enumerate(entered, 1) if line.strip()]
    if not pans:
        raise UsageError("--pans needs a PAN at least, at the prompt or as a line of stdin.")
    return pans


def _entered() -> list[str]:
    entered = []
    while line := typer.prompt("PAN (nothing to begin)", default="", show_default=False, hide_input=True, err=True):
        entered.append(line)
    return entered


def _as_lines(paths: list[Path], search: "PanSearch", planted: int, given: int) -> "Scan":
    from prequal.ops import pan_scan

    done = pan_scan.scan(paths, search, _show)
    for file in done.unreadable:
        typer.echo(f"prequal: {file} cannot be read.", err=True)
    typer.echo(
        f"{done.findings} found in {done.files} files, {done.text_files} of them text, "
        f"{done.bytes_read / 2**20:.1f} MiB; {given} PANs given; the planted one was found in all {planted} forms."
    )
    return done


def _show(finding: "Finding") -> None:
    typer.echo(f"{finding.file}  byte {finding.offset}  {finding.form}  {finding.pan_masked}")


def _as_json(paths: list[Path], search: "PanSearch", planted: int) -> "Scan":
    from prequal.ops import pan_scan

    findings: list[Finding] = []
    done = pan_scan.scan(paths, search, findings.append)
    content = asdict(done) | {"planted_forms_found": planted, "findings": [asdict(finding) for finding in findings]}
    typer.echo(json.dumps(content))
    return done
