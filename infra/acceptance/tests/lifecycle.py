"""Whatever happens to an acceptance run, everything is destroyed and a report is written. No account, no terraform.

A shell script stands in for terraform; signals are real.
"""

import os
import pathlib
import signal
import sys
import tempfile
import threading
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import run  # noqa: E402
from steps import Result  # noqa: E402

run.DESTROY_WAIT_S = 0
ACCOUNT = "111122223333"
# `apply` hangs where a file `hang` is; `destroy` fails as often as the file `failures` has lines.
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
    """Results, and what terraform was called for, as one text each."""
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
        run.perform(run.Terraform(str(program), folder, "test", {}), lambda _: steps, results)
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


def expect(claim, got, wanted):
    assert got == wanted, f"{claim}: {got}"


def main():
    ends = ("destroy", "held")
    expect("steps", perform([good]), ([("good", "held"), ends], ["init", "apply", "destroy"]))
    expect("a step that fails", perform([broken, good]),
           ([("broken", "failed"), ("good", "held"), ends], ["init", "apply", "destroy"]))
    expect("a signal in a step", perform([stopped_in_a_step, good]),
           ([("the run itself", "failed"), ends], ["init", "apply", "destroy"]))
    expect("Ctrl-C while terraform applies", perform([good], hang=True, on_hang=stop_when_it_hangs),
           ([("the run itself", "failed"), ends], ["init", "apply", "ended-in-order", "destroy"]))
    expect("interfaces that AWS releases late", perform([], failures=2),
           ([ends], ["init", "apply", "destroy", "destroy", "destroy"]))
    expect("what cannot be destroyed", perform([], failures=9)[0], [("destroy", "failed")])

    text = run.report([Result("x", "held", f"arn:aws:iam::{ACCOUNT}:role/x")], "eu-west-1", "test", ACCOUNT)
    assert ACCOUNT not in text and "| x | held | arn:aws:iam::ACCOUNT:role/x |" in text, text
    try:
        run.agree(ACCOUNT, types.SimpleNamespace(budget=0.1, yes=True))
        raise AssertionError("a run that costs more than its budget goes on")
    except SystemExit as end:
        assert "more than the budget" in str(end), end


main()
