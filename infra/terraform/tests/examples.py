"""Validates each example, and runs the tests that it has, with terraform or $TF: python3 examples.py FOLDER.

A stand-in for the provider may not know all types of the real one. An example with such a type, and no other mistake,
is skipped aloud; the real provider knows them all, so nothing is skipped there.
"""

import json
import os
import pathlib
import subprocess
import sys

SECONDS_MAX = 600


def terraform(example, *arguments, check=True):
    command = [os.environ.get("TF", "terraform"), f"-chdir={example}", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    if check and run.returncode != 0:
        sys.exit(f"{example.name}: {' '.join(arguments)}\n{run.stdout}{run.stderr}")
    return run.stdout


def main():
    for example in sorted(path for path in pathlib.Path(sys.argv[1]).iterdir() if path.is_dir()):
        terraform(example, "init", "-input=false", "-backend=false")
        found = json.loads(terraform(example, "validate", "-json", check=False))
        errors = [it for it in found["diagnostics"] if it["severity"] == "error"]
        if errors and all(it["summary"] == "Invalid resource type" for it in errors):
            print(f"{example.name}: skipped: {'; '.join(sorted({it['detail'] for it in errors}))}")
            continue
        if errors:
            sys.exit(f"{example.name}: {json.dumps(errors, indent=2)}")
        print(f"{example.name}: valid")
        if (example / "tests").is_dir():
            print(terraform(example, "test", "-no-color"), end="")


main()
