"""The files of a release: their names, which users rely on, and reproducible archives."""

import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIST = ROOT / "target" / "dist"
NAME = "ecs-task-notifier"
SUMS = "SHA256SUMS"

# Rust targets, and their platform tags in Python wheels. The Linux programs are static, so one wheel serves glibc and
# musl.
WHEEL_PLATFORMS = {
    "x86_64-unknown-linux-musl": "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    "aarch64-unknown-linux-musl": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    "x86_64-apple-darwin": "macosx_10_12_x86_64",
    "aarch64-apple-darwin": "macosx_11_0_arm64",
}
# Processors of the functions in AWS Lambda's names, and their Rust targets.
FUNCTION_TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}


def version():
    """Returns the version of the workspace, from Cargo.toml."""
    return re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)


def functions():
    """Returns the names of the Lambda functions, from the Terraform module."""
    module = ROOT / "infra" / "terraform"
    stages = json.loads((module / "stages.json").read_text())
    stream = json.loads((module / "stream.json").read_text())
    registry = json.loads((module / "registry.json").read_text())
    return [stage["function"] for stage in stages.values()] + [registry["function"], stream["function"]]


def program_archive(target):
    return f"{NAME}-{version()}-{target}.tar.gz"


def function_archive(architecture, function):
    return f"{NAME}-{version()}-lambda-{architecture}-{function}.zip"


def wheel(target):
    return f"{NAME.replace('-', '_')}-{version()}-py3-none-{WHEEL_PLATFORMS[target]}.whl"


def image_archive():
    return f"{NAME}-{version()}-image.tar"


def bill_of_materials():
    return f"{NAME}-{version()}.cdx.json"


def timestamp():
    """Returns the timestamp of every archive, in seconds since 1970: the time of the commit."""
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
    return int(shown.stdout or 0)


def write_tar_gz(path, folder, files):
    """Packs `files`, a map of name to (bytes, mode), into a tar archive below `folder`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), mode, timestamp()
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def write_zip(path, files):
    """Packs `files`, a map of name to (bytes, mode), into a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, (0o100000 | mode) << 16
            archive.writestr(entry, content)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
