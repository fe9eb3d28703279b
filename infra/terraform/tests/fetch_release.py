"""Tests that a release whose files do not match its checksums is never uploaded, and that the folder stays unchanged.

Runs fetch_release.sh on test releases, and the module with terraform (or $TF) on a mocked provider.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

MODULE = pathlib.Path(__file__).resolve().parent.parent
RELEASE = MODULE / "tests" / "release"
FILES = sorted(path.name for path in RELEASE.glob("*.zip"))
CHECKSUM = hashlib.sha256((RELEASE / "SHA256SUMS").read_bytes()).hexdigest()
SECONDS_MAX = 300


def copy(folder):
    """Copies the release into a folder where tests can change it."""
    for name in [*FILES, "SHA256SUMS"]:
        (folder / name).write_bytes((RELEASE / name).read_bytes())


def fetch(release, checksum=CHECKSUM, files=FILES):
    """Returns exit status, stderr, and the files afterwards; an older file existed before."""
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "target"
        target.mkdir()
        (target / FILES[0]).write_text("older")
        environment = os.environ | {
            "RELEASE_URL": release.as_uri(), "RELEASE_SHA256": checksum, "RELEASE_FILES": " ".join(files),
        }
        run = subprocess.run(
            ["sh", MODULE / "fetch_release.sh", target], env=environment, capture_output=True, text=True, timeout=SECONDS_MAX,
        )
        return run.returncode, run.stderr, {path.name: path.read_bytes() for path in target.iterdir()}


def expect(claim, got, said):
    status, stderr, files = got
    assert status != 0 and said in stderr, f"{claim}: {status} {stderr}"
    assert files == {FILES[0]: b"older"}, f"{claim}: {sorted(files)}"


def the_script(folder):
    copy(folder)
    status, stderr, files = fetch(folder)
    assert status == 0, stderr
    assert files == {name: (RELEASE / name).read_bytes() for name in FILES}, sorted(files)

    expect("other checksums", fetch(folder, checksum="0" * 64), "SHA256SUMS of file:///")
    expect("a file of another release", fetch(folder, files=[*FILES, "other.zip"]), "the release has no other.zip")
    changed = folder / FILES[-1]
    changed.write_bytes(changed.read_bytes() + b"\0")
    expect("a changed archive", fetch(folder), f"{changed.name} has the SHA-256")
    changed.unlink()
    expect("a missing archive", fetch(folder), f"cannot download {changed.as_uri()}")
    (folder / "SHA256SUMS").unlink()
    expect("no checksums", fetch(folder), "cannot download")


TEST = """
mock_provider "aws" {{
  source = "./tests/mocks"
}}

run "apply" {{
  variables {{
    subnet_ids         = ["subnet-1"]
    security_group_ids = ["sg-1"]
    alarm_topic_arns   = ["arn:aws:sns:eu-west-1:111122223333:alarms"]
    unsigned           = true
    archives           = {archives}
  }}
}}
"""


def the_module(copied, archives, said):
    """Checks that `terraform test`, which applies the module, fails with this message. The copy is already initialised."""
    path = copied / "tests" / "refused.tftest.hcl"
    path.write_text(TEST.format(archives=archives))
    try:
        terraform = os.environ.get("TF", "terraform")
        command = [terraform, f"-chdir={copied}", "test", "-no-color", f"-filter=tests/{path.name}"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
        output = " ".join((run.stdout + run.stderr).split())
        assert run.returncode != 0 and said in output, output
    finally:
        path.unlink()


def main():
    with tempfile.TemporaryDirectory() as folder:
        the_script(pathlib.Path(folder))
    copied = pathlib.Path(sys.argv[1])
    wrong = f'{{ version = "9.9.9", sha256 = "{"0" * 64}", url = "{RELEASE.as_uri()}" }}'
    the_module(copied, wrong, f"not {'0' * 64}: nothing was changed")
    the_module(copied, '{ files = "./nowhere" }', "`make lambda` builds the functions' archives")


main()
