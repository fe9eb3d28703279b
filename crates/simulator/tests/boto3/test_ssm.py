"""Machines outside AWS as boto3 sees them in Systems Manager."""

import pytest
from botocore.exceptions import ClientError
from conftest import client


def nodes(**parameters):
    pages = client("ssm").get_paginator("describe_instance_information").paginate(**parameters)
    lists = [page["InstanceInformationList"] for page in pages]
    return [node for page in lists for node in page], [len(page) for page in lists]


def asked(*ids):
    return {"Filters": [{"Key": "InstanceIds", "Values": list(ids)}]}


def test_nodes_come_ten_to_a_page_unless_asked_otherwise():
    found, sizes = nodes()
    assert sizes == [10, 10, 3] and len({node["InstanceId"] for node in found}) == 23
    assert nodes(PaginationConfig={"PageSize": 50}) == (found, [23])
    for node in found:
        assert node["InstanceId"].startswith("mi-") and node["IPAddress"].startswith("10.")
        assert node["ResourceType"] == "ManagedInstance"
    assert [node["PingStatus"] for node in found].count("ConnectionLost") == 1


def test_nodes_are_found_by_their_ids_and_one_unknown_id_fails_the_call():
    [first, second, *_] = [node["InstanceId"] for node in nodes()[0]]
    assert [node["InstanceId"] for node in nodes(**asked(second, first))[0]] == [first, second]
    for unknown in ("mi-0123456789abcdef0", "i-0123456789abcdef0"):
        with pytest.raises(ClientError) as caught:
            nodes(**asked(first, unknown))
        assert caught.value.response["Error"]["Code"] == "InvalidInstanceId"
    with pytest.raises(ClientError):
        nodes(Filters=[{"Key": "InstanceIds", "Values": [first] * 101}])


def test_container_instances_have_their_custom_attributes():
    ecs = client("ecs")
    arns = ecs.list_container_instances(cluster="prod")["containerInstanceArns"]
    described = ecs.describe_container_instances(cluster="prod", containerInstances=arns)["containerInstances"]
    attributes = [{one["name"]: one.get("value") for one in host["attributes"]} for host in described]
    assert attributes.count({"notify.address": "192.0.2.7"}) == 1
