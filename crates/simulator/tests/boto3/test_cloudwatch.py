"""CloudWatch alarms as boto3 sees them."""

import pytest
from botocore.exceptions import ClientError
from conftest import client

TYPES = ["CompositeAlarm", "MetricAlarm"]


def states(**parameters):
    answer = client("cloudwatch").describe_alarms(**parameters)
    alarms = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}


def test_alarms_of_the_fleet_are_found_by_name_and_type():
    assert states() == {"errors": "ALARM"}, "without types, only metric alarms are returned"
    both = {"errors": "ALARM", 'both & "more"': "OK"}
    assert states(AlarmTypes=TYPES) == both
    assert states(AlarmTypes=TYPES, AlarmNames=[*both, "unknown"]) == both
    assert states(AlarmTypes=TYPES, AlarmNames=["unknown"]) == {}
    assert states(AlarmTypes=TYPES, StateValue="OK") == {'both & "more"': "OK"}


def test_more_than_a_hundred_names_of_the_fleet_are_refused():
    with pytest.raises(ClientError) as caught:
        states(AlarmNames=[f"a-{number}" for number in range(101)])
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_an_alarm_has_its_changed_state():
    assert states() == {"errors": "OK", "new": "INSUFFICIENT_DATA"}
