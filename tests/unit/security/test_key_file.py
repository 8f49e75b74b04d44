import stat
from pathlib import Path

import pytest

from prequal.core.errors import Misconfigured
from prequal.core.key_sources import KeySource
from prequal.security import key_file
from prequal.security.key_file import RingKeys, WrappedKey
from tests.builders import a_key, a_key_text


def a_file(folder: Path, content: str, mode: int = 0o600) -> Path:
    file = folder / "ring"
    file.write_text(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("decrypting", [(), (a_key(2),), (a_key(2), a_key(3))])
def test_a_ring_is_read_back_as_it_was_written_and_only_its_owner_may_read_it(
    tmp_path: Path, decrypting: tuple[bytes, ...]
) -> None:
    file, ring = tmp_path / "ring", RingKeys(a_key(1), decrypting)

    key_file.write(file, ring)

    assert key_file.read(file) == ring
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_wrapped_keys_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    wrapped = WrappedKey(KeySource.VAULT, "vault:v1:c2VjcmV0")
    file, ring = tmp_path / "ring", RingKeys(wrapped, (a_key(1),))

    key_file.write(file, ring)

    assert key_file.read(file) == ring
    assert file.read_text().splitlines()[0] == "active vault vault:v1:c2VjcmV0"
    assert (ring.source, ring.sources) == (KeySource.VAULT, frozenset({KeySource.VAULT}))


def test_ring_without_wrapped_keys_has_no_source() -> None:
    assert (RingKeys(a_key(1)).source, RingKeys(a_key(1)).sources) == (None, frozenset())


def test_comments_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    file = a_file(tmp_path, f"# ours\n\nactive {a_key_text(1)}\n")

    assert key_file.read(file) == RingKeys(a_key(1))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has 0 active keys"),
        (f"decrypts {a_key_text(1)}\n", "has 0 active keys"),
        (f"active {a_key_text(1)}\nactive {a_key_text(2)}\n", "has 2 active keys: exactly one encrypts"),
        (f"active {a_key_text(1)}\ndecrypts {a_key_text(1)}\n", "holds a key twice"),
        (f"active {a_key_text(1)[:-4]}\n", "bytes long, not 32"),
        (f"{a_key_text(1)}\n", "neither `active KEY` nor `decrypts KEY`"),
        (f"active elsewhere {a_key_text(1)}\n", "neither `active KEY` nor `decrypts KEY`"),
        (f"active vault {a_key_text(1)} more\n", "neither `active KEY` nor `decrypts KEY`"),
        ("active vault vault:v1:a\ndecrypts vault vault:v1:a\n", "holds a key twice"),
        (f"retired {a_key_text(1)}\n", "neither `active KEY` nor `decrypts KEY`"),
        ("active ключ\n", "cannot be read: UnicodeDecodeError"),
    ],
)
def test_file_that_is_no_ring_is_refused_in_one_sentence_without_a_key(
    tmp_path: Path, content: str, words: str
) -> None:
    file = a_file(tmp_path, content)

    with pytest.raises(Misconfigured, match=words) as refused:
        key_file.read(file)

    assert str(file) in str(refused.value)
    assert a_key_text(1)[:20] not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_ring_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Misconfigured, match="chmod 600"):
        key_file.read(a_file(tmp_path, f"active {a_key_text(1)}\n", mode))


def test_a_ring_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read: FileNotFoundError"):
        key_file.read(tmp_path / "none")


def test_a_ring_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = a_file(tmp_path, f"active {a_key_text(1)}\n")
    (tmp_path / ".ring.new").mkdir()

    with pytest.raises(Misconfigured, match="cannot be written"):
        key_file.write(file, RingKeys(a_key(2)))

    assert key_file.read(file) == RingKeys(a_key(1))


def test_keys_are_not_shown(tmp_path: Path) -> None:
    assert repr(a_key(1)) not in repr(RingKeys(a_key(1)))
