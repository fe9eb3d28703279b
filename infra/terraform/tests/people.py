"""Tests the policies with IAM enforced: applies the module to MiniStack, and runs `ecs-task-notifier` with each policy for people.

    .venv/bin/python infra/terraform/tests/people.py target/debug/ecs-task-notifier    (TF names another terraform)
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.exceptions

MODULE = pathlib.Path(__file__).resolve().parent.parent
REGION = "us-east-1"
START_S = 60

# MiniStack has no TLS, requires a separate permission for each batch action, and does not know `aws:PrincipalIsAWSService`.
# Its `aws:PrincipalArn` is the ARN of the session; in AWS it is the ARN of the role.
BATCHES = [(f'"sqs:{action}"', f'"sqs:{action}", "sqs:{action}Batch"') for action in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")]
SESSION = '"${replace(replace(arn, ":iam:", ":sts:"), ":role/", ":assumed-role/")}/*"'
CHANGES = {
    "queues.tf": [
        ('variable = "aws:SecureTransport"\n      values   = ["false"]', 'variable = "aws:SecureTransport"\n      values   = ["neither"]'),
        ('"aws:PrincipalIsAWSService"', '"aws:SecureTransport"'),
        *BATCHES[:1],
    ],
    "policies.tf": BATCHES,
    "senders.tf": [
        ("concat(senders, var.redriver_arns)", f"[for arn in concat(senders, var.redriver_arns) : {SESSION}]"),
        ("stage => senders if", f"stage => [for arn in senders : {SESSION}] if"),
    ],
    "archives.tf": [('values   = ["false"]', 'values   = ["neither"]')],
}

MAIN = """
module "notifier" {
  source             = "./module"
  archives           = { files = "./module/tests/archives" }
  subnet_ids         = ["subnet-1"]
  security_group_ids = ["sg-1"]
  unsigned           = true
  redriver_arns      = ["arn:aws:iam::000000000000:role/redrive"]
  worker_role_arns   = ["arn:aws:iam::000000000000:role/daemon"]
}

resource "aws_ecs_cluster" "prod" {
  name = "prod"
}

locals {
  # All permissions in IAM for queues and the ledger.
  administrator = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["sqs:*", "dynamodb:*"], Resource = "*" }]
  })
}

resource "aws_iam_role" "person" {
  for_each = toset(["plan", "publish", "report", "redrive", "cancel", "administrator", "daemon"])

  name = each.key
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = "arn:aws:iam::000000000000:root" } }]
  })
}

resource "aws_iam_role_policy" "person" {
  for_each = aws_iam_role.person

  name   = "task"
  role   = each.value.id
  policy = lookup(module.notifier.policies, each.key, local.administrator)
}

output "environment_file" {
  value = module.notifier.environment_file
}

output "queue_urls" {
  value = module.notifier.queue_urls
}

output "dead_letter_queue_urls" {
  value = module.notifier.dead_letter_queue_urls
}
"""

COMMANDS = {
    "plan": ["plan", "--cluster", "prod"],
    "publish": ["publish", "--cluster", "prod"],
    "history": ["history"],
    "redrive": ["redrive", "--stage", "notify"],
    "cancel": ["cancel", "0197fb1c-5c1e-7d3a-9d53-0d5f3c0b2c11", "--before-it-begins"],
}

# Permission to write to the ledger includes `cancel`, and permission to send to the observer queue includes `publish`. An
# administrator may not send to the tasks queue, so `redrive` fails.
ALLOWED = {
    "plan": {"plan"},
    "publish": {"publish", "history"},
    "report": {"history"},
    "redrive": {"redrive", "publish", "history", "cancel"},
    "cancel": {"cancel", "history"},
    "administrator": {"publish", "history", "cancel"},
}


def copy(folder):
    """Copies the module, with changes where MiniStack differs from AWS."""
    module = folder / "module"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "examples"))
    for name, changes in CHANGES.items():
        text = (module / name).read_text()
        for old, new in changes:
            assert old in text, f"`{old}` is not in {name}"
            text = text.replace(old, new)
        (module / name).write_text(text)
    (folder / "main.tf").write_text(MAIN)


def free_port():
    """Returns a free port below those that the system assigns: other tests that run now could be assigned one of those."""
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def ministack(port, auth=True):
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"], "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local", "LOG_LEVEL": "ERROR", "AUTH": str(auth).lower(), "AWS_ENDPOINT_URL": url,
    }
    process = subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return url, process
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                sys.exit("MiniStack does not start")
            time.sleep(0.1)


def terraform(folder, url):
    """Returns a function that runs terraform in the folder, against the emulator, and ends the test if it fails."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def run(*args):
        command = [os.environ.get("TF", "terraform"), f"-chdir={folder}", *args]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return done.stdout

    return run


def credentials(session):
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def is_refused(output):
    return "AccessDenied" in output or "not authorized" in output


def client(url, service, session=None):
    keys = ("test", "test", None) if session is None else (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    return boto3.client(
        service, endpoint_url=url, region_name=REGION,
        aws_access_key_id=keys[0], aws_secret_access_key=keys[1], aws_session_token=keys[2],
    )


def sendable(sqs, queues):
    """Returns the queues that accept a message."""
    taken = set()
    for name, queue in queues.items():
        try:
            sqs.send_message(QueueUrl=queue, MessageBody="{}")
            taken.add(name)
        except botocore.exceptions.ClientError as error:
            assert is_refused(str(error)), error
    return taken


def main(program):
    failures = []

    def check(what, found, expected):
        print(f"{'ok  ' if found == expected else 'FAIL'} {what}: {', '.join(sorted(found)) or 'nothing'}")
        if found != expected:
            failures.append(f"{what}: {sorted(found)}, not {sorted(expected)}")

    url, emulator = ministack(free_port())
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            copy(folder)
            deploy = terraform(folder, url)
            deploy("init", "-input=false", "-no-color")
            deploy("apply", "-auto-approve", "-input=false", "-no-color")
            outputs = {name: output["value"] for name, output in json.loads(deploy("output", "-json")).items()}
            (folder / "notifier.env").write_text(outputs["environment_file"])

            queues = {**outputs["queue_urls"], **{f"{stage} dead letters": queue for stage, queue in outputs["dead_letter_queue_urls"].items()}}
            sts = client(url, "sts")

            def assume(role):
                return sts.assume_role(RoleArn=f"arn:aws:iam::000000000000:role/{role}", RoleSessionName="anna")["Credentials"]

            daemon = client(url, "sqs", assume("daemon"))
            check("daemon sends to", sendable(daemon, queues), set(queues))
            for person, allowed in ALLOWED.items():
                session = assume(person)
                # A dead letter for `redrive`.
                daemon.send_message(QueueUrl=outputs["dead_letter_queue_urls"]["notify"], MessageBody="dead letter")
                ran = set()
                for command, args in COMMANDS.items():
                    # As a person would: source the file.
                    shell = f". {folder}/notifier.env && exec \"$0\" \"$@\""
                    minimal = {"PATH": os.environ["PATH"], "HOME": name, "AWS_ENDPOINT_URL": url, **credentials(session)}
                    done = subprocess.run(["sh", "-c", shell, program, *args], env=minimal, capture_output=True, text=True, timeout=120)
                    if not is_refused(done.stdout + done.stderr):
                        ran.add(command)
                check(f"{person} runs", ran, allowed)
                takes = {"publish": {"services"}, "administrator": {"services"}, "redrive": {"services", "tasks", "notify"}}
                check(f"{person} sends to", sendable(client(url, "sqs", session), queues), takes.get(person, set()))
            deploy("destroy", "-auto-approve", "-input=false", "-no-color")
    finally:
        emulator.terminate()
        emulator.wait()
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
