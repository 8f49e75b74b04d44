"""A broker that lets in only who proves a user over TLS, and lets each do what its list says."""

import asyncio
import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from harness.applications import an_application
from harness.broker import ALL_TOPICS, GROUPS, PARTITIONS, REPORTED_DLQ, SUBMITTED_DLQ
from harness.database import PASSWORD as DATABASE_PASSWORD
from harness.database import Database
from harness.stores import folder_in_memory
from harness.system import ENCRYPTION_KEY, OTHER_KEY, REPORT_KEY, Service, System
from harness.waiting import eventually, soon
from prequal.core import topology
from prequal.core.errors import Misconfigured, Transient
from prequal.core.keys import key_id
from prequal.core.settings import CreditSettings, KafkaSettings, load
from prequal.local.logins import as_login
from prequal.messaging import acls, consumer_lag, topics
from prequal.messaging.acls import KafkaUser
from prequal.messaging.kafka_clients import common_settings, consumer_settings, producer_settings
from prequal.ops import encryption_keys, topic_reader
from prequal.record.acts import operator
from prequal.schema.grants import Role
from prequal.service.readiness import Readiness
from tests.support.secured_broker import PASSWORD, Secured, a_secured_broker

KEYS_OF_CREDIT = {"encryption_key": ENCRYPTION_KEY, "report_key": REPORT_KEY}
SHELL = re.findall(r"```sh\n(.*?)```", (Path(__file__).parents[2] / "docs/deployment.md").read_text("utf-8"), re.DOTALL)
KUBECTL = """
case "$*" in
    "get secret -n prequal prequal-database-app -o jsonpath={.data.uri}") printf %s "$URI" | base64 ;;
    "get secret -n prequal prequal-kafka-operator -o jsonpath={.data.password}") printf %s "$ON_CALL" | base64 ;;
    exec*) while [ "$1" != -- ]; do shift; done; shift; exec "$@" ;;
    *) exit 1 ;;
esac
"""
PUBLISHED = "kafka_messages_published_total"


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with folder_in_memory() as folder, a_secured_broker(folder) as secured:
        yield secured


class SecuredSystem(System):
    """The four services, each with the user that is meant for it."""

    secured: Secured

    def new(self, name: str, port: int, log_name: str = "", **settings: str) -> Service:
        own = self.secured.environment(KafkaUser[name.upper()])
        return super().new(name, port, log_name, **own, **settings)


def test_application_is_decided_by_processes_that_may_do_what_their_lists_say(
    secured: Secured, database: Database, tmp_path: Path
) -> None:
    SecuredSystem.secured = secured
    system = SecuredSystem(database.url, "unused:1", tmp_path)
    try:
        system.start("api", "credit", "decision")  # the publisher would publish what is older than a second
        answer = httpx.post(f"{system.api.url}/applications", json=an_application(), timeout=15, trust_env=False)
        decided = eventually(lambda: database.value("SELECT max(status) FROM applications WHERE status <> 'PENDING'"))
        eventually(lambda: system.api.metric(PUBLISHED) == system.credit.metric(PUBLISHED) == 1)
        system.start("publisher")
        backlog = eventually(lambda: "kafka_consumer_lag" in system.publisher.get("/metrics").text)
    finally:
        system.stop()

    assert answer.status_code == 202
    assert decided == "PRE_APPROVED"
    assert backlog
    assert "AUTHORIZATION_FAILED" not in system.logs()


@pytest.mark.usefixtures("offsets_are_waited_for")
def test_operator_reads_backlogs_and_dead_letters(secured: Secured) -> None:
    on_call = secured.settings(KafkaUser.OPERATOR)
    publish(secured.plain, SUBMITTED_DLQ, b"for the operator")

    assert consumer_lag.by_group(on_call).keys() == GROUPS.keys()
    assert b"for the operator" in [each.value() for each in topic_reader.read_topics(on_call, [SUBMITTED_DLQ])]


@pytest.mark.parametrize("user", [KafkaUser.CREDIT, KafkaUser.PUBLISHER])
def test_refusal_names_the_user_that_may_not_read_a_topic_and_the_one_that_may(
    secured: Secured, user: KafkaUser
) -> None:
    publish(secured.plain, SUBMITTED_DLQ, b"for the person on call")

    with pytest.raises(Misconfigured, match=rf"{user} .*may not read .*prequal-kafka-operator"):
        list(topic_reader.read_topics(secured.settings(user), [REPORTED_DLQ, SUBMITTED_DLQ]))


def test_command_of_the_page_retires_an_encryption_key_in_a_pod_of_the_api(
    secured: Secured, database: Database, tmp_path: Path
) -> None:
    (command,) = [each for each in SHELL if "keys retire" in each]
    old = key_id(base64.b64decode(OTHER_KEY))
    encryption_keys.make_known(database.url, operator(), "ENCRYPTION_KEY", base64.b64decode(OTHER_KEY))

    done = as_in_the_cluster(command.replace("KEY_ID", old.hex()), secured, database, KafkaUser.API, tmp_path)

    assert (done.stdout, done.stderr) == (
        f"Key {old.hex()} is retired. Take it out of ENCRYPTION_KEYS_RETIRED.\n",
        "",
    )


def test_shell_of_the_page_reads_dead_letters_in_a_pod_of_credit(
    secured: Secured, database: Database, tmp_path: Path
) -> None:
    (command,) = [each for each in SHELL if "exec sh" in each]
    publish(secured.plain, SUBMITTED_DLQ, b"for the person on call")
    typed = f"{as_login(database.url, Role.OPERATOR, DATABASE_PASSWORD)}\n{PASSWORD}\nprequal dlq list\n"

    done = as_in_the_cluster(command, secured, database, KafkaUser.CREDIT, tmp_path, typed)

    assert SUBMITTED_DLQ in done.stdout, done.stderr


@pytest.mark.parametrize("user", KafkaUser)
def test_user_may_do_what_its_list_says_and_nothing_else(secured: Secured, user: KafkaUser) -> None:
    settings = secured.settings(user)
    for topic in ALL_TOPICS:
        publish(secured.plain, topic, b"there is something to read")

    assert {
        *(("topic", topic, "Write") for topic in writes(settings)),
        *(("topic", topic, "Read") for topic in reads(settings)),
        *(("topic", topic, "Create") for topic in creates(settings)),
        *(("topic", topic, "Alter") for topic in alters(settings)),
        *(("group", group, "Read") for group in commits(settings)),
    } == {(acl.kind, acl.name, acl.operation) for acl in acls.ACLS[user] if acl.operation != "Describe"}


def as_in_the_cluster(
    command: str, secured: Secured, database: Database, user: KafkaUser, folder: Path, typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Carry a command of the page out, whose `kubectl` runs what it is given with the environment of a user's pod."""
    for name, words in (("kubectl", KUBECTL), ("prequal", f'exec {sys.executable} -P -m prequal "$@"')):
        (folder / name).write_text(f"#!/bin/sh\n{words}\n")
        (folder / name).chmod(0o755)
    pod = secured.environment(user, KAFKA_SASL_PASSWORD=PASSWORD) | {
        "DATABASE_URL": as_login(database.url, Role.API, DATABASE_PASSWORD),
        "ENCRYPTION_KEY": ENCRYPTION_KEY,
        "ENCRYPTION_KEYS_RETIRED": OTHER_KEY,
        "PATH": f"{folder}:/usr/bin:/bin",
    }
    del pod["KAFKA_SASL_PASSWORD_FILE"]
    secrets = {"URI": database.url, "ON_CALL": PASSWORD}
    return subprocess.run(
        ["bash", "-c", command], env=pod | secrets, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


def publish(bootstrap_servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(topic, value)
    assert producer.flush(10) == 0


def is_refused(error: KafkaError | None) -> bool:
    refusals = KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED
    return error is not None and error.code() in refusals


def writes(settings: KafkaSettings) -> set[str]:
    """The topics that this user may write to."""
    written: dict[str, KafkaError | None] = {}
    # An idempotent producer that may write nowhere would die of the first refusal.
    producer = Producer(producer_settings(settings) | {"enable.idempotence": False})

    def delivered(error: KafkaError | None, message: Message) -> None:
        written[message.topic() or ""] = error

    for topic in ALL_TOPICS:
        producer.produce(topic, b"not an event", on_delivery=delivered)
    assert producer.flush(20) == 0
    assert all(error is None or is_refused(error) for error in written.values())
    return {topic for topic, error in written.items() if error is None}


def reads(settings: KafkaSettings) -> set[str]:
    """The topics that this user may read; each holds a message."""
    with closing(Consumer(consumer_settings(settings, acls.READER_GROUP) | {"enable.auto.commit": False})) as consumer:
        answers = {topic: answer_to_fetch(consumer, topic) for topic in ALL_TOPICS}
    assert all(error is None or is_refused(error) for error in answers.values())
    return {topic for topic, error in answers.items() if error is None}


def answer_to_fetch(consumer: Consumer, topic: str) -> KafkaError | None:
    unseen: KafkaError | None = consumer.list_topics(topic, 10).topics[topic].error
    if unseen is not None:
        return unseen
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in PARTITIONS])
    answers: list[KafkaError | None] = []

    def answered() -> bool:
        # A message without a value, as an error is, counts as false.
        if (message := consumer.poll(0.5)) is not None and message.topic() == topic:
            answers.append(message.error())
        return bool(answers)

    eventually(answered)
    return answers[0]


def commits(settings: KafkaSettings) -> set[str]:
    """The groups that this user may store offsets of."""
    admin = AdminClient(common_settings(settings))
    return {group for group in (*GROUPS, acls.READER_GROUP) if not is_refused(answer_to_commit(admin, group))}


def answer_to_commit(admin: AdminClient, group: str) -> KafkaError | None:
    place = TopicPartition(GROUPS.get(group, SUBMITTED_DLQ), 0, 0)
    (future,) = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])]).values()
    try:
        (answer,) = future.result(10).topic_partitions
    except KafkaException as failure:
        found: KafkaError = failure.args[0]
        return found
    return answer.error  # type: ignore[no-any-return]


def creates(settings: KafkaSettings) -> set[str]:
    """The topics that this user may create; all are there already."""
    admin = AdminClient(common_settings(settings))
    answers = {}
    for topic, future in admin.create_topics([NewTopic(each) for each in ALL_TOPICS], validate_only=True).items():
        with pytest.raises(KafkaException) as refused:
            future.result(10)
        answers[topic] = refused.value.args[0].code()
    return {topic for topic, code in answers.items() if code == KafkaError.TOPIC_ALREADY_EXISTS}


def alters(settings: KafkaSettings) -> set[str]:
    """The topics of which this user may make more partitions."""
    admin = AdminClient(common_settings(settings))
    wanted = [NewPartitions(each, 9) for each in ALL_TOPICS]
    errors = {
        topic: asked.exception(10) for topic, asked in admin.create_partitions(wanted, validate_only=True).items()
    }
    assert all(error is None or is_refused(error.args[0]) for error in errors.values())
    return {topic for topic, error in errors.items() if error is None}


def wrong(secured: Secured, what: str) -> KafkaSettings:
    """Settings that no broker lets in."""
    match what:
        case "password":
            (secured.folder / "wrong").touch(0o600)
            (secured.folder / "wrong").write_text("hunter2")
            changes = {"KAFKA_SASL_PASSWORD_FILE": str(secured.folder / "wrong")}
        case "authority":
            changes = {"KAFKA_SSL_CA_LOCATION": str(secured.other_authority)}
        case _:
            changes = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{secured.port}"}
    return secured.settings(KafkaUser.TOPICS, **changes)


CERTIFICATE = (
    "the certificate of a Kafka broker is not signed by the authority of KAFKA_SSL_CA_LOCATION, or not for the "
    "broker's name"
)
USER = "Kafka refuses the user of KAFKA_SASL_USERNAME, its password or KAFKA_SASL_MECHANISM"
EVERY_WRONG = pytest.mark.parametrize(
    ("what", "reason"), [("password", USER), ("authority", CERTIFICATE), ("name", CERTIFICATE)]
)


@EVERY_WRONG
def test_command_that_is_not_let_in_says_why(
    secured: Secured, what: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "ANSWER_SECONDS", 3.0)

    with pytest.raises(Transient, match=re.escape(reason)):
        topics.create(wrong(secured, what))


@EVERY_WRONG
async def test_process_that_is_not_let_in_is_not_ready_and_says_why_once(
    secured: Secured, database: Database, what: str, reason: str
) -> None:
    settings = load(CreditSettings, **KEYS_OF_CREDIT, database_url=database.url, **wrong(secured, what).model_dump())
    readiness, stop = Readiness(topology.Service.CREDIT, settings), asyncio.Event()
    readiness.started = True
    with structlog.testing.capture_logs() as lines:
        watching = asyncio.create_task(readiness.watch(stop))
        await soon(lambda: readiness.answer()[1].get("reason") == reason)
        status, body = readiness.answer()
        stop.set()
        await watching

    assert (status, body["kafka"]) == (503, "disconnected")
    said = [line for line in lines if line.get("dependency") == "kafka" and "reason" in line]
    assert [(line["event"], line["log_level"], line["reason"]) for line in said] == [
        ("dependency_changed", "warning", reason)
    ]
