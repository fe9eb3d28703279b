"""Tests target/dist as a user would: `make test-release`.

Files for this machine's processor are installed and run; those for others are only inspected.
"""

import json
import os
import pathlib
import platform
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import dist

DEMO_END = "28 containers: 22 delivered, 1 rejected, 1 failed, 1 gone, 3 skipped"
PT_INTERP = 3
ELF_MACHINES = {62: "x86_64", 183: "aarch64"}


def elf(content):
    """Returns the processor of an ELF program, and whether it needs a dynamic loader."""
    assert content[:5] == b"\x7fELF\x02", "not a 64-bit ELF program"
    (machine,) = struct.unpack_from("<H", content, 18)
    (offset,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    kinds = [struct.unpack_from("<I", content, offset + index * size)[0] for index in range(count)]
    return ELF_MACHINES[machine], PT_INTERP in kinds


def check_sums(directory):
    listed = dict(reversed(line.split("  ")) for line in (directory / dist.SUMS).read_text().splitlines())
    present = {path.name: dist.sha256(path) for path in directory.iterdir() if path.name != dist.SUMS}
    assert listed == present, f"{dist.SUMS} differs from the files: {listed.keys() ^ present.keys()}"
    subprocess.run(["sha256sum", "--check", "--quiet", dist.SUMS], cwd=directory, check=True)


def check_program(path, target, scratch):
    """Unpacks and runs the archive as docs/install.md describes."""
    with tarfile.open(path) as archive:
        archive.extractall(scratch)
    folder = scratch / path.name.removesuffix(".tar.gz")
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    wanted = {dist.NAME, "LICENSE", "THIRD-PARTY-LICENSES.txt", "completions/_ecs-task-notifier", "man/ecs-task-notifier.1"}
    assert wanted | {"man/ecs-task-notifier-send.1", "completions/ecs-task-notifier.bash"} <= names, names
    if "linux" in target:
        machine, dynamic = elf((folder / dist.NAME).read_bytes())
        assert (machine, dynamic) == (target.split("-")[0], False), f"{path.name}: {machine}, dynamic: {dynamic}"
    if target.startswith(machine_here()):
        shown = subprocess.run([folder / dist.NAME, "--version"], check=True, capture_output=True, text=True).stdout
        assert shown == f"{dist.NAME} {dist.version()}\n", shown


def check_function(path, architecture):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["bootstrap"], archive.namelist()
        machine, _ = elf(archive.read("bootstrap"))
        assert archive.getinfo("bootstrap").external_attr >> 16 & 0o111, f"{path.name}: bootstrap is not executable"
    assert machine == dist.FUNCTION_TARGETS[architecture].split("-")[0], f"{path.name}: {machine}"


def check_wheel(path, scratch):
    """Installs the wheel into an empty environment, and runs it as `uvx` does."""
    subprocess.run([sys.executable, "-m", "venv", scratch / "fresh"], check=True)
    pip = [scratch / "fresh" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-index", path], check=True)
    demo([scratch / "fresh" / "bin" / dist.NAME, "demo"], {"PATH": "/nowhere"})
    tools = pathlib.Path(sys.executable).parent
    tidy = {"UV_CACHE_DIR": str(scratch / "uv"), "UV_PYTHON_DOWNLOADS": "never"}
    demo([tools / "uv", "tool", "run", "--offline", "--from", path, dist.NAME, "demo"], os.environ | tidy)


def demo(command, environment):
    shown = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert shown.returncode == 0 and DEMO_END in shown.stdout, f"{command}: {shown.returncode}\n{shown.stdout}{shown.stderr}"


def check_image(path, targets):
    """Checks the index: one image for each built program, with the right platform and configuration."""
    with tarfile.open(path) as archive:
        blob = lambda digest: json.load(archive.extractfile(f"blobs/{digest.replace(':', '/')}"))
        index = json.load(archive.extractfile("index.json"))
        while "config" not in index and len(index["manifests"]) == 1 and "platform" not in index["manifests"][0]:
            index = blob(index["manifests"][0]["digest"])
        found = {one["platform"]["architecture"] for one in index["manifests"]}
        for one in index["manifests"]:
            config = blob(blob(one["digest"])["config"]["digest"])
            assert config["architecture"] == one["platform"]["architecture"]
            assert config["config"]["User"] == "65534:65534" and config["config"]["Cmd"] == ["serve"], config
    names = {"x86_64-unknown-linux-musl": "amd64", "aarch64-unknown-linux-musl": "arm64"}
    assert found == {names[target] for target in targets if target in names}, found


def check_bill_of_materials(path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = path.read_text()
    assert not (mistake := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)), mistake
    document = json.loads(text)
    names = {component["name"] for component in document["components"]}
    assert {"tokio", "rustls", "aws-sdk-sqs", "lambda_runtime", "sqlite"} <= names, "crates are missing"
    assert not names & {"proptest", "clap_derive", "cc"}, "the bill lists build tools as linked"


def check_binstall():
    """Checks that `cargo binstall` computes the URLs of the release's files."""
    text = (dist.ROOT / "crates" / "cli" / "Cargo.toml").read_text()
    binstall = dict(re.findall(r'^(pkg-url|bin-dir) = "(.+)"$', text, re.MULTILINE))
    target = "x86_64-unknown-linux-musl"
    values = {"repo": REPOSITORY, "version": dist.version(), "name": dist.NAME, "bin": dist.NAME, "target": target}
    fill = lambda template: re.sub(r"\{ ([\w-]+) \}", lambda found: values.get(found[1], ""), template)
    archive = dist.program_archive(target)
    assert fill(binstall["pkg-url"]) == f"{REPOSITORY}/releases/download/v{dist.version()}/{archive}"
    assert fill(binstall["bin-dir"]) == f"{archive.removesuffix('.tar.gz')}/{dist.NAME}"


def check_strictness():
    """Checks that a missing tool is reported, and is an error with --strict."""
    release = [sys.executable, dist.ROOT / "packaging" / "release.py", "programs", "--targets", "aarch64-apple-darwin"]
    plain = subprocess.run(release, capture_output=True, text=True)
    strict = subprocess.run([*release, "--strict"], capture_output=True, text=True)
    assert "left out: the program for aarch64-apple-darwin: it is built on macOS" in plain.stderr, plain.stderr
    assert (plain.returncode, strict.returncode) == (0, 1), (plain.returncode, strict.returncode)
    tag = subprocess.run([*release, "--tag", "v0.0.0"], capture_output=True, text=True)
    assert tag.returncode == 2 and f"Cargo.toml says {dist.version()}" in tag.stderr, tag.stderr


REPOSITORY = re.search(r'^repository = "(.+)"', (dist.ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def machine_here():
    system = {"Linux": "unknown-linux", "Darwin": "apple-darwin"}[platform.system()]
    return f"{platform.machine().replace('arm64', 'aarch64')}-{system}"


def main():
    done = []
    check_sums(dist.DIST)
    check_binstall()
    if platform.system() == "Linux":
        check_strictness()
    check_bill_of_materials(dist.DIST / dist.bill_of_materials())
    targets = [target for target in dist.WHEEL_PLATFORMS if (dist.DIST / dist.program_archive(target)).exists()]
    for target in targets:
        with tempfile.TemporaryDirectory() as scratch:
            check_program(dist.DIST / dist.program_archive(target), target, pathlib.Path(scratch))
            assert (dist.DIST / dist.wheel(target)).exists(), f"{dist.wheel(target)} is missing"
            if target.startswith(machine_here()):
                check_wheel(dist.DIST / dist.wheel(target), pathlib.Path(scratch))
        done.append(target)
    for architecture in dist.FUNCTION_TARGETS:
        archives = [dist.DIST / dist.function_archive(architecture, name) for name in dist.functions()]
        if any(archive.exists() for archive in archives):
            for archive in archives:
                check_function(archive, architecture)
            done.append(f"functions for {architecture}")
    if (dist.DIST / dist.image_archive()).exists():
        check_image(dist.DIST / dist.image_archive(), targets)
        done.append("image")
    assert targets, "target/dist holds no program: run `make release` first"
    print(f"good: {', '.join(done)}, bill of materials, checksums, URLs of `cargo binstall`")


if __name__ == "__main__":
    main()
