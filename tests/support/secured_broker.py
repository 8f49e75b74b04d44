"""A broker that lets in only who proves a user over TLS, and lets each do what its list says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from harness.broker import ALL_TOPICS
from harness.ports import free_ports
from harness.stores import started
from prequal.core.settings import KafkaSettings
from prequal.local.kafka import Kafka
from prequal.messaging import acls, topics
from prequal.messaging.acls import KafkaUser
from tests.support.certificates import Authority

PASSWORD: Final = "correct-horse"
"""Of every user."""


@dataclass(frozen=True)
class Secured:
    """A broker with a listener for SASL_SSL, whose users have what their lists say, and one without for the test."""

    port: int
    plain: str
    folder: Path
    authority: Path
    other_authority: Path

    def environment(self, user: KafkaUser, **changes: str) -> dict[str, str]:
        """The settings of a client that proves this user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{self.port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD_FILE": str(self.folder / "password"),
            "KAFKA_SSL_CA_LOCATION": str(self.authority),
        } | changes

    def settings(self, user: KafkaUser, **changes: str) -> KafkaSettings:
        given = {name.lower(): value for name, value in self.environment(user, **changes).items()}
        return KafkaSettings.model_validate(given)


@contextmanager
def a_secured_broker(folder: Path) -> Iterator[Secured]:
    """One with every topic, in three partitions, and every user."""
    authority, other = Authority(folder), Authority(folder, "other")
    (folder / "password").touch(0o600)
    (folder / "password").write_text(f"{PASSWORD}\n")
    port, controller_port, secured_port = free_ports(3)
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    node = Kafka(
        folder / "kafka",
        port,
        controller_port,
        properties={
            "listeners": (
                f"PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured_port},"
                f"CONTROLLER://127.0.0.1:{controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{secured_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.issue("localhost").joined()),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        },
    )
    with started(node):
        make_users(node.bootstrap_servers)
        secured = Secured(secured_port, node.bootstrap_servers, folder, authority.file, other.file)
        as_topics = secured.settings(KafkaUser.TOPICS)
        topics.create(as_topics, partitions=2)
        assert topics.create(as_topics, partitions=3).raised == sorted(ALL_TOPICS)
        yield secured


def make_users(bootstrap_servers: str) -> None:
    """Every user with what its list allows."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    made = admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, scram, PASSWORD.encode()) for user in KafkaUser]
    )
    allowed = admin.create_acls(
        [
            AclBinding(
                ResourceType[acl.kind.upper()],
                acl.name,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[acl.operation.upper()],
                AclPermissionType.ALLOW,
            )
            for user, list_ in acls.ACLS.items()
            for acl in set(list_)
        ]
    )
    for future in [*made.values(), *allowed.values()]:
        future.result(10)
