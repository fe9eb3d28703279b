"""Runs every fuzz target on the corpus of `tests/hostile`, and prints the number of executions of each.

Needs cargo-fuzz (`cargo install cargo-fuzz`) and a nightly compiler. Arguments: maximum seconds of each target (60), maximum
executions of each (200,000), and names of targets (default: all). Ends with 1 if a target has a finding.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).parent
CORPUS = HERE.parent / "tests/hostile/corpus"
AT_ONCE = 2
INPUT_BYTES_MAX = 16_384


def seeds(target):
    """Writes each case of the corpus into a file of the target's directory."""
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    for number, (text, _verdict) in enumerate(json.loads((CORPUS / f"{target}.json").read_text())):
        (directory / f"case-{number:04}").write_bytes(text.encode("utf-8", "surrogatepass"))


def cargo_fuzz(*arguments):
    command = ["cargo", "+nightly", "fuzz", *arguments]
    return subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def found(output):
    """Returns the panic of a finding and the command that reproduces it; else the end of the output."""
    why = re.search(r"panicked at .*\n.*", output)
    again = re.search(r"cargo fuzz run .*", output)
    return f"  {why[0]}\n  {again[0]}" if why and again else output[-4000:]


def run(target, seconds, runs):
    seeds(target)
    limits = [f"-runs={runs}", f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=10", "-print_final_stats=1"]
    done = cargo_fuzz("run", target, "--", *limits)
    executed = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    print(f"{target:20} {executed[1] if executed else '?':>8} executions, {'nothing found' if done.returncode == 0 else 'FOUND'}", flush=True)
    if done.returncode != 0:
        print(found(done.stdout), flush=True)
    return done.returncode == 0


def main(seconds="60", runs="200000", *targets):
    # Same dependency versions as the release.
    shutil.copy(HERE.parent / "Cargo.lock", HERE / "Cargo.lock")
    built = cargo_fuzz("build")
    if built.returncode != 0:
        sys.exit(built.stdout)
    targets = targets or sorted(path.stem for path in CORPUS.glob("*.json"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        clean = list(pool.map(lambda target: run(target, seconds, runs), targets))
    sys.exit(not all(clean))


if __name__ == "__main__":
    main(*sys.argv[1:])
