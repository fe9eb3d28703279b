"""EC2 DescribeInstances as boto3 sees it: ids against filters, pages, addresses, errors."""

import pytest
from botocore.exceptions import ClientError


def instances(ec2, **parameters):
    pages = ec2.get_paginator("describe_instances").paginate(**parameters)
    pages = [[it for reservation in page["Reservations"] for it in reservation["Instances"]] for page in pages]
    return [it for page in pages for it in page], [len(page) for page in pages]


def refused(ec2, **parameters):
    with pytest.raises(ClientError) as caught:
        ec2.describe_instances(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["ResponseMetadata"]["RequestId"]
    return caught.value.response["Error"]["Code"]


def where(name, *values):
    return [{"Name": name, "Values": list(values)}]


def test_all_instances_with_and_without_pages(ec2):
    found, sizes = instances(ec2)
    assert sizes == [103] and len({it["InstanceId"] for it in found}) == 103
    assert instances(ec2, PaginationConfig={"PageSize": 50}) == (found, [50, 50, 3])


def test_hidden_managed_instances_show_only_when_asked_for(ec2):
    assert len(instances(ec2, IncludeManagedResources=True)[0]) == 104


def test_ids_and_filters_find_the_same(ec2):
    ids = [it["InstanceId"] for it in instances(ec2)[0][:7]]
    by_id, _ = instances(ec2, InstanceIds=ids)
    by_filter, sizes = instances(ec2, Filters=where("instance-id", *ids), PaginationConfig={"PageSize": 5})
    assert [it["InstanceId"] for it in by_id] == ids and by_filter == by_id and sizes == [5, 2]


def test_an_unknown_id_fails_the_call_and_a_filter_does_not(ec2):
    known, unknown = instances(ec2)[0][0]["InstanceId"], "i-00000000000000000"
    assert refused(ec2, InstanceIds=[known, unknown]) == "InvalidInstanceID.NotFound"
    found, _ = instances(ec2, Filters=where("instance-id", known, unknown))
    assert [it["InstanceId"] for it in found] == [known]


def test_parameters_that_cannot_be_are_refused(ec2):
    known = instances(ec2)[0][0]["InstanceId"]
    assert refused(ec2, InstanceIds=["mi-0123456789abcdef0"]) == "InvalidInstanceID.Malformed"
    assert refused(ec2, InstanceIds=[known], MaxResults=10) == "InvalidParameterCombination"
    assert refused(ec2, MaxResults=4) == "InvalidParameterValue"
    assert refused(ec2, MaxResults=1001) == "InvalidParameterValue"
    assert refused(ec2, Filters=where("colour", "red")) == "InvalidParameterValue"
    assert refused(ec2, NextToken="made up") == "InvalidPaginationToken"
    ids = [f"i-{number:017x}" for number in range(201)]
    assert refused(ec2, Filters=where("instance-id", *ids)) == "FilterLimitExceeded"
    token = ec2.describe_instances(MaxResults=5)["NextToken"]
    assert refused(ec2, NextToken=token, Filters=where("instance-state-name", "running")) == "InvalidPaginationToken"


def test_addresses(ec2):
    found, _ = instances(ec2)
    first = found[0]
    assert first["PrivateIpAddress"] == "10.0.1.4" and "Ipv6Address" not in first
    assert first["State"] == {"Code": 16, "Name": "running"} and first["LaunchTime"].year == 2026
    dual = next(it for it in found if "Ipv6Address" in it and "PrivateIpAddress" in it)
    v6 = next(it for it in found if "PrivateIpAddress" not in it)
    interface = v6["NetworkInterfaces"][0]
    assert [it["Ipv6Address"] for it in interface["Ipv6Addresses"]] == [v6["Ipv6Address"]]
    assert dual["NetworkInterfaces"][0]["PrivateIpAddresses"][0]["Primary"] is True

    def by(name, value):
        return [it["InstanceId"] for it in instances(ec2, Filters=where(name, value))[0]]

    assert by("private-ip-address", "10.0.1.4") == [first["InstanceId"]]
    assert by("ipv6-address", v6["Ipv6Address"]) == [v6["InstanceId"]]
    assert len(by("private-ip-address", "10.0.1.*")) == 102


def test_another_action_is_not_valid(ec2):
    with pytest.raises(ClientError, match="InvalidAction"):
        ec2.describe_vpcs()
