from itertools import pairwise

import pytest
import yaml

from prequal.core.topology import ROUTES, Route
from prequal.messaging import acls
from prequal.messaging.acls import ACLS, Acl, KafkaUser


def test_commands_and_resources_allow_what_the_lists_say() -> None:
    resources = {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all("\n".join(acls.as_strimzi()))}
    printed = {
        (user, rule["resource"]["type"], rule["resource"]["name"], operation)
        for user, spec in resources.items()
        for rule in spec.get("authorization", {"acls": []})["acls"]
        for operation in rule["operations"]
    }
    words = [line.split() for line in acls.as_lines()]
    commanded = {
        (
            line[line.index("--allow-principal") + 1].removeprefix("User:"),
            line[-2].removeprefix("--"),
            line[-1],
            operation,
        )
        for line in words
        for asked, operation in pairwise(line)
        if asked == "--operation"
    }
    listed = {(user.value, acl.kind, acl.name, acl.operation) for user in KafkaUser for acl in ACLS[user]}
    implied = {each for each in listed if each[3] == "Describe"} - printed

    assert printed == commanded == listed - implied
    assert all({(*each[:3], "Read"), (*each[:3], "Write")} & printed for each in implied)


@pytest.mark.parametrize("route", ROUTES.values(), ids=lambda route: route.topic)
def test_writer_of_a_topic_may_write_to_it_as_the_publisher_may(route: Route) -> None:
    writers = {user for user in KafkaUser if Acl("topic", route.topic, "Write") in ACLS[user]}

    assert {KafkaUser[route.writer.name], KafkaUser.PUBLISHER} <= writers
