"""Tests that an acceptance run always destroys everything and writes a report, and that a wrong start ends with an error and
a remedy. Needs no account and no terraform: `make test-acceptance`.

A shell script replaces terraform; signals are real.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import rehearsal  # noqa: E402
import run  # noqa: E402
from steps import Result, is_signed  # noqa: E402

run.DESTROY_WAIT_S = 0
ACCOUNT = "111122223333"
# `apply` hangs if a file `hang` exists; `destroy` fails as often as the file `failures` has lines.
TERRAFORM = """#!/bin/sh
cd "$(dirname "$0")"
echo "$2" >> calls
case "$2" in
apply)
  if [ -e hang ]; then
    trap 'echo ended-in-order >> calls; exit 1' INT
    touch hanging
    while :; do sleep 0.05; done
  fi ;;
destroy)
  if [ -s failures ]; then sed -i 1d failures; exit 1; fi ;;
esac
"""


def perform(steps, hang=False, failures=0, on_hang=None):
    """Returns the results and the terraform commands; `steps` returns the steps."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        program = folder / "terraform-stub"
        program.write_text(TERRAFORM)
        program.chmod(0o755)
        (folder / "failures").write_text("x\n" * failures)
        if hang:
            (folder / "hang").touch()
            threading.Thread(target=on_hang, args=(folder,), daemon=True).start()
        results = []
        run.perform(run.Terraform(str(program), folder, "test", {}), lambda _: steps(), results)
        calls = (folder / "calls").read_text().split()
        return [(it.name, it.verdict) for it in results], calls


def good():
    return Result("good", "held", "")


def broken():
    raise RuntimeError("no")


def stopped_in_a_step():
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def stop_when_it_hangs(folder):
    while not (folder / "hanging").exists():
        pass
    os.kill(os.getpid(), signal.SIGINT)


class PopenThatIsStopped(subprocess.Popen):
    """Sends signals before the caller has the started process."""

    def __init__(self, command, **arguments):
        super().__init__(command, **arguments)
        if "apply" in command:
            hanging = pathlib.Path(command[0]).parent / "hanging"
            while not hanging.exists():
                time.sleep(0.01)
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), number)


def stopped_while_it_starts():
    with unittest.mock.patch.object(run.subprocess, "Popen", PopenThatIsStopped):
        return perform(list_of(good), hang=True, on_hang=lambda _: None)


def expect(claim, got, wanted):
    assert got == wanted, f"{claim}: {got}"


def list_of(*steps):
    return lambda: list(steps)


def no_steps():
    raise RuntimeError("the steps cannot begin")


def in_order():
    """Checks each way in which a run can end, and that everything is destroyed."""
    ends = ("destroy", "held")
    expect("steps", perform(list_of(good)), ([("good", "held"), ends], ["init", "apply", "destroy"]))
    expect("a step that fails", perform(list_of(broken, good)),
           ([("broken", "failed"), ("good", "held"), ends], ["init", "apply", "destroy"]))
    expect("a signal in a step", perform(list_of(stopped_in_a_step, good)),
           ([("the run itself", "failed"), ends], ["init", "apply", "destroy"]))
    expect("Ctrl-C while terraform applies", perform(list_of(good), hang=True, on_hang=stop_when_it_hangs),
           ([("the run itself", "failed"), ends], ["init", "apply", "ended-in-order", "destroy"]))
    expect("Ctrl-C twice while terraform starts", stopped_while_it_starts(),
           ([("the run itself", "failed"), ends], ["init", "apply", "ended-in-order", "destroy"]))
    expect("steps that cannot begin", perform(no_steps), ([("the run itself", "failed"), ends], ["init", "apply", "destroy"]))
    expect("interfaces that AWS releases late", perform(list_of(), failures=2),
           ([ends], ["init", "apply", "destroy", "destroy", "destroy"]))
    expect("what cannot be destroyed", perform(list_of(), failures=9)[0], [("destroy", "failed")])


def start(*arguments, folder, **environment):
    """Starts the program; returns exit status and the last line of stderr."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run([sys.executable, run.__file__, *arguments], env=kept | environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def says(claim, got, status, sentence):
    assert got[0] == status and sentence in got[1], f"{claim}: {got}"


def wrong_starts():
    """Checks that each wrong start ends with an error and a remedy."""
    with tempfile.TemporaryDirectory() as folder:
        files = f'{{"files": "{folder}"}}'
        right = ["--region", "eu-west-1", "--budget", "5", "--terraform", "true", "--program", "true", "--archives", files, "--folder", folder]

        def given(*more, **environment):
            return start(*right, *more, folder=folder, **environment)

        assert start("--help", folder=folder)[0] == 0
        says("no budget", start("--region", "eu-west-1", folder=folder), 2, "--budget is missing: set the maximum cost")
        says("an empty budget", given("--budget", ""), 2, "set the maximum cost of the run in USD")
        says("a budget that is no number", given("--budget", "nan"), 2, "set the maximum cost of the run in USD")
        says("too small a budget", given("--budget", "0.1"), 1, "more than the budget of 0.10: raise --budget")
        says("no region", given("--region", ""), 1, "the region `` does not exist: set one such as eu-west-1")
        says("a wrong region", given("--region", "eu-west-9"), 1, "the region `eu-west-9` does not exist: set one such as eu-west-1")
        says("no credentials", given(), 1, "there are no AWS credentials: sign in")
        says("a wrong profile", given(AWS_PROFILE="nobody"), 1, "check the credentials")
        says("no AWS", given(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"),
             1, "check the credentials")
        says("no terraform", given("--terraform", "nope"), 1, "the program `nope` was not found: install Terraform")
        says("no program", given("--program", "nope"), 1, "the program `nope` was not found: build it")
        says("no archives", given("--archives", '{"files": "/nowhere"}'), 1, "build them with `make lambda ARCH=arm64`")
        # Before anything was built.
        unbuilt = ["--archives", '{"files": "/nowhere"}', "--program", "nope", "--dry-run"]
        says("a dry run without credentials", given(*unbuilt), 1, "there are no AWS credentials: sign in")
        says("an unknown run", given("--destroy", "nope"), 1, "has no state of a run `nope`")
        says("an invalid name of a run", given("--destroy", "../x"), 2, "is not a valid name of a run")
        assert os.listdir(folder) == [], "a wrong start leaves something"


def reports():
    text = run.report([Result("x", "held", f"arn:aws:iam::{ACCOUNT}:role/x |\ny")], "eu-west-1", "test", ACCOUNT)
    assert ACCOUNT not in text and "| x | held | arn:aws:iam::ACCOUNT:role/x \\| y |" in text, text


def rehearsed():
    """Checks the complaints of the rehearsal."""
    rows = {name: ("held", "") for name in rehearsal.SETTLED} | {name: (verdict, "") for name, (verdict, _) in rehearsal.UNSETTLED.items()}
    nothing, something = {"queue": set(), "role": {"operator"}}, {"queue": {"q"}, "role": {"operator", "r"}}

    def complaints(changes=(), seen=something, after=nothing, more="ACCOUNT"):
        results = [Result(name, *it) for name, it in (rows | dict(changes)).items() if it]
        return list(rehearsal.differences(run.report(results, "r", "test", "0") + more, nothing, seen, after))

    def complains(claim, found, part):
        assert len(found) == 1 and part in found[0], f"{claim}: {found}"

    settled, unsettled = "redrive", "SenderId"
    assert complaints() == [], complaints()
    complains("a step that failed", complaints({settled: ("failed", "")}), "step `redrive` failed, and should have held")
    complains("a step that now holds", complaints({unsettled: ("held", "")}), "step `SenderId` held, and should have failed (MiniStack")
    complains("a step that did not run", complaints({settled: None}), "step `redrive` is missing")
    complains("a step of no table", complaints({"new": ("held", "")}), "step `new` is in neither table")
    complains("a run that left something", complaints(after=something | {"queue": set()}), "left over: role r")
    complains("a run without queues", complaints(seen=something | {"queue": set()}), "had no queue")
    assert len(complaints(seen=None)) == 2
    complains("the account's number", complaints(more=f"ACCOUNT {rehearsal.ACCOUNT}"), "the account's number")
    complains("never an account's number", complaints(more=""), "the account's number")


def signatures():
    """Checks the vector of the Standard Webhooks specification, and changes of it."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    line = {
        "received": "msg_p5jXN8AQM9LWM0D4loKWxJek", "timestamp": "1614265330", "body": '{"test": 2432232314}',
        "signature": "v1,bm90IGl0 v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert is_signed(secret, line)
    for name in line:
        assert not is_signed(secret, line | {name: "other"}), name
    assert not is_signed(secret, line | {"signature": ""})


for test in (in_order, wrong_starts, reports, rehearsed, signatures):
    test()
