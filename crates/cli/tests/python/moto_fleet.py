"""Moto with a fleet whose addresses are on loopback; prints where it answers and what it made, ends when stdin does.

usage: moto_fleet.py SUBNET PORT HOST,HOST,… TASK,TASK,…

SUBNET is a /24 of loopback that holds all addresses: of container instances, and of Fargate tasks. PORT is what the labels say.
"""

import json
import sys
import urllib.request

import boto3
import moto.ecs.models as ecs_models
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
subnet_cidr, port = sys.argv[1:3]
host_addresses, task_addresses = (argument.split(",") for argument in sys.argv[3:5])

# Moto starts tasks and never their containers, says numbers where ECS says text, and gives the interfaces of Fargate
# tasks an address of 10.0.0.0/8 by chance.
make_container = ecs_models.Container.__init__


def running_container(self, definition):
    make_container(self, definition)
    self.last_status = "RUNNING"
    self.cpu, self.memory = str(self.cpu), str(self.memory)


ecs_models.Container.__init__ = running_container
free = iter(task_addresses)
ecs_models.random_private_ip = lambda: next(free)

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://%s:%s" % server.get_host_and_port()
settings = dict(endpoint_url=url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
ec2, ecs = boto3.client("ec2", **settings), boto3.client("ecs", **settings)

# "Running" lasts: by itself moto moves a task on with each look at it.
manual = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 1_000_000}}
request = urllib.request.Request(
    f"{url}/moto-api/state-manager/set-transition", json.dumps(manual).encode(), {"Content-Type": "application/json"}
)
urllib.request.urlopen(request).close()

vpc = ec2.create_vpc(CidrBlock=subnet_cidr)["Vpc"]["VpcId"]
# Moto reads the name of a Fargate task's interface, and gives it one only here.
ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=subnet_cidr)["Subnet"]["SubnetId"]
group = ec2.create_security_group(VpcId=vpc, GroupName="tasks", Description="tasks")["GroupId"]
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
ecs.create_cluster(clusterName="prod")


def host(address):
    """A container instance at this address."""
    more = dict(ImageId=image, SubnetId=subnet, MinCount=1, MaxCount=1, PrivateIpAddress=address)
    document = json.dumps({"instanceId": ec2.run_instances(**more)["Instances"][0]["InstanceId"]})
    made = ecs.register_container_instance(cluster="prod", instanceIdentityDocument=document)
    return made["containerInstance"]["containerInstanceArn"]


def definition(family, network, **container):
    container = {"name": "app", "image": "example/app", "cpu": 16, "memory": 16, **container}
    made = ecs.register_task_definition(family=family, networkMode=network, containerDefinitions=[container])
    return made["taskDefinition"]["taskDefinitionArn"]


def on_hosts(service, network, hosts, **container):
    made = ecs.start_task(
        cluster="prod",
        group=f"service:{service}",
        taskDefinition=definition(service, network, **container),
        containerInstances=hosts,
    )
    return [task["taskArn"] for task in made["tasks"]]


def on_fargate(service, count, **container):
    made = ecs.run_task(
        cluster="prod",
        group=f"service:{service}",
        taskDefinition=definition(service, "awsvpc", **container),
        count=count,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
    )
    return [task["taskArn"] for task in made["tasks"]]


labels = {"dockerLabels": {"NOTIFY_ME_CONTAINER_PORT": port, "NOTIFY_ME_API_URI": "/v1.0/notify"}}
hosts = [host(address) for address in host_addresses]
agents = on_hosts("agent", "host", hosts, **labels)
web = on_fargate("web", len(task_addresses), **labels)
on_hosts("classic", "bridge", hosts[:1], portMappings=[{"containerPort": int(port)}], **labels)
on_hosts("quiet", "host", hosts[:1])
print(json.dumps({"url": url, "tasks": dict(zip(host_addresses + task_addresses, agents + web))}), flush=True)
sys.stdin.read()
