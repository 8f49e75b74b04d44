"""PostgreSQL stopped and killed, and both stores with no room left on their disks.

Invariant: no service is restarted: what they hold to the database and the broker heals by itself.
"""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faults.scenario import NotRun, Run, Spoilt, scenario
from faults.watch import Watch
from harness.journal import SERVICES

REFUSED_SECONDS: Final = 5.5
"""A 503 is promised within five seconds; the client's own clock takes the rest."""
DISK_BYTES: Final = {"postgres": 400 * 2**20, "kafka": 128 * 2**20}


def stopped(run: Run) -> None:
    """The server ends at once, as `pg_ctl stop -m immediate` does it, with its backends."""
    run.system.child("postgres").send(signal.SIGQUIT)
    run.system.exit_code("postgres", 10)


def killed(run: Run) -> None:
    """The postmaster is killed; its backends notice by themselves."""
    run.system.kill("postgres")


def goes_away(how: Callable[[Run], None]) -> Callable[[Run], None]:
    """A scenario in which PostgreSQL ends and is started again, and the services wait it out."""

    def act(run: Run) -> None:
        lives = pids(run)
        run.load()
        run.some_moment()
        with Watch(run) as watch:
            with run.fault(away=("database",)) as fault:
                how(run)
                run.wait(run.outage_seconds)
                fault.restore()
                run.system.start("postgres")
            run.come_to_rest()
        refused_in_time(run)
        watch.demand_breaker("api", "database")
        run.demand(lives == pids(run), "a service did not survive it")

    return act


for name, how in {"postgres-stopped": stopped, "postmaster-killed": killed}.items():
    scenario(12, name, outage=(10.0, 6.0))(goes_away(how))


@scenario(22, "disk-full-under-postgres", outage=(10.0, 4.0), own_system=True)
def disk_full_under_postgres(run: Run) -> None:
    """The database can write nothing more; it answers all the same, or gives up and is started again in the end."""
    _onto_small_disk(run, "postgres")
    lives = pids(run)
    run.load()
    run.some_moment()
    with run.fault(troubled=SERVICES) as fault:
        room = _fill(run.system.postgres.folder)
        run.load()  # to fill it takes longer on a busy machine than the first load
        run.wait(run.outage_seconds)
        fault.restore()
        room.unlink()
        if not run.system.runs("postgres"):
            run.system.start("postgres")
        run.system.child("postgres").wait_until_ready()
    run.come_to_rest()
    refused_in_time(run)
    run.demand(lives == pids(run), "a service did not survive it")


@scenario(22, "disk-full-under-kafka", outage=(10.0, 4.0), own_system=True)
def disk_full_under_kafka(run: Run) -> None:
    """The broker can write nothing more, and ends, as Kafka does; it is started again once there is room."""
    _onto_small_disk(run, "kafka")
    lives = pids(run)
    run.load()
    run.some_moment()
    with run.fault(troubled=SERVICES):
        room = _fill(run.system.kafka.folder)
        # It answers until it needs the room that is not there.
        if run.system.exit_code("kafka", run.volume.seconds + 10) is None:
            raise Spoilt("the broker had room enough")
        with run.fault(away=("kafka",), troubled=SERVICES) as fault:
            run.wait(run.outage_seconds)
            fault.restore()
            room.unlink()
            run.system.start("kafka")
    run.come_to_rest()
    run.demand_none_refused()
    run.demand(lives == pids(run), "a service did not survive it")


def pids(run: Run) -> dict[str, int | None]:
    """The processes of the services."""
    return {name: run.system.child(name).pid for name in SERVICES}


def refused_in_time(run: Run) -> None:
    """While the database is away a POST is answered 503 within five seconds, with a word when to come again."""
    refused = [each for each in run.seen.answers if each.status == 503]
    if not refused:
        raise Spoilt("no post met the outage")
    slowest = max(each.seconds for each in refused)
    run.demand(slowest <= REFUSED_SECONDS, f"a 503 took {slowest:.1f} s")
    run.demand(all(each.retry_after for each in refused), "a 503 did not say when to come again")
    run.demand(not run.seen.lost, f"posts without an answer: {[reason for _, reason in run.seen.lost[:3]]}")
    others = {each.status for each in run.seen.answers if each.status >= 500} - {503}
    run.demand(not others, f"posts were answered {others}")


def _onto_small_disk(run: Run, store: str) -> None:
    """Move a store, stopped meanwhile, onto a file system of its own with little room."""
    folder = {"postgres": run.system.postgres.folder, "kafka": run.system.kafka.folder}[store]
    with run.fault(away=("database" if store == "postgres" else "kafka",), troubled=SERVICES) as fault:
        run.system.child(store).stop()
        aside = folder.with_name(f"{store}.aside")
        folder.rename(aside)
        folder.mkdir()
        _mount(folder, DISK_BYTES[store])
        run.system.afterwards.callback(lambda: subprocess.run(["umount", "--lazy", str(folder)], check=False))
        subprocess.run(["cp", "--archive", f"{aside}/.", folder], check=True)
        shutil.rmtree(aside)
        fault.restore()
        run.system.start(store)
    run.demand_ready(30)


def _mount(folder: Path, size_bytes: int) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotRun("there is no `mount` here") from None
    if done.returncode:
        raise NotRun(f"no file system can be mounted here: {done.stderr.strip()}")


def _fill(folder: Path) -> Path:
    """Take all the room that is left under `folder`; the file that has it."""
    file = folder / "full"
    with file.open("wb", buffering=0) as hog:
        try:
            while True:
                hog.write(bytes(2**16))
        except OSError:
            return file
