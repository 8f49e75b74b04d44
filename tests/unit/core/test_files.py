"""Files that take the place of others: whole and on the disk, or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from prequal.core import files
from prequal.core.files import Draft


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_file_is_replaced_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("old, and longer")
    file.chmod(0o644)

    files.write(file, "naïve")

    assert file.read_text("utf-8") == "naïve"
    assert mode_of(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_file_for_others_is_as_open_as_the_umask_lets_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "head", "", files.FOR_ALL)
    finally:
        os.umask(before)

    assert mode_of(tmp_path / "head") == 0o640


def test_draft_that_was_left_or_put_in_the_way_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".keys.new").symlink_to(tmp_path / "elsewhere")

    files.write(tmp_path / "keys", "secret")

    assert (tmp_path / "keys").read_text() == "secret"
    assert (tmp_path / "elsewhere").read_text() == ""


def test_content_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_caller_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, real = [], os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, {each.name: each.read_text() for each in tmp_path.iterdir()}))

    monkeypatch.setattr(os, "fsync", fsync)

    files.write(tmp_path / "export", "all of it")

    assert synced == [(False, {".export.new": "all of it"}), (True, {"export": "all of it"})]


def test_folder_of_a_file_system_that_syncs_none_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)

    files.write(tmp_path / "export", "all of it")

    assert (tmp_path / "export").read_text() == "all of it"


def test_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "export" / "a file of others").mkdir(parents=True)

    with pytest.raises(OSError, match="export"):
        files.write(tmp_path / "export", "all of it")

    assert [each.name for each in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize("file", ["/", "."])
def test_folder_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(IsADirectoryError):
        files.write(Path(file), "all of it")

    assert list(tmp_path.iterdir()) == []


def test_draft_that_is_given_up_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("old")
    draft = Draft(tmp_path / "export")
    draft.write("half of")

    draft.drop()

    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]
