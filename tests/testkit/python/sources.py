"""Makes sources of events on an emulator by AWS's own API, and events of each kind.

    sources.py URL create QUEUE_ARN    a bucket, a rule, a topic and a table whose events go to this queue
    sources.py URL events              an event of each kind
    sources.py URL rules NAME FILE     a parameter with the text of a file, where terraform's stand-in only stores it
    sources.py URL records             the records of the table's stream, as Lambda hands them to a function
"""

import datetime
import json
import sys

import boto3
import botocore.config

REGION = "us-east-1"
CONFIG = botocore.config.Config(retries={"max_attempts": 3}, s3={"addressing_style": "path"})


def client(url, service):
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id="simulator", aws_secret_access_key="simulator", config=CONFIG
    )


def create(url, queue):
    s3, events, sns = (client(url, service) for service in ["s3", "events", "sns"])
    s3.create_bucket(Bucket="prices")
    s3.put_bucket_notification_configuration(
        Bucket="prices",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": queue, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]},
    )
    s3.create_bucket(Bucket="images")
    s3.put_bucket_notification_configuration(Bucket="images", NotificationConfiguration={"EventBridgeConfiguration": {}})
    for name, pattern in [("images", {"source": ["aws.s3"]}), ("orders", {"source": ["com.example.orders"]})]:
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "observer", "Arn": queue}])
    topic = sns.create_topic(Name="releases")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    raw = sns.create_topic(Name="direct")["TopicArn"]
    sns.subscribe(TopicArn=raw, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    client(url, "dynamodb").create_table(
        TableName="flags",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def put_rules(url, name, path):
    with open(path, encoding="utf-8") as file:
        client(url, "ssm").put_parameter(Name=name, Value=file.read(), Type="String", Overwrite=True)


def make_events(url):
    s3, events, sns, tables = (client(url, service) for service in ["s3", "events", "sns", "dynamodb"])
    s3.put_object(Bucket="prices", Key="new prices/a+b.json", Body=b"{}")
    s3.put_object(Bucket="images", Key="logo.png", Body=b"x")
    detail = json.dumps({"order": 7, "total": 12.50})
    events.put_events(Entries=[{"Source": "com.example.orders", "DetailType": "Order Changed", "Detail": detail}])
    topics = {topic["TopicArn"].rpartition(":")[2]: topic["TopicArn"] for topic in sns.list_topics()["Topics"]}
    sns.publish(TopicArn=topics["releases"], Message="v42", Subject="release")
    sns.publish(TopicArn=topics["direct"], Message=json.dumps({"cluster": "prod", "event": {"id": "direct-1", "type": "com.example.direct"}}))
    tables.put_item(TableName="flags", Item={"name": {"S": "dark-mode"}, "on": {"BOOL": True}})


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    raise TypeError(value)


def records(url):
    streams = client(url, "dynamodbstreams")
    [stream] = streams.list_streams(TableName="flags")["Streams"]
    found = []
    for shard in streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]:
        start = {"StreamArn": stream["StreamArn"], "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(**start)["ShardIterator"]
        found += streams.get_records(ShardIterator=iterator)["Records"]
    # Lambda adds the ARN to each record.
    print(json.dumps({"Records": [record | {"eventSourceARN": stream["StreamArn"]} for record in found]}, default=plain))


def main():
    url, what, *more = sys.argv[1:]
    {"create": create, "rules": put_rules, "events": make_events, "records": records}[what](url, *more)


if __name__ == "__main__":
    main()
