"""What a broadcast through the functions takes on MiniStack, an emulator of AWS by other authors.

    .venv/bin/python bench/ministack.py PROGRAM FUNCTIONS [--fleets 20x10,100x100] [--budget-percent 50] [--csv FILE]

PROGRAM is `ecs-task-notifier`. FUNCTIONS is a folder with the archives of `make lambda`, or with the functions' binaries. MiniStack
has the queues, the table and the functions with the settings of the Terraform module, and runs each function as processes of this
machine; `simulate --throttle` answers for ECS and has the tasks. For each fleet (services x tasks) three broadcasts: the first, one
more, and one by the registry. Seconds are from the message on the observer queue until no queue has a message. MiniStack serves all
requests in one process of Python, and limits the memory and the processor of no function: AWS has other figures.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

import boto3

from scale import SERVICE

REGION, ACCOUNT, TABLE = "us-east-1", "000000000000", "ecs-task-notifier"
MODULE = pathlib.Path(__file__).resolve().parent.parent / "infra" / "terraform"
# The longest time of one broadcast, of the sweep and of a start.
PATIENCE_S = 600
START_S = 60
# AWS's buckets are full again, as between two broadcasts of a day. Source: "Request throttling for the Amazon ECS API".
REFILL_S = 11
POLL_S = 0.1
VARIABLES = {
    "services": "NOTIFIER_OBSERVER_QUEUE_URL",
    "tasks": "NOTIFIER_SERVICES_QUEUE_URL",
    "notify": "NOTIFIER_TASKS_QUEUE_URL",
    "registry": "NOTIFIER_REGISTRY_QUEUE_URL",
}
# The stage whose queue a stage writes, as in the module.
NEXT = {"services": "tasks", "tasks": "notify", "registry": "tasks"}
BROADCAST = ["services", "tasks", "notify"]
# The stages that use the registry, as in the module.
REGISTRY_USERS = {"queue": ["services", "registry"], "clusters": ["services", "tasks", "registry"]}
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def stages():
    """The stages of the Terraform module, by name."""
    return json.loads((MODULE / "stages.json").read_text()) | {"registry": json.loads((MODULE / "registry.json").read_text())}


def free_port():
    """A free port below those that the system assigns to other programs."""
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until(what, condition, limit_s=PATIENCE_S):
    limit = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > limit:
            sys.exit(f"not within {limit_s} s: {what}")
        time.sleep(POLL_S)
    return found


@contextlib.contextmanager
def running(command, environment, port):
    """Runs a server for the duration of the block, and ends its processes."""
    server = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )

    def listens():
        assert server.poll() is None, f"{command[0]} has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True

    try:
        until(f"{command[0]} listens", listens, START_S)
        yield server
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def archive(folder, name):
    """The function's archive, made of its binary if there is none."""
    built = folder / name / "bootstrap.zip"
    if built.exists():
        return built.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
        file.writestr(entry, (folder / name).read_bytes())
    return packed.getvalue()


class Processes:
    """What MiniStack, the functions and the simulator have used so far."""

    TICKS = os.sysconf("SC_CLK_TCK")

    def __init__(self, ministack, simulator):
        self.ministack, self.simulator = ministack, simulator

    @staticmethod
    def stat(pid):
        """Parent, and ticks of the process and of its ended children. Source: proc(5)."""
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])

    def functions(self):
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.stat(path.name)[0] == self.ministack.pid:
                    found.append(path.name)
        return found

    def seconds(self):
        _, own, ended = self.stat(self.ministack.pid)
        alive = 0
        for pid in self.functions():
            with contextlib.suppress(OSError):
                alive += self.stat(pid)[1]
        simulator = self.stat(self.simulator.pid)[1]
        return {"ministack": own / self.TICKS, "functions": (ended + alive) / self.TICKS, "simulator": simulator / self.TICKS}

    def memory_mib(self):
        """The most memory of one function."""
        most = 0
        for pid in self.functions():
            with contextlib.suppress(OSError):
                if match := re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()):
                    most = max(most, int(match[1]))
        return round(most / 1024)


class Installation:
    """The module's resources on MiniStack."""

    def __init__(self, url, ecs, archives, budget_percent):
        self.url, self.stages, self.queues = url, stages(), {}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = lambda service: boto3.client(service, endpoint_url=url, region_name=REGION, **keys)
        self.sqs, functions = client("sqs"), client("lambda")
        client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        secret = client("secretsmanager").create_secret(Name="signing", SecretString=SIGNING_SECRET)["ARN"]
        for stage, it in self.stages.items():
            self.queues[stage] = self.create_queue(it)
        for stage, it in self.stages.items():
            environment = {
                VARIABLES[stage]: self.queues[stage],
                "NOTIFIER_LEDGER": f"dynamodb:{TABLE}",
                "NOTIFIER_ALLOW_NETWORKS": "127.0.0.0/8",
                "NOTIFIER_AWS_BUDGET_PERCENT": str(budget_percent),
                # MiniStack names the account as the sender of every message.
                "NOTIFIER_TRUSTED_SENDERS": ACCOUNT,
                "AWS_ENDPOINT_URL_ECS": ecs,
                "AWS_ENDPOINT_URL_EC2": ecs,
                "AWS_ENDPOINT_URL_STS": ecs,
            }
            if stage in NEXT:
                environment[VARIABLES[NEXT[stage]]] = self.queues[NEXT[stage]]
            if stage in REGISTRY_USERS["queue"]:
                environment[VARIABLES["registry"]] = self.queues["registry"]
            if stage in REGISTRY_USERS["clusters"]:
                environment["NOTIFIER_REGISTRY_CLUSTERS"] = "prod"
            if stage == "notify":
                environment["NOTIFIER_SIGNING_SECRET"] = f"secretsmanager:{secret}"
            self.create_function(functions, it, archives[stage], environment)

    def create_queue(self, it):
        dead = self.sqs.create_queue(QueueName=f"{it['queue']}_dead_letters")["QueueUrl"]
        dead = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": it["receives_max"]})
        attributes = {"VisibilityTimeout": str(it["visibility_s"]), "RedrivePolicy": policy}
        return self.sqs.create_queue(QueueName=it["queue"], Attributes=attributes)["QueueUrl"]

    def create_function(self, functions, it, code, environment):
        functions.create_function(
            FunctionName=it["function"],
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=f"arn:aws:iam::{ACCOUNT}:role/function",
            Code={"ZipFile": code},
            Timeout=it["timeout_s"],
            MemorySize=it["memory_mb"],
            Environment={"Variables": environment},
        )
        functions.create_event_source_mapping(
            EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{it['queue']}",
            FunctionName=it["function"],
            BatchSize=it["batch_size"],
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig={"MaximumConcurrency": it["concurrency_max"]},
        )

    def depth(self, stage):
        """Messages of a queue: visible, in flight and delayed."""
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queues[stage], AttributeNames=["All"])["Attributes"]
        return sum(int(attributes[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))

    def environment(self):
        """The environment of people who use the installation."""
        return {
            "PATH": os.environ["PATH"],
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": self.url,
            "NOTIFIER_OBSERVER_QUEUE_URL": self.queues["services"],
            "NOTIFIER_LEDGER": f"dynamodb:{TABLE}",
        }


def broadcast(program, installation, processes, name, tasks):
    """Makes a broadcast, and returns its figures. Reads the ledger only when all queues are empty: MiniStack has no time to spare."""
    run = lambda *words: subprocess.run([program, "--quiet", "--format", "json", *words], env=installation.environment(), capture_output=True, text=True)
    before, began, ends = processes.seconds(), time.monotonic(), {}
    published = run("publish", "--cluster", "prod", "--type", "com.example.bench", "--id", name)
    assert published.returncode == 0, published.stderr

    def is_over():
        # In the order of the stages: a message is on the next queue before it leaves its own.
        depths = [(stage, installation.depth(stage)) for stage in BROADCAST]
        passed = time.monotonic() - began
        for index, (stage, _) in enumerate(depths):
            if all(depth == 0 for _, depth in depths[: index + 1]):
                ends.setdefault(stage, passed)
        return "notify" in ends

    until(f"broadcast {name} has ended", is_over)
    used = {key: value - before[key] for key, value in processes.seconds().items()}
    memory = processes.memory_mib()
    reported = run("report", name)
    summary = json.loads(reported.stdout.splitlines()[-1])["summary"] if reported.stdout else {}
    assert reported.returncode == 0 and summary.get("delivered") == tasks, (summary, reported.stderr[-500:])
    return {
        "method": summary.get("discovery", {}).get("method", ""),
        "seconds": round(ends["notify"], 1),
        "found_after": round(ends["tasks"], 1),
        "memory_mib": memory,
        **{f"{key}_processor_s": round(value, 1) for key, value in used.items()},
    }


def measure(program, archives, services, each, budget_percent):
    tasks = services * each
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ended:
        fleet, port = pathlib.Path(folder, "fleet.toml"), free_port()
        fleet.write_text(SERVICE.format(services=services, tasks=each))
        # Files of the servers are in the folder, and are removed with it.
        plain = {"PATH": "/usr/bin:/bin", "TMPDIR": folder}
        simulate = [program, "--quiet", "simulate", "--throttle", "--no-queues", "--fleet", str(fleet), "--listen", f"127.0.0.1:{port}"]
        simulator = ended.enter_context(running(simulate, plain, port))
        ecs, port = f"http://127.0.0.1:{port}", free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "LAMBDA_EXECUTOR": "local"}
        settings |= {"LOG_LEVEL": "WARNING", "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "simulator", "AWS_SECRET_ACCESS_KEY": "simulator"}
        ministack = ended.enter_context(running([sys.executable, "-m", "ministack"], plain | settings, port))
        installation, processes = Installation(url, ecs, archives, budget_percent), Processes(ministack, simulator)
        rows = []
        for kind in ("first", "again", "registry"):
            if kind == "registry":
                sweep = json.dumps({"registry": {"sweep": ["*"]}})
                installation.sqs.send_message(QueueUrl=installation.queues["registry"], MessageBody=sweep)
                until("the registry is swept", lambda: installation.depth("registry") == 0)
            time.sleep(REFILL_S)
            rows.append({"services": services, "tasks": tasks, "broadcast": kind, **broadcast(program, installation, processes, kind, tasks)})
    return rows


def table(rows):
    print(
        f"{'services':>8} {'tasks':>7}  {'broadcast':<9} {'found by':<9} {'seconds':>8} {'found after':>11}  "
        "processor seconds: functions, MiniStack, simulator; memory of a function"
    )
    for row in rows:
        used = ", ".join(f"{row[f'{name}_processor_s']}" for name in ("functions", "ministack", "simulator"))
        print(
            f"{row['services']:>8,} {row['tasks']:>7,}  {row['broadcast']:<9} {row['method']:<9} {row['seconds']:>8} "
            f"{row['found_after']:>11}  {used}; {row['memory_mib']} MiB",
            flush=True,
        )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program", type=pathlib.Path)
    options.add_argument("functions", type=pathlib.Path)
    options.add_argument("--fleets", default="20x10,100x100")
    options.add_argument("--budget-percent", default="50")
    options.add_argument("--csv", type=pathlib.Path)
    options = options.parse_args()
    archives, rows = {stage: archive(options.functions, it["function"]) for stage, it in stages().items()}, []
    for fleet in options.fleets.split(","):
        services, tasks = map(int, fleet.split("x"))
        found = measure(os.path.abspath(options.program), archives, services, tasks, options.budget_percent)
        table(found)
        rows += found
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
