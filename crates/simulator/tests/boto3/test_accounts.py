"""Several accounts and Regions as boto3 sees them: sessions of roles, and what each account and Region has."""

import datetime
import time

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from conftest import client

HOME, OTHER = "111122223333", "444455556666"


def role(name):
    return f"arn:aws:iam::{OTHER}:role/{name}"


def assumed(name="open", **parameters):
    answer = client("sts").assume_role(RoleArn=role(name), RoleSessionName="test", **parameters)
    return answer["Credentials"]


def signed(service, credentials, region="us-west-2"):
    return client(
        service,
        region,
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
    )


def refused(code, status, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    return response["Error"]["Message"]


def services(ecs):
    return ecs.list_services(cluster="prod", maxResults=100)["serviceArns"]


# Who a caller is.


def test_a_key_without_a_role_belongs_to_the_first_account():
    answer = client("sts").get_caller_identity()
    assert answer["Account"] == HOME
    assert answer["Arn"] == f"arn:aws:iam::{HOME}:user/{answer['UserId']}"


def test_a_session_belongs_to_the_account_of_its_role():
    answer = client("sts").assume_role(RoleArn=role("open"), RoleSessionName="one", DurationSeconds=900)
    left = answer["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(seconds=880) < left <= datetime.timedelta(seconds=900)
    user = answer["AssumedRoleUser"]
    assert user["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/open/one"
    assert user["AssumedRoleId"].startswith("AROA") and user["AssumedRoleId"].endswith(":one")
    caller = signed("sts", answer["Credentials"]).get_caller_identity()
    assert (caller["Account"], caller["Arn"]) == (OTHER, user["Arn"])
    assert caller["UserId"] == user["AssumedRoleId"]
    again = client("sts").assume_role(RoleArn=role("open"), RoleSessionName="two")
    assert again["Credentials"]["AccessKeyId"] != answer["Credentials"]["AccessKeyId"]


def test_a_role_is_refused_without_its_external_id_and_where_its_policy_says_so():
    sts = client("sts")
    message = refused("AccessDenied", 403, sts.assume_role, RoleArn=role("closed"), RoleSessionName="test")
    assert f"is not authorized to perform: sts:AssumeRole on resource: {role('closed')}" in message
    for name, more in [("unknown", {}), ("path/guarded", {}), ("path/guarded", {"ExternalId": "shop/2"})]:
        refused("AccessDenied", 403, sts.assume_role, RoleArn=role(name), RoleSessionName="test", **more)
    arn = sts.assume_role(RoleArn=role("path/guarded"), RoleSessionName="test", ExternalId="shop/1")
    assert arn["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/guarded/test"


def test_wrong_parameters_of_a_session_are_refused():
    sts = client("sts")
    for wrong in [{"RoleSessionName": "a b"}, {"DurationSeconds": 43201}]:
        parameters = {"RoleArn": role("open"), "RoleSessionName": "test"} | wrong
        refused("ValidationError", 400, sts.assume_role, **parameters)
    with pytest.raises(ParamValidationError):
        sts.assume_role(RoleArn=role("open"), RoleSessionName="x")


def test_an_expired_session_and_a_wrong_token_are_refused_by_every_service():
    credentials = assumed("short")
    assert services(signed("ecs", credentials)) != []
    wrong = credentials | {"SessionToken": "another"}
    refused("UnrecognizedClientException", 400, signed("ecs", wrong).list_clusters)
    refused("InvalidClientTokenId", 403, signed("sts", wrong).get_caller_identity)
    refused("AuthFailure", 401, signed("ec2", wrong).describe_instances)
    while credentials["Expiration"] > datetime.datetime.now(datetime.timezone.utc):
        time.sleep(0.1)
    refused("ExpiredTokenException", 400, signed("ecs", credentials).list_clusters)
    refused("ExpiredToken", 403, signed("sts", credentials).get_caller_identity)
    refused("RequestExpired", 400, signed("ec2", credentials).describe_instances)


# What each account and Region has.


def test_equal_clusters_of_two_accounts_and_regions_have_nothing_in_common():
    home, region, other = client("ecs"), client("ecs", "us-west-2"), signed("ecs", assumed())
    assert len(services(home)) == 21
    assert services(region) == [f"arn:aws:ecs:us-west-2:{HOME}:service/prod/only-here"]
    assert services(other) == [f"arn:aws:ecs:us-west-2:{OTHER}:service/prod/only-here"]
    tasks = [ecs.list_tasks(cluster="prod", serviceName="only-here")["taskArns"] for ecs in (region, other)]
    assert [len(arns) for arns in tasks] == [3, 3] and not set(tasks[0]) & set(tasks[1])
    named = f"arn:aws:ecs:us-west-2:{OTHER}:cluster/prod"
    refused("ClusterNotFoundException", 400, region.list_tasks, cluster=named)
    assert other.list_tasks(cluster=named)["taskArns"] == tasks[1]


def test_a_region_without_a_fleet_is_empty():
    for ecs in (client("ecs", "sa-east-1"), signed("ecs", assumed(), "sa-east-1")):
        assert ecs.list_clusters()["clusterArns"] == []
        answer = ecs.describe_clusters(clusters=["prod"])
        assert answer["clusters"] == [] and [one["reason"] for one in answer["failures"]] == ["MISSING"]
    assert client("ec2", "sa-east-1").describe_instances()["Reservations"] == []


# Clusters.


def test_clusters_come_a_hundred_to_a_page_deleted_ones_too():
    ecs = client("ecs", "us-west-2")
    pages = [page["clusterArns"] for page in ecs.get_paginator("list_clusters").paginate()]
    assert [len(page) for page in pages] == [100, 22]
    arns = [arn for page in pages for arn in page]
    assert len(set(arns)) == 122 and f"arn:aws:ecs:us-west-2:{HOME}:cluster/old" in arns
    refused("InvalidParameterException", 400, ecs.describe_clusters, clusters=arns[:101])


def test_descriptions_have_tags_on_request_and_the_status():
    ecs = client("ecs", "us-west-2")
    clusters = ecs.describe_clusters(clusters=["prod", "old"])["clusters"]
    assert [(one["clusterName"], one["status"], one["tags"]) for one in clusters] == [
        ("prod", "ACTIVE", []),
        ("old", "INACTIVE", []),
    ]
    [prod] = ecs.describe_clusters(clusters=["prod"], include=["TAGS"])["clusters"]
    assert prod["tags"] == [{"key": "team", "value": "shop"}, {"key": "tier", "value": ""}]
    refused("InvalidParameterException", 400, ecs.describe_clusters, clusters=["prod"], include=["OWNERS"])
    assert "inactive" in refused("ClusterNotFoundException", 400, ecs.list_tasks, cluster="old")
