"""Plays the acceptance run on emulators, run.py and steps.py as they are: `make test-acceptance`.

MiniStack stands for AWS and enforces IAM; the simulator stands for ECS and EC2. At the addresses of its tasks the real
receiver.py listens, and what it prints goes into the log group that the steps read.

    .venv/bin/python infra/acceptance/tests/rehearsal.py target/debug/ecs-task-notifier    (TF names another terraform)
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import boto3

HERE = pathlib.Path(__file__).resolve().parent
ACCEPTANCE, MODULE = HERE.parent, HERE.parent.parent / "terraform"
sys.path[:0] = [str(ACCEPTANCE), str(MODULE / "tests")]
import people  # noqa: E402
import run  # noqa: E402

RUN, REGION, ACCOUNT = "test", "us-east-1", "000000000000"
START_S = 60
END_S = 30
LOG_LINES_SHOWN = 400
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

# What the emulators settle as AWS would.
SETTLED = {
    "plan",
    "the receivers' logs",
    "redrive",
    "queue policy of the tasks queue",
    "destroy",
}
# How every other step ends here, and why that says nothing of AWS.
UNSETTLED = {
    "publish: ListTasks with ecs:cluster, endpoints, bridge mode": ("held", "the simulator knows no IAM, and there is no VPC"),
    "DynamoDB under a customer's key": ("held", "MiniStack notes the key and encrypts nothing"),
    "ecs:cluster in each call": ("failed", "the simulator knows no IAM"),
    "SenderId": ("failed", "MiniStack names the account as the sender of every message"),
    "debug logs in CloudWatch": ("held", "MiniStack does not filter by application_log_level"),
    "batching window": ("held", "MiniStack keeps the window and does not wait for it"),
    "Service Connect with TLS": ("held", "a listener that speaks only TLS stands for the proxy of Service Connect"),
}

FLEET = """
region = "{region}"
account = "{account}"

[[cluster]]
name = "acc-{run}"
[[cluster.hosts]]
{services}
[[cluster]]
name = "acc-{run}-other"

[[cluster]]
name = "acc-{run}-connected"
{connected}
"""
# Nothing of the simulator listens: receiver.py does.
SERVICE = """
[[cluster.service]]
name = "{name}"
launch_type = "{launch}"
tasks = {tasks}
[[cluster.service.container]]
name = "app"
ports = [8080]
refuse = true
labels = {{ NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "{path}" }}
"""

# The configuration without what needs a VPC, hosts or a certificate authority.
FILES = ["main.tf", "samples.tf", "outputs.tf", "variables.tf"]
OVERRIDE = """
provider "aws" {{
  # MiniStack's root: a stand-in for the provider knows no session tokens.
  access_key = "test"
  secret_key = "test"

  # MiniStack keeps the clusters' names, although AWS_ENDPOINT_URL_ECS names the simulator.
  endpoints {{
    ecs = "{aws}"
  }}
}}

module "notifier" {{
  vpc_id               = null
  subnet_ids           = ["subnet-1"]
  security_group_ids   = ["sg-1"]
  route_table_ids      = []
  create_vpc_endpoints = false
  allow_networks       = ["127.0.0.0/8"]
  # A task behind a proxy that refuses it is given up at once.
  horizon_minutes      = 0

  environment = {{
    AWS_ENDPOINT_URL_ECS     = "{ecs}"
    AWS_ENDPOINT_URL_EC2     = "{ecs}"
    NOTIFIER_TRUSTED_SENDERS = "{account}"
  }}
}}
"""
# MiniStack begins a secret with an empty version, which would become the previous key; AWS begins it with none.
ADDED = """
resource "aws_secretsmanager_secret_version" "first" {
  secret_id     = aws_secretsmanager_secret.signing.id
  secret_string = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
}
"""
# Beside those of people.py, which concern persons: the functions' own permissions for batches.
CHANGES = people.CHANGES | {"iam.tf": people.BATCHES}
OPERATOR = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
ASSUME = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::%s:root"}}]}' % ACCOUNT


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def samples(name):
    """The sample services of one local of samples.tf, by name."""
    block = re.search(rf"^  {name} = {{\n(.*?)^  }}", (ACCEPTANCE / "samples.tf").read_text(), re.DOTALL | re.MULTILINE)[1]
    rows = re.findall(r"^    (\w+) += {(.*)}$", block, re.MULTILINE)
    assert rows, f"samples.tf has no {name}"
    return {service: {"tasks": "1"} | dict(re.findall(r'(\w+) = "?([^",]*[^", ])"?', row)) for service, row in rows}


def fleet():
    blocks = {
        name: "".join(SERVICE.format(name=service, **it) for service, it in samples(name).items())
        for name in ("services", "connected")
    }
    return FLEET.format(region=REGION, account=ACCOUNT, run=RUN, **blocks)


def configuration(folder, aws, ecs):
    """The root and the module beside it, changed where emulators differ from AWS; returns the root."""
    root, module = folder / "acceptance", folder / "terraform"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "examples", "tests"))
    for name, changes in CHANGES.items():
        text = (module / name).read_text()
        for old, new in changes:
            assert old in text, f"`{old}` is not in {name}"
            text = text.replace(old, new)
        (module / name).write_text(text)
    root.mkdir()
    for name in FILES:
        shutil.copy(ACCEPTANCE / name, root)
    (root / "emulator.tf").write_text(ADDED)
    (root / "emulator_override.tf").write_text(OVERRIDE.format(aws=aws, ecs=ecs, account=ACCOUNT))
    return root


@contextlib.contextmanager
def quiet(log):
    """Whatever this process and its children write to stdout and stderr goes into this file."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with open(log, "w") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, old in zip((1, 2), kept):
            os.dup2(old, number)
            os.close(old)


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def simulator(program, folder):
    (folder / "fleet.toml").write_text(fleet())
    command = [program, "simulate", "--fleet", folder / "fleet.toml", "--no-queues", "--env-file", folder / "simulator.env"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)) as process:
        yield process.stdout.readline().strip()


def listeners(url, cluster):
    """The service of each task of a cluster, and the address and port that its container would listen at."""
    ecs, ec2 = (boto3.client(name, endpoint_url=url, region_name=REGION, **KEYS) for name in ("ecs", "ec2"))
    tasks = ecs.describe_tasks(cluster=cluster, tasks=ecs.list_tasks(cluster=cluster)["taskArns"])["tasks"]
    for task in tasks:
        service, (container,) = task["group"].removeprefix("service:"), task["containers"]
        if container["networkInterfaces"]:
            yield service, container["networkInterfaces"][0]["privateIpv4Address"], 8080
            continue
        hosts = ecs.describe_container_instances(cluster=cluster, containerInstances=[task["containerInstanceArn"]])
        ids = [host["ec2InstanceId"] for host in hosts["containerInstances"]]
        instance = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
        yield service, instance["PrivateIpAddress"], container["networkBindings"][0]["hostPort"]


def refuse_plain_text(listener):
    """Answers whoever does not begin a TLS handshake as a TLS server does: by an alert, and the end of the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    while True:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass
        connection.close()


class Samples:
    """The receivers of the sample tasks; what they print goes into the log group. Remembers what there was on
    MiniStack when the first of them was called."""

    def __init__(self, aws, inventory):
        self.logs = boto3.client("logs", endpoint_url=aws, region_name=REGION, **KEYS)
        self.inventory, self.seen, self.lock = inventory, None, threading.Lock()

    def put(self, process, stream):
        for line in process.stdout:
            with self.lock:
                self.seen = self.seen or self.inventory()
            group = f"/ecs/acc-{RUN}"
            with contextlib.suppress(self.logs.exceptions.ResourceAlreadyExistsException):
                self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
            event = {"timestamp": int(time.time() * 1000), "message": line.rstrip("\n")}
            self.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    def start(self, stack, number, service, address, port):
        if service == "proxied":
            listener = stack.enter_context(socket.create_server((address, port)))
            threading.Thread(target=refuse_plain_text, args=(listener,), daemon=True).start()
            return
        command = [sys.executable, "-u", ACCEPTANCE / "receiver.py", address, str(port)]
        process = stack.enter_context(ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)))
        threading.Thread(target=self.put, args=(process, f"{service}/app/{number}"), daemon=True).start()
        until = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
                return
            assert process.poll() is None and time.monotonic() < until, "receiver.py does not listen"
            time.sleep(0.1)


class Inventory:
    """What there is on MiniStack: sets of names, by kind."""

    def __init__(self, aws):
        names = ["sqs", "lambda", "dynamodb", "secretsmanager", "logs", "iam", "s3", "ecs", "kms"]
        self.of = {name: boto3.client(name, endpoint_url=aws, region_name=REGION, **KEYS) for name in names}

    def __call__(self):
        of = self.of
        kms = [of["kms"].describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in of["kms"].list_keys()["Keys"]]
        found = {
            "queue": of["sqs"].list_queues().get("QueueUrls", []),
            "function": [it["FunctionName"] for it in of["lambda"].list_functions()["Functions"]],
            "event source mapping": [it["UUID"] for it in of["lambda"].list_event_source_mappings()["EventSourceMappings"]],
            "table": of["dynamodb"].list_tables()["TableNames"],
            "secret": [it["Name"] for it in of["secretsmanager"].list_secrets()["SecretList"]],
            "log group": [it["logGroupName"] for it in of["logs"].describe_log_groups()["logGroups"]],
            "role": [it["RoleName"] for it in of["iam"].list_roles()["Roles"]],
            "bucket": [it["Name"] for it in of["s3"].list_buckets()["Buckets"]],
            "cluster": of["ecs"].list_clusters()["clusterArns"],
            # AWS deletes no key at once.
            "key": [it["KeyId"] for it in kms if it["KeyState"] != "PendingDeletion"],
        }
        return {kind: set(names) for kind, names in found.items()}


def sign_in(aws):
    """The environment of somebody with a role that may do everything, as whoever runs the real thing has."""
    iam, sts = (boto3.client(name, endpoint_url=aws, region_name=REGION, **KEYS) for name in ("iam", "sts"))
    role = iam.create_role(RoleName="operator", AssumeRolePolicyDocument=ASSUME)["Role"]["Arn"]
    iam.put_role_policy(RoleName="operator", PolicyName="everything", PolicyDocument=OPERATOR)
    keys = sts.assume_role(RoleArn=role, RoleSessionName="anna")["Credentials"]
    return people.credentials(keys)


def table(text):
    """Verdict and detail of each step, by name, as the report has them."""
    rows = re.findall(r"^\| (.+?) \| (held|failed|open) \| (.*) \|$", text, re.MULTILINE)
    return {name: (verdict, detail) for name, verdict, detail in rows}


def differences(text, before, seen, after):
    """Why the rehearsal is not as it should be, one sentence each."""
    found = table(text)
    wanted = {name: "held" for name in SETTLED} | {name: verdict for name, (verdict, _) in UNSETTLED.items()}
    readme = (ACCEPTANCE / "README.md").read_text()
    for name, (_, why) in UNSETTLED.items():
        if f"| {name} | {why} |" not in readme:
            yield f"README.md does not say that step `{name}` stays open, because {why}"
    for name in wanted.keys() - found.keys():
        yield f"step `{name}` is missing from the report"
    for name, (verdict, detail) in found.items():
        if name not in wanted:
            yield f"step `{name}` is in neither table: {verdict}: {detail}"
        elif verdict != wanted[name]:
            reason = f" ({UNSETTLED[name][1]})" if name in UNSETTLED else ""
            yield f"step `{name}` {verdict}, and should have {wanted[name]}{reason}: {detail}"
    if ACCOUNT in text or "ACCOUNT" not in text:
        yield "the report has the account's number, or never had one to leave out"
    for kind, names in (seen or {kind: set() for kind in before}).items():
        if not names - before[kind]:
            yield f"the run had no {kind} when it published, so nothing shows that it was destroyed"
    for kind, names in after.items():
        if names - before[kind]:
            yield f"left over: {kind} {', '.join(sorted(names - before[kind]))}"


def main(program):
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = pathlib.Path(scratch)
        aws, process = people.ministack(free_port())
        stack.enter_context(ended(process))
        ecs = stack.enter_context(simulator(program, folder))
        root = configuration(folder, aws, ecs)
        os.environ |= sign_in(aws) | {
            "AWS_ENDPOINT_URL": aws, "AWS_ENDPOINT_URL_ECS": ecs, "AWS_ENDPOINT_URL_EC2": ecs,
            "NOTIFIER_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        inventory = Inventory(aws)
        before = inventory()
        receivers = Samples(aws, inventory)
        for cluster in (f"acc-{RUN}", f"acc-{RUN}-connected"):
            for number, (service, address, port) in enumerate(listeners(ecs, cluster)):
                receivers.start(stack, number, service, address, port)
        arguments = ["--region", REGION, "--budget", "5", "--run", RUN, "--yes", "--architecture", "x86_64"]
        arguments += ["--program", program, "--folder", str(folder / "runs")]
        print("the run is played; terraform's lines are shown if it goes wrong", flush=True)
        run.DESTROY_WAIT_S = 0  # MiniStack has no interfaces that it releases late
        with quiet(folder / "log"):
            run.main(arguments, root)
        text = (folder / "runs" / RUN / "report.md").read_text()
        wrong = list(differences(text, before, receivers.seen, inventory()))
        print("\n".join((folder / "log").read_text().splitlines()[-LOG_LINES_SHOWN:]) if wrong else text)
    for name, (verdict, why) in UNSETTLED.items():
        print(f"not settled here, {verdict}: {name}: {why}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"good: {len(SETTLED)} steps hold on emulators, {len(UNSETTLED)} are run and not settled, and nothing is left")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
