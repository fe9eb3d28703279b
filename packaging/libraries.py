"""Tests the published crates as a user takes them: `make test-packages`.

Packages them, and builds a service that depends on the packages, with the oldest Rust that they promise.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

CRATES = ("ecs-task-notifier-wire", "ecs-task-notifier-receiver")
ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "packages"
SERVICE = TARGET / "service"
MANIFEST = """[package]
name = "service"
version = "0.0.0"
edition = "2024"
rust-version = "{rust}"
publish = false

[dependencies]
{dependencies}

[patch.crates-io]
{patches}

[workspace]
resolver = "3"
"""


def run(*command, cwd=ROOT, **environment):
    subprocess.run(command, cwd=cwd, check=True, env=os.environ | environment)


def metadata(cwd, *flags):
    command = ["cargo", "metadata", "--format-version=1", *flags]
    return json.loads(subprocess.check_output(command, cwd=cwd))["packages"]


def numbers(version):
    """`1.85` and `1.85.0` are one version."""
    return ([int(part) for part in version.split(".")] + [0, 0])[:3]


def selection():
    return [flag for crate in CRATES for flag in ("--package", crate)]


def package():
    """What crates.io would get and check, without a build."""
    flags = [*selection(), "--no-verify", "--allow-dirty", "--quiet", "--target-dir", str(TARGET)]
    run("cargo", "publish", "--dry-run", *flags)
    run("cargo", "package", *flags)


def unpack(packages):
    """A service that depends on the packages with all features; returns the folder of each package."""
    shutil.rmtree(SERVICE, ignore_errors=True)
    (SERVICE / "src").mkdir(parents=True)
    (SERVICE / "src" / "lib.rs").write_text("")
    for crate in packages:
        with tarfile.open(TARGET / "package" / f"{crate['name']}-{crate['version']}.crate") as archive:
            archive.extractall(SERVICE)
    for path in SERVICE.rglob("*.rs"):
        path.touch()  # Packages have one fixed time, by which cargo would take a changed file for the old one.
    folders = {crate["name"]: SERVICE / f"{crate['name']}-{crate['version']}" for crate in packages}
    for folder in folders.values():
        assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text(), f"{folder.name}: other LICENSE"
    return folders


def write_manifest(rust, packages, folders):
    dependencies = []
    for crate in packages:
        features = json.dumps(sorted(crate["features"]))
        dependencies.append(f'{crate["name"]} = {{ version = "{crate["version"]}", features = {features} }}')
    patches = [f'{name} = {{ path = "{folder}" }}' for name, folder in folders.items()]
    lines = {"dependencies": "\n".join(dependencies), "patches": "\n".join(patches)}
    (SERVICE / "Cargo.toml").write_text(MANIFEST.format(rust=rust, **lines))


def check_versions(rust):
    """No dependency may need a newer Rust than the crates promise."""
    packages = metadata(SERVICE, "--locked")
    newer = [
        f"{package['name']} {package['version']} needs Rust {package['rust_version']}"
        for package in packages
        if package["rust_version"] and numbers(package["rust_version"]) > numbers(rust)
    ]
    assert not newer, f"Rust {rust} is promised, but " + ", ".join(newer)
    print(f"{len(packages) - 1} crates, none of them needs a newer Rust than {rust}")


def toolchain(rust):
    """The environment that selects this Rust, which rustup installs if it can."""
    if shutil.which("rustup"):
        compiler = ["rustup", "run", "--install", rust, "rustc", "--version"]
        shown = subprocess.run(compiler, stdout=subprocess.PIPE, text=True)
        if shown.returncode == 0:
            print(f"building with {shown.stdout.strip()}")
            return {"RUSTUP_TOOLCHAIN": rust}
    print(f"skipped: not built with Rust {rust}, which rustup could not install")
    return {}


def build(rust):
    run("cargo", "check", "--locked", "--quiet", cwd=SERVICE, CARGO_TARGET_DIR=str(TARGET), **toolchain(rust))


def compare():
    """The interface against the last release: a break needs a new minor version."""
    tags = ["git", "tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname"]
    release = next(iter(subprocess.check_output(tags, cwd=ROOT, text=True).split()), None)
    if release is None:
        print("skipped: the interface was not compared, because no release is tagged")
    elif shutil.which("cargo-semver-checks") is None:
        print(f"skipped: the interface was not compared with {release}: `cargo install cargo-semver-checks`")
    else:
        run("cargo", "semver-checks", "--baseline-rev", release, "--all-features", *selection())


def main():
    packages = [package for package in metadata(ROOT, "--no-deps") if package["name"] in CRATES]
    (rust,) = {package["rust_version"] for package in packages}
    package()
    write_manifest(rust, packages, unpack(packages))
    run("cargo", "generate-lockfile", "--quiet", cwd=SERVICE)
    check_versions(rust)
    build(rust)
    compare()


if __name__ == "__main__":
    sys.exit(main())
