import pickle
from uuid import UUID

import pytest

from prequal.postgres.ids import new_id, new_text, read_id

TEXT = "01a229f6-3cf3-721e-8cff-1d2aa493beb4"


def test_new_ids_are_ascending_uuids_of_version_7() -> None:
    found = [new_id() for _ in range(10_000)]

    assert found == sorted(set(found))
    assert {each.version for each in found} == {7}
    assert UUID(new_text()).version == 7


def test_id_is_a_uuid_in_every_respect() -> None:
    found = read_id(TEXT)

    assert isinstance(found, UUID)
    assert (found, hash(found), found.bytes, found.int) == (
        UUID(TEXT),
        hash(UUID(TEXT)),
        UUID(TEXT).bytes,
        UUID(TEXT).int,
    )
    assert pickle.loads(pickle.dumps(found)) == found
    assert {UUID(TEXT): 1}[found] == 1


@pytest.mark.parametrize(
    "text",
    [
        TEXT.upper(),
        TEXT.replace("-", ""),
        f"{{{TEXT}}}",
        TEXT[:-1],
        "01a2-29f6-3cf3-721e-8cff-1d2aa493beb4",
        "",
        7,
        None,
    ],
)
def test_other_spellings_and_texts_that_are_no_id_are_left_as_they_are(text: object) -> None:
    assert read_id(text) is text
