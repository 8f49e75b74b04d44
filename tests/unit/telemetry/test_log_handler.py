"""`telemetry.log_handler`: a process logs on, whether its lines are read or not."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from prequal.telemetry.log_handler import KEPT_MAX, NonBlockingHandler

PIPE_BYTES = 65_536


@dataclass
class Pipe:
    """What stands for standard output, and its reader's end."""

    reader: int
    writer: TextIO

    def read(self) -> str:
        """What is in the pipe."""
        os.set_blocking(self.reader, False)
        return os.read(self.reader, PIPE_BYTES).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield Pipe(reader, stream)
    os.close(reader)


def a_logger(stream: TextIO) -> logging.Logger:
    log = logging.Logger("handler")
    handler = NonBlockingHandler(stream)
    handler.setFormatter(logging.Formatter('{"event": "%(message)s", "count": "%(count)s"}', defaults={"count": ""}))
    log.addHandler(handler)
    return log


def events(text: str) -> list[str]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_line_is_written_at_once(pipe: Pipe) -> None:
    a_logger(pipe.writer).warning("hello")

    assert events(pipe.read()) == ["hello"]


def test_line_longer_than_a_piece_arrives_whole(pipe: Pipe) -> None:
    a_logger(pipe.writer).warning("x" * 20_000)

    assert events(pipe.read()) == ["x" * 20_000]


def test_stalled_reader_holds_no_process_up_and_is_given_all_lines_later(pipe: Pipe) -> None:
    log = a_logger(pipe.writer)
    sent = [f"{number} {'x' * 1000}" for number in range(500)]
    for each in sent:
        log.warning(each)

    text = pipe.read()
    while len(text.splitlines()) < len(sent):
        log.handlers[0].flush()
        text += pipe.read()

    assert events(text) == sent


def test_record_beyond_the_bound_is_given_up_and_counted(pipe: Pipe, capfd: pytest.CaptureFixture[str]) -> None:
    log = a_logger(pipe.writer)
    many = KEPT_MAX + 200
    for number in range(many):
        log.warning(f"{number} {'x' * 1000}")
    text = ""
    for _ in range(100):
        log.handlers[0].flush()
        try:
            text += pipe.read()
        except BlockingIOError:
            break

    log.warning("again")

    last = [json.loads(line) for line in pipe.read().splitlines()]
    assert [each["event"] for each in last] == ["log_lines_lost", "again"]
    assert int(last[0]["count"]) == many - len(text.splitlines())
    assert capfd.readouterr().err.count("will be lost") == 1


def test_lost_reader_is_reported_once_and_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        log = a_logger(stream)
        log.warning("ABCDE1234F")
        log.warning("ABCDE1234F")

    err = capfd.readouterr().err
    assert err.count("will be lost") == 1
    assert "ABCDE" not in err


def test_record_that_cannot_be_rendered_costs_its_line_alone(pipe: Pipe, capfd: pytest.CaptureFixture[str]) -> None:
    log = a_logger(pipe.writer)
    log.warning("%d", "ABCDE1234F")
    log.warning("next")

    assert events(pipe.read()) == ["log_lines_lost", "next"]
    assert "ABCDE" not in capfd.readouterr().err
