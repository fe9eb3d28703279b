"""The steps of an acceptance run. Each step is a function that returns a Result. Every question that only an account can
answer is a step too."""

import base64
import collections
import dataclasses
import hashlib
import hmac
import json
import os
import subprocess
import time

SECONDS_MAX = 900
LOG_WAIT_S = 120
LOG_POLL_S = 5
PROBE_RECEIVES_MAX = 6
MAPPING_WAIT_S = 180
MAPPING_POLL_S = 5
BATCHING_WINDOW_S = 1
TYPE = "com.example.acceptance"
# Possible outcomes of a call that does not use Service Connect. AWS documents that the proxy listens at the container's port,
# or at the port of `ingressPortOverride`. It does not document the proxy's answer to plain HTTP.
ENDED = ("delivered", "rejected", "failed")


@dataclasses.dataclass
class Result:
    """The result of one step: `held`, `failed`, or `open` if this run could not answer the question."""

    name: str
    verdict: str
    detail: str


def operator_arn(session, identity):
    """Returns the ARN of the role or user that runs this, in the form of queue policies; None for an account's root."""
    arn = identity["Arn"]
    if ":assumed-role/" in arn:
        return session.client("iam").get_role(RoleName=arn.split("/")[1])["Role"]["Arn"]
    return arn if ":user/" in arn else None


def held(name, condition, detail):
    return Result(name, "held" if condition else "failed", detail)


def is_signed(secret, received):
    """Returns whether a logged request of a sample task has a signature by this secret, by Standard Webhooks."""
    content = f"{received['received']}.{received['timestamp']}.{received['body']}".encode()
    mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(mac).decode()}"
    return any(hmac.compare_digest(wanted, found) for found in received["signature"].split())


class All:
    """The steps of one run, in order: later steps use the messages of earlier ones."""

    def __init__(self, session, program):
        self.session, self.program = session, program
        self.env = {}

    def after(self, terraform):
        """Returns the steps, after everything has been applied."""
        self.terraform = terraform
        outputs = terraform.outputs()
        self.facts = outputs["facts"]
        self.env = dict(self.settings(outputs["environment_file"]))
        self.secret = self.run("keygen", "--quiet").stdout.strip()
        self.session.client("secretsmanager").put_secret_value(SecretId=self.facts["secret_arn"], SecretString=self.secret)
        return [
            self.plan_finds_every_task, self.publish_reaches_every_accepting_task, self.report_and_receivers_agree,
            self.redrive_reaches_the_refusing_task, self.kms_and_ledger_work_together, self.conditions_limit_clusters,
            self.inner_queues_refuse_strangers, self.sender_id_is_the_role, self.debug_logs_arrive,
            self.a_batching_window_costs_time, self.service_connect_with_tls,
        ]

    @staticmethod
    def settings(text):
        for line in text.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if value:
                yield name, value.strip("'\"")

    def run(self, *arguments, codes=(0,)):
        done = subprocess.run([self.program, *arguments], env=os.environ | self.env, capture_output=True, text=True,
                              timeout=SECONDS_MAX)
        if done.returncode not in codes:
            raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        return done

    def rows(self, *arguments, codes=(0, 1)):
        """Returns the rows of a report in JSON, without its summary."""
        lines = [json.loads(line) for line in self.run(*arguments, "--format", "json", codes=codes).stdout.splitlines()]
        return [line for line in lines if "outcome" in line]

    def publish(self, cluster="cluster"):
        """Publishes and waits; returns the rows of the report and the elapsed seconds."""
        begin = time.monotonic()
        rows = self.rows("publish", "--cluster", self.facts[cluster], "--type", TYPE, "--wait=600")
        return rows, time.monotonic() - begin

    def client(self, service, role=None):
        if role is None:
            return self.session.client(service)
        sts = self.session.client("sts")
        keys = sts.assume_role(RoleArn=role, RoleSessionName="acceptance")["Credentials"]
        return self.session.client(service, aws_access_key_id=keys["AccessKeyId"],
                                   aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])

    def logged(self, group, pattern, fits, count):
        """Returns the JSON lines of a log group that fit, once there are `count` or the time is over. CloudWatch may return an
        empty page before a full one."""
        logs, until = self.client("logs"), time.monotonic() + LOG_WAIT_S
        while True:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
            found = [line for page in pages for line in map(as_json, (event["message"] for event in page["events"])) if fits(line)]
            if len(found) >= count or time.monotonic() > until:
                return found
            time.sleep(LOG_POLL_S)

    def plan_finds_every_task(self):
        done = self.run("plan", "--cluster", self.facts["cluster"], "--format", "json")
        called = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("decision") == "call"]
        return held("plan", len(called) == self.facts["tasks"], f"{len(called)} of {self.facts['tasks']} tasks, Fargate and EC2")

    def publish_reaches_every_accepting_task(self):
        rows, seconds = self.publish()
        outcomes = collections.Counter(row["outcome"] for row in rows)
        wanted = {"delivered": self.facts["tasks"] - 1, "rejected": 1}
        detail = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        return held("publish: ListTasks with ecs:cluster, endpoints, bridge mode", outcomes == wanted, f"{detail} after {seconds:.0f} s")

    def received(self, status, count):
        """Returns the requests in the sample tasks' logs with this status, once there are `count` or the time is over."""
        return self.logged(self.facts["samples_log"], f"{{ $.status = {status} }}", lambda it: it.get("status") == status, count)

    def report_and_receivers_agree(self):
        wanted = self.facts["tasks"] - 1
        took, turned = self.received(204, wanted), self.received(404, 1)
        signed = all(is_signed(self.secret, it) for it in took + turned)
        right = len(took) == wanted and len(turned) == 1 and signed
        return held("the receivers' logs", right, f"{len(took)} accepted it, {len(turned)} refused it, all signed: {signed}")

    def redrive_reaches_the_refusing_task(self):
        dry = self.run("redrive", "--stage", "notify", "--dry-run")
        self.run("redrive", "--stage", "notify")
        notified = self.received(204, self.facts["tasks"])
        return held("redrive", len(notified) == self.facts["tasks"], f"{len(notified)} notified; dry run: {' '.join(dry.stdout.strip().splitlines()[-1:])}")

    def kms_and_ledger_work_together(self):
        table = self.env["NOTIFIER_LEDGER"].removeprefix("dynamodb:")
        found = self.client("dynamodb").describe_table(TableName=table)["Table"].get("SSEDescription", {})
        return held("DynamoDB under a customer's key", found.get("SSEType") == "KMS", f"{found.get('Status')}, outcomes were recorded")

    def conditions_limit_clusters(self):
        ecs = self.client("ecs", self.facts["planner_arn"])
        calls = {
            "ListServices": ecs.list_services, "ListTasks": ecs.list_tasks,
            "DescribeServices": lambda cluster: ecs.describe_services(cluster=cluster, services=["fargate"]),
            "DescribeTasks": lambda cluster: ecs.describe_tasks(cluster=cluster, tasks=["0" * 32]),
            "DescribeContainerInstances": lambda cluster: ecs.describe_container_instances(cluster=cluster, containerInstances=["0" * 32]),
        }
        seen = {}
        for name, call in calls.items():
            seen[name] = tuple(refused(call, cluster=self.facts[key]) for key in ("cluster", "other_cluster"))
        detail = ", ".join(f"{name}: {own or 'allowed'}, in the other cluster {other or 'allowed'}" for name, (own, other) in seen.items())
        return held("ecs:cluster in each call", all(own is None and other == "AccessDeniedException" for own, other in seen.values()), detail)

    def inner_queues_refuse_strangers(self):
        sqs = self.client("sqs", self.facts["stranger_arn"])
        code = refused(sqs.send_message, QueueUrl=self.facts["tasks_queue_url"], MessageBody="{}")
        return held("queue policy of the tasks queue", code is not None and "Denied" in code, f"a role with sqs:SendMessage got {code}")

    def sender_id_is_the_role(self):
        url = self.facts["probe_queue_url"]
        self.client("sqs", self.facts["stranger_arn"]).send_message(QueueUrl=url, MessageBody="{}")
        sqs = self.client("sqs")
        for _ in range(PROBE_RECEIVES_MAX):
            got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageSystemAttributeNames=["SenderId"])
            if got.get("Messages"):
                break
        else:
            return held("SenderId", False, "the message was not received")
        sender = got["Messages"][0]["Attributes"]["SenderId"]
        return held("SenderId", sender == f"{self.facts['stranger_id']}:acceptance", "the role's unique id, a colon, the session" if ":" in sender else sender)

    def debug_logs_arrive(self):
        """Sends a keep-warm message. It notifies no task, and each function logs it at level debug."""
        self.client("sqs").send_message(QueueUrl=self.env["NOTIFIER_OBSERVER_QUEUE_URL"], MessageBody='{"keep_warm": true}')
        found = self.logged(self.facts["notify_log"], '{ $.level = "DEBUG" }', lambda it: it.get("level") == "DEBUG", 1)
        return held("debug logs in CloudWatch", bool(found), f"{len(found)} lines found")

    def window(self):
        """Returns the notify function's batching window, after AWS has applied it."""
        until = time.monotonic() + MAPPING_WAIT_S
        while True:
            calls = self.client("lambda").list_event_source_mappings(FunctionName=self.facts["notify_function"])
            (mapping,) = calls["EventSourceMappings"]
            if mapping["State"] == "Enabled" or time.monotonic() > until:
                return mapping["MaximumBatchingWindowInSeconds"]
            time.sleep(MAPPING_POLL_S)

    def a_batching_window_costs_time(self):
        before, (_, without) = self.window(), self.publish()
        self.terraform.apply(batching_window_s=BATCHING_WINDOW_S)
        after, (_, with_one) = self.window(), self.publish()
        detail = f"a broadcast took {without:.0f} s with a window of {before} s and {with_one:.0f} s with one of {after} s"
        return held("batching window", (before, after) == (0, BATCHING_WINDOW_S), detail)

    def service_connect_with_tls(self):
        """Calls such a task directly. The outcome is unknown in advance, so any end of the delivery is a result."""
        self.terraform.apply(service_connect=True)
        rows, seconds = self.publish("connected_cluster")
        seen = {row["service"]: row for row in rows}
        detail = "; ".join(
            f"{what}: {seen[name]['outcome']} ({seen[name]['reason'] or seen[name]['status']})" if name in seen else f"{what}: no task"
            for name, what in (("proxied", "proxy at the container's port"), ("bypassed", "proxy at a port of its own")))
        outcomes = {name: row["outcome"] for name, row in seen.items()}
        right = outcomes.get("bypassed") == "delivered" and outcomes.get("proxied") in ENDED
        return held("Service Connect with TLS", right, f"{detail}; after {seconds:.0f} s")


def as_json(line):
    """Returns the JSON object of a log line; an empty one for any other line."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def refused(call, **arguments):
    """Returns the code of AWS's refusal; None if AWS allowed the call."""
    from botocore.exceptions import ClientError
    try:
        call(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return None if code in ("InvalidParameterException", "ServiceNotFoundException") else code
    return None
