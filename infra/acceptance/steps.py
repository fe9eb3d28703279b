"""What an acceptance run looks at. Each step is a function that returns a Result; a doubt that only an account can
settle is a step too."""

import dataclasses
import json
import os
import subprocess
import time

SECONDS_MAX = 900
LOG_WAIT_S = 120
TYPE = "com.example.acceptance"


@dataclasses.dataclass
class Result:
    """How one step ended: `held`, `failed`, or `open` where this run could not settle it."""

    name: str
    verdict: str
    detail: str


def operator_arn(session, identity):
    """Role or user that runs this, as queue policies name it; None for an account's root."""
    arn = identity["Arn"]
    if ":assumed-role/" in arn:
        return session.client("iam").get_role(RoleName=arn.split("/")[1])["Role"]["Arn"]
    return arn if ":user/" in arn else None


def held(name, condition, detail):
    return Result(name, "held" if condition else "failed", detail)


class All:
    """The steps of one run, in order: later ones use what earlier ones published."""

    def __init__(self, session, program):
        self.session, self.program = session, program

    def after(self, terraform):
        """The steps, once everything has been applied."""
        self.terraform = terraform
        outputs = terraform.outputs()
        self.facts = outputs["facts"]
        self.env = dict(self.settings(outputs["environment_file"]))
        key = self.run("keygen", "--quiet")
        self.session.client("secretsmanager").put_secret_value(SecretId=self.facts["secret_arn"], SecretString=key.stdout.strip())
        return [
            self.plan_finds_every_task, self.publish_reaches_who_does_not_refuse, self.report_and_receivers_agree,
            self.redrive_reaches_who_refused, self.kms_and_ledger_work_together, self.conditions_limit_clusters,
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
        done = subprocess.run([self.program, *arguments], env=os.environ | getattr(self, "env", {}), capture_output=True,
                              text=True, timeout=SECONDS_MAX)
        if done.returncode not in codes:
            raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        return done

    def rows(self, *arguments, codes=(0, 1)):
        """The containers of a report in JSON, without its summary."""
        lines = [json.loads(line) for line in self.run(*arguments, "--format", "json", codes=codes).stdout.splitlines()]
        return [line for line in lines if "outcome" in line]

    def publish(self):
        """Publishes and waits; returns the rows of the report and the seconds that it took."""
        begin = time.monotonic()
        rows = self.rows("publish", "--cluster", self.facts["cluster"], "--type", TYPE, "--wait=600")
        return rows, time.monotonic() - begin

    def client(self, service, role=None):
        if role is None:
            return self.session.client(service)
        sts = self.session.client("sts")
        keys = sts.assume_role(RoleArn=role, RoleSessionName="acceptance")["Credentials"]
        return self.session.client(service, aws_access_key_id=keys["AccessKeyId"],
                                   aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])

    def plan_finds_every_task(self):
        done = self.run("plan", "--cluster", self.facts["cluster"], "--format", "json")
        called = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("decision") == "call"]
        return held("plan", len(called) == self.facts["tasks"], f"{len(called)} of {self.facts['tasks']} tasks, Fargate and EC2")

    def publish_reaches_who_does_not_refuse(self):
        rows, seconds = self.publish()
        outcomes = sorted(row["outcome"] for row in rows)
        wanted = ["delivered"] * (self.facts["tasks"] - 1) + ["rejected"]
        return held("publish: ListTasks with ecs:cluster, endpoints, bridge mode", outcomes == wanted, f"{outcomes} after {seconds:.0f} s")

    def received(self, status, count):
        """What the sample tasks say that they received, with this answer: so many, or all that their logs have in time."""
        logs, until = self.client("logs"), time.monotonic() + LOG_WAIT_S
        while True:
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=self.facts["samples_log"], filterPattern=f"{{ $.status = {status} }}")
            found = [json.loads(event["message"]) for page in pages for event in page["events"]]
            if len(found) >= count or time.monotonic() > until:
                return found
            time.sleep(5)

    def report_and_receivers_agree(self):
        wanted = self.facts["tasks"] - 1
        took, turned = self.received(204, wanted), self.received(404, 1)
        signed = all(it["signed"] for it in took + turned)
        right = len(took) == wanted and len(turned) == 1 and signed
        return held("the receivers' logs", right, f"{len(took)} took it, {len(turned)} refused it, all signed: {signed}")

    def redrive_reaches_who_refused(self):
        dry = self.run("redrive", "--stage", "notify", "--dry-run")
        self.run("redrive", "--stage", "notify")
        told = self.received(204, self.facts["tasks"])
        return held("redrive", len(told) == self.facts["tasks"], f"{len(told)} told; dry run: {dry.stdout.strip().splitlines()[-1:]}")

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
        got = self.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageSystemAttributeNames=["SenderId"])
        sender = got["Messages"][0]["Attributes"]["SenderId"]
        return held("SenderId", sender == f"{self.facts['stranger_id']}:acceptance", "the role's unique id, a colon, the session" if ":" in sender else sender)

    def debug_logs_arrive(self):
        events = self.client("logs").filter_log_events(logGroupName=self.facts["notify_log"], filterPattern='{ $.level = "DEBUG" }')["events"]
        return held("debug logs in CloudWatch", bool(events), f"{len(events)} lines")

    def a_batching_window_costs_time(self):
        _, without = self.publish()
        self.terraform.apply(batching_window_s=1)
        _, window = self.publish()
        return held("batching window", True, f"a broadcast took {without:.0f} s without a window and {window:.0f} s with one of 1 s")

    def service_connect_with_tls(self):
        return Result("Service Connect with TLS", "open", "not tried: its private certificate authority costs 50 USD a month")


def refused(call, **arguments):
    """The code of AWS's refusal; None when it allowed the call."""
    from botocore.exceptions import ClientError
    try:
        call(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return None if code in ("InvalidParameterException", "ServiceNotFoundException") else code
    return None
