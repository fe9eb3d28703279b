"""Validates each example, and runs its tests, with terraform or $TF: python3 examples.py FOLDER...

A stand-in for the provider may not know all types of the real one. An example with such a type, and no other error,
is skipped with a message. The real provider knows all types, so it skips nothing.
"""

import json
import os
import pathlib
import subprocess
import sys

SECONDS_MAX = 600
UNKNOWN = ("Invalid resource type", "Invalid data source")


def terraform(example, *arguments, check=True):
    command = [os.environ.get("TF", "terraform"), f"-chdir={example}", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    if check and run.returncode != 0:
        sys.exit(f"{example.name}: {' '.join(arguments)}\n{run.stdout}{run.stderr}")
    return run.stdout


def main():
    for example in map(pathlib.Path, sys.argv[1:]):
        terraform(example, "init", "-input=false", "-backend=false")
        found = json.loads(terraform(example, "validate", "-json", check=False))
        errors = [it for it in found["diagnostics"] if it["severity"] == "error"]
        if errors and all(it["summary"] in UNKNOWN for it in errors):
            reasons = sorted({it["detail"].splitlines()[0] for it in errors})
            print(f"{example.name}: skipped: {' '.join(reasons)}")
            continue
        if errors:
            sys.exit(f"{example.name}: {json.dumps(errors, indent=2)}")
        print(f"{example.name}: valid")
        if any(example.glob("tests/*.tftest.hcl")):
            print(terraform(example, "test", "-no-color"), end="")


main()
