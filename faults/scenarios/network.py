"""The network between the services and their stores: slow, cut, swallowing everything, and losing a COMMIT's answer.

Invariant: nobody is restarted, and no consumer group is rebalanced more often than the network failed.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from faults.plan import SHORT, Volume
from faults.scenario import NotRun, Run, Spoilt, scenario
from faults.scenarios.stores import pids, refused_in_time
from faults.systems import ProxiedSystem
from harness.journal import SERVICES
from harness.own_system import STORES
from harness.tcp_proxy import TcpProxy
from harness.waiting import eventually

DELAY_SECONDS: Final = (0.02, 0.1)
UNCROWDED: Final = Volume(75, 15)
"""So few that none is refused for those that wait, while a commit is in doubt for two seconds on a busy machine."""
COMMITS: Final = 5
"""How many COMMITs lose their answers in a run."""
STRAGGLING_SECONDS: Final = 8.0
"""How long after the load a busy machine's services may still have something to commit."""
REJOINS: Final = 2
"""How often a consumer may be given its partitions again for one outage: when thrown out, and when it is back."""
KILLS: Final = 3
"""How often all connections to one store are ended."""

Harm = Callable[[Run, TcpProxy], None]


def cut(_: Run, proxy: TcpProxy) -> None:
    """Every connection ends and none comes about."""
    proxy.cut()


def black_hole(_: Run, proxy: TcpProxy) -> None:
    """Connections come about and nothing ever passes."""
    proxy.freeze()


def slow(run: Run, proxy: TcpProxy) -> None:
    """Everything takes longer, in both directions."""
    proxy.slow_down(run.chance.uniform(*DELAY_SECONDS))


def without_database(harm: Harm, *, one_by_one: bool) -> Callable[[Run], None]:
    """A scenario in which the services cannot talk to the database: all of them, or one after the other."""

    def act(run: Run) -> None:
        lives = pids(run)
        run.load()
        run.some_moment()
        for victims in run.chance.sample([(each,) for each in SERVICES], len(SERVICES)) if one_by_one else [SERVICES]:
            run.load(SHORT)
            run.some_moment(volume=SHORT)
            _take_away(run, "database", harm, [_proxied(run).to_database[each] for each in victims], victims)
        run.come_to_rest()
        refused_in_time(run)
        run.demand(lives == pids(run), "a service did not survive it")

    return act


def _take_away(
    run: Run, dependency: str, harm: Harm, proxies: Sequence[TcpProxy], seen_by: tuple[str, ...] = SERVICES
) -> None:
    """Do harm to the proxies to a dependency for as long as the outage, and see all ready after the restore."""
    with run.fault(away=(dependency,), seen_by=seen_by) as fault:
        for proxy in proxies:
            harm(run, proxy)
        run.wait(run.outage_seconds)
        fault.restore()
        for proxy in proxies:
            proxy.restore()
        run.demand_ready(10)


def without_broker(harm: Harm) -> Callable[[Run], None]:
    """A scenario in which nobody can talk to the broker."""

    def act(run: Run) -> None:
        lives, assigned = pids(run), _assignments(run)
        run.load()
        run.some_moment()
        _take_away(run, "kafka", harm, [_proxied(run).to_broker])
        run.come_to_rest()
        run.demand_all_accepted()
        _no_storm(run, assigned)
        run.demand(lives == pids(run), "a service did not survive it")

    return act


def slowly(run: Run) -> None:
    """The way to the database is slow for a while, and the one to the broker; everything goes on, slowly."""
    proxied = _proxied(run)
    assigned = _assignments(run)
    run.load()
    run.some_moment()
    for proxies in run.chance.sample([[proxied.to_broker], list(proxied.to_database.values())], 2):
        run.load(SHORT)
        with run.fault(troubled=SERVICES) as fault:
            for proxy in proxies:
                slow(run, proxy)
            run.wait(run.outage_seconds)
            fault.restore()
            for proxy in proxies:
                proxy.restore()
    run.come_to_rest()
    _no_storm(run, assigned)


def sockets_killed(run: Run) -> None:
    """The kernel ends every connection to the one store, again and again, and to the other."""
    if shutil.which("ss") is None:
        raise NotRun("there is no `ss` here")
    lives, assigned = pids(run), _assignments(run)
    run.load()
    run.some_moment((0.1, 0.3))
    for store in run.chance.sample(STORES, len(STORES)):
        run.load(SHORT)
        with run.fault(troubled=SERVICES) as fault:
            for _ in range(KILLS):
                if not _kill_sockets(run.system.ports[store]):
                    raise NotRun("this kernel ends no connection for `ss -K`")
                run.wait(run.outage_seconds / KILLS)
            fault.restore()
            run.demand_ready(10)
    run.come_to_rest()
    _no_storm(run, assigned, KILLS)
    run.demand(lives == pids(run), "a service did not survive it")


for name, harm, outage in (
    ("database-cut", cut, (10.0, 6.0)),
    ("database-black-hole", black_hole, (20.0, 8.0)),
):
    scenario(20, f"{name}-for-all", outage=outage, opens=ProxiedSystem)(without_database(harm, one_by_one=False))
    scenario(20, f"{name}-for-each", outage=outage, opens=ProxiedSystem)(without_database(harm, one_by_one=True))
scenario(20, "broker-cut", outage=(20.0, 8.0), opens=ProxiedSystem)(without_broker(cut))
scenario(20, "broker-black-hole", outage=(20.0, 8.0), opens=ProxiedSystem)(without_broker(black_hole))
scenario(20, "slow-network", outage=(15.0, 4.0), opens=ProxiedSystem)(slowly)
scenario(20, "sockets-killed", outage=(9.0, 1.5))(sockets_killed)


# ── the answer to COMMIT ────────────────────────────────────────────────────────────────────────────────────────


@scenario(13, "commit-answer-lost", opens=ProxiedSystem)
def commit_answer_lost(run: Run) -> None:
    """The server commits and nobody hears of it: what was committed is found, and answered 202."""
    proxy = _proxied(run).to_database["api"]
    run.load(UNCROWDED)
    _lose(run, proxy, proxy.lose_answer_to_commit)
    run.come_to_rest()
    run.demand_all_accepted()


@scenario(13, "commit-lost", opens=ProxiedSystem)
def commit_lost(run: Run) -> None:
    """The server never hears of the COMMIT: nothing was written, and the answer is 503."""
    proxy = _proxied(run).to_database["api"]
    run.load()
    _lose(run, proxy, proxy.lose_commit)
    run.come_to_rest()
    refused_in_time(run)


@scenario(13, "commit-answer-lost-and-cut", outage=(7.0, 6.0), opens=ProxiedSystem)
def commit_answer_lost_and_cut(run: Run) -> None:
    """The server commits, nobody hears of it, and it cannot be asked: 503, and the same application later."""
    proxy = _proxied(run).to_database["api"]
    run.load()
    run.some_moment()
    with run.fault(away=("database",), seen_by=("api",)) as fault:
        _lose_one(run, proxy, proxy.lose_answer_to_commit_and_cut)
        run.wait(run.outage_seconds)
        fault.restore()
        proxy.restore()
        run.demand_ready(10)
    run.come_to_rest()
    refused_in_time(run)
    ids = {seen.post.key: seen.application_id for seen in run.seen.answers if seen.application_id and seen.replayed}
    run.demand(ids, "no app was given what had been committed for it")


@scenario(13, "consumers-commit-answer-lost", opens=ProxiedSystem)
def consumers_commit_answer_lost(run: Run) -> None:
    """The same for the credit and the decision service: what they had committed is delivered again, and known."""
    known = {service: _delivered_again(run, service) for service in ("credit", "decision")}
    for service in known:
        proxy = _proxied(run).to_database[service]
        run.load()
        _lose(run, proxy, proxy.lose_answer_to_commit, 2)
    run.come_to_rest()
    for service, before in known.items():
        run.demand(_delivered_again(run, service) > before, f"nothing was delivered to {service} again")


def _delivered_again(run: Run, service: str) -> float:
    return run.system.metric(service, "kafka_messages_consumed_total", 'outcome="duplicate"')


def _lose(run: Run, proxy: TcpProxy, lose: Callable[[], None], times: int = COMMITS) -> None:
    for _ in range(times):
        run.some_moment((0.02, 0.15))
        _lose_one(run, proxy, lose)


def _lose_one(run: Run, proxy: TcpProxy, lose: Callable[[], None]) -> None:
    before = proxy.commits_lost
    lose()
    try:
        eventually(lambda: proxy.commits_lost > before, run.volume.seconds + STRAGGLING_SECONDS)
    except AssertionError:
        raise Spoilt("no COMMIT came by") from None


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _proxied(run: Run) -> ProxiedSystem:
    assert isinstance(run.system, ProxiedSystem)
    return run.system


def _assignments(run: Run) -> dict[str, int]:
    """How often each consumer was given partitions since it was first started, by its log."""
    return {name: _said(run, name, "assigned") for name in ("credit", "decision")}


def _said(run: Run, service: str, event: str) -> int:
    lines = run.system.data.log(service).read_text().splitlines()
    return sum(json.loads(line).get("event") == event for line in lines if line.startswith("{"))


def _no_storm(run: Run, before: dict[str, int], outages: int = 1) -> None:
    again = {name: count - before[name] for name, count in _assignments(run).items()}
    run.demand(max(again.values()) <= REJOINS * outages, f"consumers were given their partitions again: {again}")


def _kill_sockets(port: int) -> bool:
    """End every connection to a port of this machine; whether any was."""
    killed = subprocess.run(
        ["ss", "--kill", "--tcp", "--no-header", "dport", "=", f":{port}"], capture_output=True, text=True, check=False
    )
    return bool(killed.stdout.strip())
