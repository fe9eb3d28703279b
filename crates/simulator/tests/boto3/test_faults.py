"""Ordered failures as boto3 sees them; judged_by_boto3.rs orders the ones that each test names."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError


def code_of(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_throttle_every_second_call(ecs, ec2):
    for _ in range(2):
        ecs.list_tasks(cluster="prod")
        assert code_of(ecs.list_tasks, cluster="prod") == ("ThrottlingException", 400)
        ec2.describe_instances()
        assert code_of(ec2.describe_instances) == ("RequestLimitExceeded", 503)


def test_throttled_clients_get_through_by_retrying(patient):
    pages = patient("ecs").get_paginator("list_tasks").paginate(cluster="prod")
    assert sum(len(page["taskArns"]) for page in pages) > 300
    assert patient("ec2").describe_instances()["Reservations"]


def test_fail_first(ecs, ec2):
    assert code_of(ecs.describe_clusters) == ("ServerException", 500)
    assert code_of(ec2.describe_instances) == ("InternalError", 500)
    with pytest.raises(ecs.exceptions.ServerException):
        ecs.describe_clusters()


def test_reset_then_lose_answer(ecs):
    for _ in range(2):
        with pytest.raises(ConnectionClosedError):
            ecs.list_clusters()
    assert ecs.list_clusters()["clusterArns"]


def test_empty_page_leads_on(ecs):
    pages = [page["taskArns"] for page in ecs.get_paginator("list_tasks").paginate(cluster="prod", family="web")]
    assert [len(page) for page in pages] == [0, 4]


def test_missing_entries(ecs, ec2):
    arns = ecs.list_tasks(cluster="prod", serviceName="many-1")["taskArns"][:4]
    found = ecs.describe_tasks(cluster="prod", tasks=arns)
    assert [task["taskArn"] for task in found["tasks"]] == [arns[0], arns[2]]
    assert found["failures"] == [{"arn": arn, "reason": "MISSING"} for arn in (arns[1], arns[3])]
    reservations = ec2.describe_instances()["Reservations"]
    assert len(reservations) == 102


def test_aws_own_limits(ecs):
    refused = 0
    for _ in range(200):
        try:
            ecs.describe_task_definition(taskDefinition="web")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ThrottlingException"
            refused += 1
    assert refused > 0, "the bucket of 50 refills by 20 a second, and these calls are faster"
