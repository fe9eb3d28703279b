"""Fills moto with instances of every kind and turns its authorization on where asked to; prints JSON.

usage: moto_instances.py URL COUNT [signed]
"""

import json
import sys
import urllib.request

import boto3

url, count, signed = sys.argv[1], int(sys.argv[2]), "signed" in sys.argv[3:]
settings = dict(endpoint_url=url, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
ec2, iam = boto3.client("ec2", **settings), boto3.client("iam", **settings)
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
cidr6 = ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
subnet = ec2.create_subnet(
    VpcId=vpc["VpcId"], CidrBlock="10.20.0.0/20", Ipv6CidrBlock=cidr6.replace("/56", "/64")
)["Subnet"]["SubnetId"]


def run(count=1, **more):
    many = ec2.run_instances(ImageId=image, SubnetId=subnet, MinCount=count, MaxCount=count, **more)
    return [it["InstanceId"] for it in many["Instances"]]


plain = run(count)
(dual,) = run(Ipv6AddressCount=1)
(stopped,) = run()
(terminated,) = run()
ec2.stop_instances(InstanceIds=[stopped])
ec2.terminate_instances(InstanceIds=[terminated])
seen = {}
for page in ec2.get_paginator("describe_instances").paginate():
    for it in (it for reservation in page["Reservations"] for it in reservation["Instances"]):
        sixes = [six["Ipv6Address"] for card in it["NetworkInterfaces"] for six in card["Ipv6Addresses"]]
        seen[it["InstanceId"]] = [it.get("PrivateIpAddress"), it.get("Ipv6Address") or next(iter(sixes), None)]
found = {"plain": plain, "dual": dual, "stopped": stopped, "terminated": terminated, "seen": seen}
if signed:
    iam.create_user(UserName="notifier")
    policy = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    iam.put_user_policy(UserName="notifier", PolicyName="read", PolicyDocument=document)
    key = iam.create_access_key(UserName="notifier")["AccessKey"]
    found |= {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    # From now on moto checks every request's signature and rights.
    text = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", text, method="POST"))
print(json.dumps(found))
