"""Clients of AWS's own SDK for the simulator whose address is in SIMULATOR_URL."""

import os

import boto3
import pytest
from botocore.config import Config


def client(service, region="eu-central-1", key="anyone", secret="anything", token=None, **settings):
    """A client that tries once, so that every refusal shows, unless `settings` say otherwise."""
    settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 30} | settings
    return boto3.client(
        service,
        endpoint_url=os.environ["SIMULATOR_URL"],
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(**settings),
    )


@pytest.fixture(scope="session")
def ecs():
    return client("ecs")


@pytest.fixture(scope="session")
def ec2():
    return client("ec2")


@pytest.fixture(scope="session")
def sqs():
    return client("sqs")


@pytest.fixture(scope="session")
def patient():
    """Makes clients that retry as the SDK does by default, without its long waits."""
    return lambda service: client(service, retries={"total_max_attempts": 5, "mode": "standard"})
