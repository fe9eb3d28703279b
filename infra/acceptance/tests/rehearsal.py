"""Runs the acceptance run on emulators, with run.py and steps.py unchanged: `make test-acceptance`.

MiniStack replaces AWS and enforces IAM; the simulator replaces ECS and EC2. The real receiver.py listens at the addresses
of the tasks, and its output goes into the log group that the steps read.

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

# Steps with the same result on the emulators as on AWS.
SETTLED = {
    "plan",
    "the receivers' logs",
    "redrive",
    "queue policy of the tasks queue",
    "destroy",
}
# The result of every other step here, and why it says nothing about AWS.
UNSETTLED = {
    "publish: ListTasks with ecs:cluster, endpoints, bridge mode": ("held", "the simulator has no IAM, and there is no VPC"),
    "DynamoDB under a customer's key": ("held", "MiniStack stores the key's ARN and encrypts nothing"),
    "ecs:cluster in each call": ("failed", "the simulator has no IAM"),
    "SenderId": ("failed", "MiniStack reports the account as the sender of every message"),
    "debug logs in CloudWatch": ("held", "MiniStack does not filter by application_log_level"),
    "batching window": ("held", "MiniStack stores the window and does not wait for it"),
    "Service Connect with TLS": ("held", "a listener that accepts only TLS replaces the proxy of Service Connect"),
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
# The simulator's tasks do not listen; receiver.py listens instead.
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

# The configuration without the parts that need a VPC, hosts or a certificate authority.
FILES = ["main.tf", "samples.tf", "outputs.tf", "variables.tf"]
OVERRIDE = """
provider "aws" {{
  # MiniStack's root user: a stand-in for the provider does not support session tokens.
  access_key = "test"
  secret_key = "test"

  # MiniStack stores the clusters' names, although AWS_ENDPOINT_URL_ECS points to the simulator.
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
  # A delivery through a proxy that refuses it ends at once.
  horizon_minutes      = 0

  environment = {{
    AWS_ENDPOINT_URL_ECS     = "{ecs}"
    AWS_ENDPOINT_URL_EC2     = "{ecs}"
    NOTIFIER_TRUSTED_SENDERS = "{account}"
  }}
}}
"""
# A new secret of MiniStack has an empty version, which would become the previous key. A new secret of AWS has none.
ADDED = """
resource "aws_secretsmanager_secret_version" "first" {
  secret_id     = aws_secretsmanager_secret.signing.id
  secret_string = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
}
"""
# In addition to the changes of people.py for people: the functions' own permissions for batches.
CHANGES = people.CHANGES | {"iam.tf": people.BATCHES}
OPERATOR = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
ASSUME = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::%s:root"}}]}' % ACCOUNT


def samples(name):
    """Returns the sample services of one local value of samples.tf, by name."""
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
    """Copies the root and the module, with changes where emulators differ from AWS; returns the root."""
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
    """Redirects stdout and stderr of this process and its children into this file."""
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
    """Yields the service of each task of a cluster, and the address and port of its container."""
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
    """Behaves as a TLS server to plain text: sends an alert and closes the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    while True:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass
        connection.close()


class Samples:
    """The receivers of the sample tasks. Their output goes into the log group. Stores the inventory of MiniStack at the time
    of the first call."""

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
    """The resources on MiniStack: sets of names, by kind."""

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
    """Returns the environment of a role with all permissions, as for a real run."""
    iam, sts = (boto3.client(name, endpoint_url=aws, region_name=REGION, **KEYS) for name in ("iam", "sts"))
    role = iam.create_role(RoleName="operator", AssumeRolePolicyDocument=ASSUME)["Role"]["Arn"]
    iam.put_role_policy(RoleName="operator", PolicyName="everything", PolicyDocument=OPERATOR)
    keys = sts.assume_role(RoleArn=role, RoleSessionName="anna")["Credentials"]
    return people.credentials(keys)


def table(text):
    """Returns verdict and detail of each step in the report, by name."""
    rows = re.findall(r"^\| (.+?) \| (held|failed|open) \| (.*) \|$", text, re.MULTILINE)
    return {name: (verdict, detail) for name, verdict, detail in rows}


def differences(text, before, seen, after):
    """Yields each difference from the expected rehearsal as a sentence."""
    found = table(text)
    wanted = {name: "held" for name in SETTLED} | {name: verdict for name, (verdict, _) in UNSETTLED.items()}
    readme = (ACCEPTANCE / "README.md").read_text()
    for name, (_, why) in UNSETTLED.items():
        if f"| {name} | {why} |" not in readme:
            yield f"README.md lacks the row of step `{name}`: {why}"
    for name in wanted.keys() - found.keys():
        yield f"step `{name}` is missing from the report"
    for name, (verdict, detail) in found.items():
        if name not in wanted:
            yield f"step `{name}` is in neither table: {verdict}: {detail}"
        elif verdict != wanted[name]:
            reason = f" ({UNSETTLED[name][1]})" if name in UNSETTLED else ""
            yield f"step `{name}` {verdict}, and should have {wanted[name]}{reason}: {detail}"
    if ACCOUNT in text or "ACCOUNT" not in text:
        yield "the report contains the account's number, or never contained one"
    for kind, names in (seen or {kind: set() for kind in before}).items():
        if not names - before[kind]:
            yield f"the run had no {kind} when it published, so its destruction is not tested"
    for kind, names in after.items():
        if names - before[kind]:
            yield f"left over: {kind} {', '.join(sorted(names - before[kind]))}"


def main(program):
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = pathlib.Path(scratch)
        aws, process = people.ministack(people.free_port())
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
        print("running; terraform's output is shown after an error", flush=True)
        run.DESTROY_WAIT_S = 0  # MiniStack has no network interfaces to wait for
        with quiet(folder / "log"):
            run.main(arguments, root)
        text = (folder / "runs" / RUN / "report.md").read_text()
        wrong = list(differences(text, before, receivers.seen, inventory()))
        print("\n".join((folder / "log").read_text().splitlines()[-LOG_LINES_SHOWN:]) if wrong else text)
    for name, (verdict, why) in UNSETTLED.items():
        print(f"open, {verdict} here: {name}: {why}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"good: {len(SETTLED)} steps hold on emulators, {len(UNSETTLED)} ran but stay open, and nothing is left")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
