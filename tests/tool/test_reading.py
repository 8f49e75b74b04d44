"""What the client was answered is searched for PANs whole: bodies and headers of every answer, and every record."""

import pytest

from faults.checker import leaks
from faults.checker.evidence import Record
from faults.checker.leaks import Patterns
from faults.checker.reading import _texts
from harness.journal import Answered, Entry, Looked, Probed
from harness.topics import SUBMITTED
from tests.tool.checking import ID, PAN, T

IN_A_HEADER = {"x-debug": f"pan={PAN}"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(Answered(1, T, 202, PAN), id="body of a POST"),
        pytest.param(Answered(1, T, 202, "", headers=IN_A_HEADER), id="header of a POST"),
        pytest.param(Looked(ID, T, T, 200, "PENDING", PAN), id="body of a GET that is 200"),
        pytest.param(Looked(ID, T, T, 404, None, "", IN_A_HEADER), id="header of a GET"),
        pytest.param(Probed("credit", "/ready", T, T, 503, {}, PAN), id="body of a probe"),
        pytest.param(Probed("credit", "/health", T, T, 200, {}, "", IN_A_HEADER), id="header of a probe"),
    ],
)
def test_everything_the_client_was_answered_is_searched(entry: Entry) -> None:
    later = Looked(ID, T + 1, T + 1, 200, "PENDING", "")

    findings = leaks.in_texts(Patterns({PAN: leaks.masked(PAN)}), _texts((entry, later), ()))

    assert [finding.masked for finding in findings] == ["XXXXX6789T"]


@pytest.mark.parametrize(
    "record",
    [
        Record(SUBMITTED, 0, 7, PAN.encode(), b""),
        Record(SUBMITTED, 0, 7, b"", PAN.encode()),
        Record(SUBMITTED, 0, 7, b"", b"", (("name", PAN.encode()),)),
    ],
    ids=["key", "value", "header"],
)
def test_whatever_a_topic_holds_is_searched(record: Record) -> None:
    findings = leaks.in_texts(Patterns({PAN: leaks.masked(PAN)}), _texts((), [record]))

    assert [finding.place for finding in findings] == [f"{SUBMITTED} 0 7"]
