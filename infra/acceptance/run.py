"""Tests ecs-task-notifier on a real account with one command, and destroys everything afterwards: see README.md.

This file has the frame: cost, confirmation, apply, steps, destroy, report. steps.py has the steps.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import re
import secrets
import shutil
import signal
import string
import subprocess
import sys
import time

from steps import All, Result, operator_arn

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HOURS = 2
# USD an hour in us-east-1; other regions cost up to 50 % more.
PRICES = {
    "8 interface endpoints in zones (ec2, ecs, sqs, secretsmanager; two zones)": 8 * 0.01,
    "5 sample tasks on Fargate (0.25 vCPU, 0.5 GB) and 6 public addresses": 5 * 0.0124 + 6 * 0.005,
    "1 host (t4g.small or t3.small)": 0.021,
    "a private certificate authority for short-lived certificates (50 USD a month)": 50 / 730,
    "a key of KMS (1 USD a month), a secret (0.40), requests and logs": 0.01,
}
RUN_LETTERS = 4
DESTROY_TRIES = 4
DESTROY_WAIT_S = 60


class Stopped(Exception):
    """A signal stopped the run: Ctrl-C, or a shutdown of the machine."""


def refuse(sentence):
    """Ends the program with an error and its remedy."""
    sys.exit(f"error: {sentence}")


def cost():
    return HOURS * sum(PRICES.values()) * 1.5


def announce(account, region, run):
    lines = [f"account {account}, region {region}, every name begins with acc-{run}-, every tag is AcceptanceRun={run}"]
    lines += [f"  {1.5 * HOURS * price:6.2f} USD  {what}" for what, price in PRICES.items()]
    lines += [f"  {cost():6.2f} USD  in total at most, for {HOURS} hours: AWS may take one of them to release network interfaces"]
    print("\n".join(lines))


def afford(budget):
    if cost() > budget:
        refuse(f"the run may cost {cost():.2f} USD, more than the budget of {budget:.2f}: raise --budget or BUDGET=")


def agree(account, arguments):
    """Ends the program unless the user confirms."""
    try:
        if arguments.yes or input(f"type the account's number to continue ({account}): ").strip() == account:
            return
    except (EOFError, KeyboardInterrupt):
        print()
    sys.exit("stopped: nothing was created")


class Terraform:
    """Terraform with a separate state for each run, so that --destroy can remove the rest of an interrupted run."""

    def __init__(self, program, folder, run, variables, root=HERE):
        self.program, self.folder, self.run, self.root = program, folder, run, root
        self.variables = self.flags(variables)

    @staticmethod
    def flags(variables):
        return [f"-var={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in variables.items()]

    def call(self, *arguments, capture=False):
        environment = os.environ | {"TF_DATA_DIR": str(self.folder / "terraform"), "TF_IN_AUTOMATION": "1"}
        command = [self.program, f"-chdir={self.root}", *arguments]
        # In a separate session, so that Ctrl-C reaches only this program. It then interrupts terraform, which finishes its
        # current work and writes a complete state.
        out = subprocess.PIPE if capture else None
        options = {"env": environment, "text": True, "start_new_session": True, "stdout": out}
        with interrupt.held(), subprocess.Popen(command, **options) as process:
            try:
                interrupt.release()
                stdout, _ = process.communicate()
            except Stopped:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        return stdout

    def state_file(self):
        return self.folder / "terraform.tfstate"

    def state(self):
        return f"-state={self.state_file()}"

    def apply(self, **more):
        self.call("init", "-input=false")
        self.call("apply", "-auto-approve", "-input=false", self.state(), *self.variables, *self.flags(more))

    def outputs(self):
        found = json.loads(self.call("output", "-json", self.state(), capture=True))
        return {name: it["value"] for name, it in found.items()}

    def destroy(self):
        """Returns whether everything is destroyed. Retries, because AWS releases network interfaces late."""
        for attempt in range(1, DESTROY_TRIES + 1):
            try:
                self.call("destroy", "-auto-approve", "-input=false", self.state(), *self.variables)
                return True
            except subprocess.CalledProcessError as error:
                print(f"destroy, try {attempt} of {DESTROY_TRIES}: {error}", file=sys.stderr)
                time.sleep(DESTROY_WAIT_S if attempt < DESTROY_TRIES else 0)
        return False


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """The signal handler. The first signal raises Stopped, and later ones are ignored, so that current work ends in order.
    While it is held, a signal waits until the release: a process that is just being started could not be interrupted."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.is_held = self.is_waiting = self.is_stopped = False

    def __call__(self, *_):
        if self.is_held:
            self.is_waiting = True
        elif not self.is_stopped:
            self.is_stopped = True
            raise Stopped("stopped by a signal")

    @contextlib.contextmanager
    def held(self):
        self.is_held = True
        try:
            yield
        finally:
            self.release()

    def release(self):
        self.is_held = False
        if self.is_waiting:
            self.is_waiting = False
            self()


interrupt = Interrupt()


def patience(*_):
    print("already destroying everything: please wait, because everything that is left costs money", file=sys.stderr)


def perform(terraform, steps, results):
    """Applies, runs the steps, and destroys everything in any case. Appends each result to `results`."""
    interrupt.reset()
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        terraform.apply()
        for step in steps(terraform):
            try:
                results.append(step())
            except Stopped:
                raise
            except Exception as error:  # an error in one step must not prevent the others
                results.append(Result(step.__name__, "failed", f"{type(error).__name__}: {error}"))
            print(f"{results[-1].verdict:7} {results[-1].name}: {results[-1].detail}")
    except Exception as error:  # goes into the report; nothing may prevent the destruction
        results.append(Result("the run itself", "failed", f"{type(error).__name__}: {error}"))
    finally:
        for number in SIGNALS:
            signal.signal(number, patience)
        interrupt.reset()
        print("destroying everything, which may take up to an hour")
        gone = terraform.destroy()
        detail = "the state is empty" if gone else f"some resources are left: run again with --destroy {terraform.run}"
        results.append(Result("destroy", "held" if gone else "failed", detail))


def cell(text):
    """Returns the text escaped for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def report(results, region, run, account):
    """Returns the results as Markdown, without the account's number."""
    rows = "\n".join(f"| {it.name} | {it.verdict} | {cell(it.detail)} |".replace(account, "ACCOUNT") for it in results)
    return f"# Acceptance run {run}, {region}\n\n| step | verdict | observation |\n| --- | --- | --- |\n{rows}\n"


def usd(text):
    amount = float(text) if text else math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise argparse.ArgumentTypeError(f"`{text}` is not an amount: set the maximum cost of the run in USD, such as 5 (BUDGET=5 for make)")
    return amount


def run_name(text):
    if not re.fullmatch("[a-z0-9]{%d}" % RUN_LETTERS, text):
        raise argparse.ArgumentTypeError(f"`{text}` is not a valid name of a run: use {RUN_LETTERS} lower-case letters or digits")
    return text


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--region", required=True, help="AWS region; the environment's is not used")
    parser.add_argument("--budget", type=usd, help="maximum cost of the run in USD; not needed with --destroy")
    parser.add_argument("--architecture", default="arm64", choices=["arm64", "x86_64"])
    parser.add_argument("--archives", type=json.loads, default=None, help="the module's variable `archives` in JSON; default: the output of `make lambda`")
    parser.add_argument("--program", default="ecs-task-notifier", help="path of ecs-task-notifier")
    parser.add_argument("--terraform", default=os.environ.get("TF", "terraform"))
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "acceptance")
    parser.add_argument("--dry-run", action="store_true", help="show account, cost and errors; create nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--run", type=run_name, help="name of the run: four lower-case letters or digits; default: random")
    parser.add_argument("--destroy", metavar="RUN", type=run_name, help="only destroy the rest of this run")
    found = parser.parse_args(arguments)
    if found.budget is None and not found.destroy:
        parser.error("--budget is missing: set the maximum cost of the run in USD, such as --budget 5")
    return found


def look(arguments, archives):
    """Ends the program if something is missing on this machine, before anything is created."""
    if shutil.which(arguments.terraform) is None:
        refuse(f"the program `{arguments.terraform}` was not found: install Terraform, or set --terraform or TF=")
    if arguments.destroy or arguments.dry_run:
        return
    if shutil.which(arguments.program) is None:
        refuse(f"the program `{arguments.program}` was not found: build it with `make acceptance`, or set --program")
    files = archives.get("files")
    if files and not pathlib.Path(files).is_dir():
        refuse(f"the folder {files} with the functions' archives does not exist: build them with `make lambda ARCH={arguments.architecture}`")


def enter(region):
    """Returns a session in this region and its identity; ends the program if there is none."""
    try:
        import boto3  # here, so that tests of the frame do not need it
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    except ImportError:
        refuse("boto3 is not installed: use `make acceptance`, or run `pip install boto3`")
    try:
        session = boto3.Session(region_name=region)
        if not any(region in session.get_available_regions("ecs", partition) for partition in session.get_available_partitions()):
            refuse(f"the region `{region}` does not exist: set one such as eu-west-1 with --region or REGION=")
        return session, session.client("sts").get_caller_identity()
    except NoCredentialsError:
        refuse("there are no AWS credentials: sign in with `aws sso login` or `aws login`, or set AWS_PROFILE")
    except (BotoCoreError, ClientError) as error:
        refuse(f"AWS did not return the account ({cell(str(error))}): check the credentials, and whether the region is enabled")


def main(arguments, root=HERE):
    arguments = parse(arguments)
    if not arguments.destroy:
        afford(arguments.budget)
    archives = arguments.archives or {"files": str(ROOT / "target" / "lambda" / arguments.architecture)}
    look(arguments, archives)
    run = arguments.destroy or arguments.run or "".join(secrets.choice(string.ascii_lowercase) for _ in range(RUN_LETTERS))
    folder = arguments.folder / run
    variables = {"run": run, "architecture": arguments.architecture, "archives": archives}
    terraform = Terraform(arguments.terraform, folder, run, variables, root)
    if arguments.destroy and not terraform.state_file().exists():
        refuse(f"{folder} has no state of a run `{run}`: use a run whose state is on this machine")
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = arguments.region
    session, identity = enter(arguments.region)
    if arguments.destroy:
        terraform.call("init", "-input=false")
        return 0 if terraform.destroy() else 1
    account = identity["Account"]
    operator = operator_arn(session, identity)
    if operator:
        terraform.variables += Terraform.flags({"operator_arn": operator})
    announce(account, arguments.region, run)
    if arguments.dry_run:
        return 0
    agree(account, arguments)
    folder.mkdir(parents=True)
    results = []
    try:
        perform(terraform, All(session, arguments.program).after, results)
    finally:
        text = report(results, arguments.region, run, account)
        (folder / "report.md").write_text(text)
        print(f"\n{text}\nThis report is also in {folder / 'report.md'}")
    return 1 if any(it.verdict == "failed" for it in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
