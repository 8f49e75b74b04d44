"""Ports, keys, `run.json` and the data folder: what is checked before anything starts."""

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.ports import free_ports
from prequal.core.errors import Misconfigured
from prequal.core.settings import load
from prequal.local import run_file, supervisor
from prequal.local.data_folder import DataFolder
from prequal.local.keys import NAMES, development_keys, generate
from prequal.local.ports import require_free
from prequal.local.run_file import Process, RunFile
from prequal.local.settings import UpSettings
from tests.local.machine import is_alive

RUN = RunFile("postgresql://prequal:secret@127.0.0.1:1/prequal", "127.0.0.1:2", {"api": Process(3, 4)})


def test_port_that_is_set_twice_is_named() -> None:
    (port,) = free_ports(1)

    with pytest.raises(Misconfigured, match="CREDIT_PORT"):
        require_free({"API_PORT": (port, "the API"), "CREDIT_PORT": (port, "the credit service")})


def test_stores_that_are_named_need_no_port() -> None:
    settings = load(UpSettings, database_url="postgresql://elsewhere", kafka_bootstrap_servers="elsewhere:9092")

    assert set(settings.ports()) == {"API_PORT", "CREDIT_PORT", "DECISION_PORT", "PUBLISHER_PORT", "CONSOLE_PORT"}


def test_admin_port_is_needed_where_tokens_are_asked_for_alone() -> None:
    assert "ADMIN_PORT" in load(UpSettings, api_authentication="keys").ports()
    assert "ADMIN_PORT" not in load(UpSettings).ports()


def test_setting_that_is_empty_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")

    assert load(UpSettings).database_url is None


def test_every_setting_says_what_its_default_is() -> None:
    for name, field in UpSettings.model_fields.items():
        assert "Default" in (field.description or ""), name


def test_dotenv_that_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"API_PORT=\xff\n")

    with pytest.raises(Misconfigured, match=r"\.env"):
        load(UpSettings)


def test_fresh_keys_differ_and_are_valid() -> None:
    keys = generate()

    assert load(UpSettings, **{name.lower(): key for name, key in keys.items()}).keys() == keys
    assert len(set(keys.values())) == 5


def test_development_keys_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    made = development_keys(tmp_path / "keys.env")

    assert development_keys(tmp_path / "keys.env") == made
    assert stat.S_IMODE((tmp_path / "keys.env").stat().st_mode) == 0o600


def test_key_of_reports_is_added_to_the_keys_of_an_earlier_release(tmp_path: Path) -> None:
    file, made = tmp_path / "keys.env", development_keys(tmp_path / "keys.env")
    file.write_text("".join(f"{name}={key}\n" for name, key in made.items() if name != "REPORT_KEY"))

    keys = development_keys(file)

    assert {name: keys[name] for name in ("ENCRYPTION_KEY", "PAN_HASH_KEY")} == {
        name: made[name] for name in ("ENCRYPTION_KEY", "PAN_HASH_KEY")
    }
    assert development_keys(file) == keys
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        f"ENCRYPTION_KEY={generate()['ENCRYPTION_KEY']}\nPAN_HAS".encode(),
        f"ENCRYPTION_KEY={generate()['ENCRYPTION_KEY']}\nPAN_HASH_KEY=AAAA".encode(),
        b"\xff\xfe",
    ],
    ids=["empty", "cut off in a name", "cut off in a key", "no text"],
)
def test_keys_that_were_cut_short_are_one_sentence_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.env"
    file.write_bytes(content)

    with pytest.raises(
        Misconfigured, match=r"keys\.env holds no good (ENCRYPTION|PAN_HASH)_KEY: put it back"
    ) as refused:
        development_keys(file)

    assert file.read_bytes() == content
    assert "AAAA" not in str(refused.value)


def test_key_that_is_given_need_not_be_in_the_file(tmp_path: Path) -> None:
    keys = generate()
    in_the_file = {name: key for name, key in keys.items() if name != "ENCRYPTION_KEY"}
    (tmp_path / "keys.env").write_text("".join(f"{name}={key}\n" for name, key in in_the_file.items()))

    settings = load(UpSettings, encryption_key=keys["ENCRYPTION_KEY"], prequal_data_dir=tmp_path)

    assert supervisor._keys(settings, DataFolder(tmp_path)) == keys


def test_no_new_keys_are_drawn_for_a_database_that_was_made_with_others(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    settings = load(UpSettings, prequal_data_dir=tmp_path)

    with pytest.raises(
        Misconfigured, match=r"keys\.env is missing, and .*postgres was made with its keys: put it back"
    ):
        supervisor._keys(settings, DataFolder(tmp_path))

    assert not (tmp_path / "keys.env").exists()


def test_keys_are_drawn_for_the_users_own_database(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    settings = load(UpSettings, prequal_data_dir=tmp_path, database_url="postgresql://elsewhere")

    assert set(supervisor._keys(settings, DataFolder(tmp_path))) == set(NAMES)


@pytest.mark.parametrize(
    ("setting", "value"), [("DATABASE_URL", "mysql://elsewhere"), ("KAFKA_BOOTSTRAP_SERVERS", "nonsense")]
)
def test_malformed_addresses_are_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)

    with pytest.raises(Misconfigured, match=f"Bad settings: {setting} must "):
        load(UpSettings)


def test_one_key_for_both_purposes_is_refused() -> None:
    key = generate()["PAN_HASH_KEY"]

    with pytest.raises(Misconfigured, match="are the same key"):
        load(UpSettings, encryption_key=key, pan_hash_key=key)


def test_run_file_reads_back_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    RUN.write(tmp_path / "run.json")

    assert run_file.read(tmp_path / "run.json") == RUN
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


def test_run_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    RUN.write(tmp_path / "run.json")
    with (tmp_path / "run.json").open() as reader:
        RUN.write(tmp_path / "run.json")

        assert json.load(reader)["processes"] == {"api": {"pid": 3, "port": 4}}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"processes": 3}', "no json"])
def test_file_that_is_no_run_file_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)

    assert run_file.read(tmp_path / "run.json") is None


def test_folder_is_unlocked_when_its_holder_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from prequal.local.data_folder import DataFolder\n"
        "with DataFolder(pathlib.Path(sys.argv[1])).locked(): print('in', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.communicate()

    with DataFolder(tmp_path).locked():
        pass


def test_process_that_a_killed_up_left_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"], cwd=tmp_path) as leftover:
        RunFile("", "", {"api": Process(leftover.pid, 1)}).write(tmp_path / "run.json")

        with DataFolder(tmp_path).locked():
            assert not is_alive(leftover.pid)
        assert leftover.wait() == -signal.SIGTERM


@pytest.mark.parametrize("name", [".", "postgres", "kafka"])
def test_process_that_a_killed_up_left_behind_a_symbolic_link_is_ended(tmp_path: Path, name: str) -> None:
    (tmp_path / "disk").mkdir()
    folder = tmp_path / "data"
    if name != ".":
        folder.mkdir()
    (folder / name if name != "." else folder).symlink_to(tmp_path / "disk")
    with subprocess.Popen(["sleep", "60"], cwd=folder / name) as leftover:
        RunFile("", "", {"api": Process(leftover.pid, 1)}).write(folder / "run.json")

        with DataFolder(folder).locked():
            was_ended = not is_alive(leftover.pid)
        leftover.kill()

    assert was_ended


def test_other_process_with_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"], cwd="/") as other:
        RunFile("", "", {"api": Process(other.pid, 1)}).write(tmp_path / "run.json")

        with DataFolder(tmp_path).locked():
            assert is_alive(other.pid)
        other.kill()


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(Misconfigured, match="PREQUAL_DATA_DIR"),
        DataFolder(tmp_path / "file" / "data").locked(),
    ):
        pass


def test_default_ports_are_none_that_linux_gives_to_clients() -> None:
    assert all(port < 32768 for port, _ in UpSettings(_env_file=None).ports().values())  # type: ignore[call-arg]


def test_service_that_lets_nobody_look_into_it_is_known_by_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> Path:
        raise PermissionError

    folder = DataFolder(tmp_path)
    words = [sys.executable, "-c", "input('started\\n')", "-m", "prequal", "api"]
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ours,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        assert ours.stdout is not None
        ours.stdout.readline()  # before it has begun, its command line may be empty
        monkeypatch.setattr(Path, "readlink", refuse)

        assert folder._is_ours(ours.pid)
        assert not folder._is_ours(other.pid)
        ours.communicate(b"\n")
        other.kill()
