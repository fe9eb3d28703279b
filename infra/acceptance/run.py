"""Tries ecs-task-notifier on a real account, in one command, and takes everything down again: see README.md.

This file is the frame: what it costs, the question, apply, steps, destroy, report. What is looked at is in steps.py.
"""

import argparse
import json
import os
import pathlib
import secrets
import signal
import string
import subprocess
import sys
import time

from steps import All, Result, operator_arn

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HOURS = 2
# USD an hour in us-east-1; other regions cost up to half as much again.
PRICES = {
    "8 interface endpoints in zones (ec2, ecs, sqs, secretsmanager; two zones)": 8 * 0.01,
    "3 sample tasks on Fargate (0.25 vCPU, 0.5 GB) and 4 public addresses": 3 * 0.0124 + 4 * 0.005,
    "1 host (t4g.small or t3.small)": 0.021,
    "a key of KMS (1 USD a month), a secret (0.40), requests and logs": 0.01,
}
DESTROY_TRIES = 4
DESTROY_WAIT_S = 60


class Stopped(Exception):
    """Somebody pressed Ctrl-C, or the machine stops."""


def cost():
    return HOURS * sum(PRICES.values()) * 1.5


def announce(account, region, run):
    lines = [f"account {account}, region {region}, everything is called acc-{run}-… and tagged AcceptanceRun={run}"]
    lines += [f"  {1.5 * HOURS * price:6.2f} USD  {what}" for what, price in PRICES.items()]
    lines += [f"  {cost():6.2f} USD  together at most, for {HOURS} hours: AWS may take one of them to release network interfaces"]
    print("\n".join(lines))


def agree(account, arguments):
    """Ends the program unless the cost is within the budget and somebody said yes."""
    if cost() > arguments.budget:
        sys.exit(f"error: the run may cost {cost():.2f} USD, more than the budget of {arguments.budget:.2f}: --budget allows more")
    if not arguments.yes and input(f"type the account's number to go on ({account}): ").strip() != account:
        sys.exit("nothing was done")


class Terraform:
    """Terraform on a state of its own for each run, so that a run that was cut off can be destroyed by --destroy."""

    def __init__(self, program, folder, run, variables):
        self.program, self.folder, self.run = program, folder, run
        self.variables = [f"-var={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in variables.items()]

    def call(self, *arguments, capture=False):
        environment = os.environ | {"TF_DATA_DIR": str(self.folder / "terraform"), "TF_IN_AUTOMATION": "1"}
        command = [self.program, f"-chdir={HERE}", *arguments]
        # In a session of its own: Ctrl-C reaches this program alone, which asks terraform to end what it began, so that
        # its state knows everything that there is.
        out = subprocess.PIPE if capture else None
        with subprocess.Popen(command, env=environment, text=True, start_new_session=True, stdout=out) as process:
            try:
                stdout, _ = process.communicate()
            except Stopped:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        return stdout

    def state(self):
        return f"-state={self.folder / 'terraform.tfstate'}"

    def apply(self, **more):
        self.call("init", "-input=false")
        extra = [f"-var={name}={value}" for name, value in more.items()]
        self.call("apply", "-auto-approve", "-input=false", self.state(), *self.variables, *extra)

    def outputs(self):
        found = json.loads(self.call("output", "-json", self.state(), capture=True))
        return {name: it["value"] for name, it in found.items()}

    def destroy(self):
        """Whether everything is gone. AWS releases interfaces late, so it is tried again."""
        for attempt in range(1, DESTROY_TRIES + 1):
            try:
                self.call("destroy", "-auto-approve", "-input=false", self.state(), *self.variables)
                return True
            except subprocess.CalledProcessError as error:
                print(f"destroy, try {attempt} of {DESTROY_TRIES}: {error}", file=sys.stderr)
                time.sleep(DESTROY_WAIT_S if attempt < DESTROY_TRIES else 0)
        return False


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt(*_):
    raise Stopped("stopped by a signal")


def patience(*_):
    print("everything is being destroyed already: what is left when this ends costs money", file=sys.stderr)


def perform(terraform, steps, results):
    """Applies and takes the steps; whatever happens, everything is destroyed. Appends to `results` as it goes."""
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        terraform.apply()
        for step in steps(terraform):
            try:
                results.append(step())
            except Stopped:
                raise
            except Exception as error:  # one step's mistake must not hide the others' answers
                results.append(Result(step.__name__, "failed", f"{type(error).__name__}: {error}"))
            print(f"{results[-1].verdict:7} {results[-1].name}: {results[-1].detail}")
    except (Stopped, subprocess.CalledProcessError) as error:
        results.append(Result("the run itself", "failed", str(error)))
    finally:
        for number in SIGNALS:
            signal.signal(number, patience)
        print("destroying everything; this may take up to an hour")
        gone = terraform.destroy()
        detail = "nothing is left in the state" if gone else f"run again with --destroy {terraform.run}: something is left"
        results.append(Result("destroy", "held" if gone else "failed", detail))


def report(results, region, run, account):
    """The result as Markdown, without the account's number."""
    rows = "\n".join(f"| {it.name} | {it.verdict} | {it.detail} |".replace(account, "ACCOUNT") for it in results)
    return f"# Acceptance run {run}, {region}\n\n| step | verdict | what was seen |\n| --- | --- | --- |\n{rows}\n"


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--region", required=True, help="AWS region; none is taken from the environment")
    parser.add_argument("--budget", type=float, required=True, help="USD that the run may cost at most")
    parser.add_argument("--architecture", default="arm64", choices=["arm64", "x86_64"])
    parser.add_argument("--archives", type=json.loads, default=None, help="as the module takes it, in JSON; what `make lambda` built without it")
    parser.add_argument("--program", default="ecs-task-notifier", help="the program")
    parser.add_argument("--terraform", default=os.environ.get("TF", "terraform"))
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "acceptance")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--destroy", metavar="RUN", help="only take down what this run left")
    return parser.parse_args(arguments)


def main():
    import boto3  # here, so that the frame can be tested without it

    arguments = parse(sys.argv[1:])
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = arguments.region
    session = boto3.Session(region_name=arguments.region)
    identity = session.client("sts").get_caller_identity()
    account = identity["Account"]
    run = arguments.destroy or "".join(secrets.choice(string.ascii_lowercase) for _ in range(4))
    folder = arguments.folder / run
    folder.mkdir(parents=True, exist_ok=True)
    archives = arguments.archives or {"files": str(ROOT / "target" / "lambda" / arguments.architecture)}
    variables = {"run": run, "architecture": arguments.architecture, "archives": archives}
    operator = operator_arn(session, identity)
    if operator:
        variables["operator_arn"] = operator
    terraform = Terraform(arguments.terraform, folder, run, variables)
    if arguments.destroy:
        terraform.call("init", "-input=false")
        sys.exit(0 if terraform.destroy() else 1)
    announce(account, arguments.region, run)
    agree(account, arguments)
    results = []
    try:
        perform(terraform, All(session, arguments.program).after, results)
    finally:
        text = report(results, arguments.region, run, account)
        (folder / "report.md").write_text(text)
        print(f"\n{text}\nalso in {folder / 'report.md'}")
    sys.exit(1 if any(it.verdict == "failed" for it in results) else 0)


if __name__ == "__main__":
    main()
