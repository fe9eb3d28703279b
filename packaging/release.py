"""Builds the files of a release into target/dist: `make release`.

Each step builds the files that this machine can build, and lists what it left out and why. With --strict anything left
out is an error.
"""

import argparse
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import dist
import notices
import sbom
import wheel

PROGRAM_TARGETS = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]
SHELLS = {"bash": f"{dist.NAME}.bash", "fish": f"{dist.NAME}.fish", "zsh": f"_{dist.NAME}"}
DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md"]

left_out = []


def run(*command):
    print("+", *command, flush=True)
    subprocess.run(command, cwd=dist.ROOT, check=True)


def leave_out(what, why):
    left_out.append(f"{what}: {why}")


def has_target(target):
    """Returns whether Rust can build for the target, after rustup has tried to add it."""
    shown = subprocess.run(["rustc", "--print", "target-libdir", "--target", target], capture_output=True, text=True)
    if shown.returncode == 0 and any(pathlib.Path(shown.stdout.strip()).glob("libstd-*")):
        return True
    return shutil.which("rustup") and subprocess.run(["rustup", "target", "add", target], cwd=dist.ROOT).returncode == 0


def target_directory():
    return pathlib.Path(subprocess.os.environ.get("CARGO_TARGET_DIR", dist.ROOT / "target"))


def build_program(target):
    """Builds the program for one target; returns its path, or None if this machine cannot build it."""
    if target.endswith("apple-darwin") and platform.system() != "Darwin":
        return leave_out(f"the program for {target}", "it is built on macOS")
    if not has_target(target):
        return leave_out(f"the program for {target}", f"Rust lacks the target (`rustup target add {target}`)")
    build = "build" if target.endswith("apple-darwin") else "zigbuild"
    run("cargo", build, "--release", "--locked", "--package", dist.NAME, "--target", target)
    return target_directory() / target / "release" / dist.NAME


def runs_here(target):
    system = {"Linux": "unknown-linux-musl", "Darwin": "apple-darwin"}.get(platform.system())
    machine = platform.machine().replace("arm64", "aarch64")
    return target == f"{machine}-{system}"


def extras(program):
    """Returns the completions and manual pages that `program` prints; it must run on this machine."""
    files = {}
    for shell, name in SHELLS.items():
        shown = subprocess.run([program, "completions", shell], check=True, capture_output=True).stdout
        files[f"completions/{name}"] = (shown, 0o644)
    with tempfile.TemporaryDirectory() as pages:
        subprocess.run([program, "man", pages], check=True)
        for page in pathlib.Path(pages).iterdir():
            files[f"man/{page.name}"] = (page.read_bytes(), 0o644)
    return files


def programs(targets):
    """Builds the archives and wheels of the program."""
    built = {target: program for target in targets if (program := build_program(target))}
    if not built:
        return
    speaks = next((program for target, program in built.items() if runs_here(target)), None)
    if speaks is None:
        run("cargo", "build", "--locked", "--package", dist.NAME)
        speaks = target_directory() / "debug" / dist.NAME
    files = extras(speaks) | {name: ((dist.ROOT / name).read_bytes(), 0o644) for name in DOCUMENTS}
    files["THIRD-PARTY-LICENSES.txt"] = (notices.text().encode(), 0o644)
    for target, program in built.items():
        folder = dist.program_archive(target).removesuffix(".tar.gz")
        content = program.read_bytes()
        dist.write_tar_gz(dist.DIST / dist.program_archive(target), folder, files | {dist.NAME: (content, 0o755)})
        wheel.write(target, content, files["THIRD-PARTY-LICENSES.txt"][0])


def functions(architectures):
    """Builds the archives of the Lambda functions."""
    for architecture in architectures:
        if not has_target(dist.FUNCTION_TARGETS[architecture]):
            leave_out(f"the functions for {architecture}", f"Rust lacks {dist.FUNCTION_TARGETS[architecture]}")
            continue
        run("make", "lambda", f"ARCH={architecture}")
        for function in dist.functions():
            built = dist.ROOT / "target" / "lambda" / architecture / function / "bootstrap.zip"
            shutil.copyfile(built, dist.DIST / dist.function_archive(architecture, function))


def image(targets):
    """Builds the container image from the built programs."""
    architectures = [target.split("-")[0] for target in targets if target.endswith("linux-musl")]
    if not has_image_builder():
        return leave_out("the image", "it needs buildah or a running docker (Debian: `apt-get install buildah`)")
    run("sh", "packaging/image.sh", str(dist.DIST / dist.image_archive()), *architectures)


def has_image_builder():
    """Returns whether buildah is installed, or docker with a running daemon."""
    if shutil.which("buildah"):
        return True
    docker = ["docker", "info"]
    return bool(shutil.which("docker")) and subprocess.run(docker, capture_output=True).returncode == 0


def sums():
    """Writes SHA256SUMS over all other files, and release notes with its own checksum, which the Terraform module needs."""
    files = sorted(path for path in dist.DIST.iterdir() if path.name != dist.SUMS)
    (dist.DIST / dist.SUMS).write_text("".join(f"{dist.sha256(path)}  {path.name}\n" for path in files))
    archives = f'archives = {{ version = "{dist.version()}", sha256 = "{dist.sha256(dist.DIST / dist.SUMS)}" }}'
    changes = (dist.ROOT / "CHANGELOG.md").read_text()
    (dist.ROOT / "target" / "release-notes.md").write_text(f"For the Terraform module:\n\n    {archives}\n\n{changes}")


def words(known):
    """Returns a parser of one argument with several words, which must all be known."""

    def read(text):
        if unknown := [word for word in text.split() if word not in known]:
            raise argparse.ArgumentTypeError(f"{' '.join(unknown)} is none of {' '.join(known)}")
        return text.split()

    return read


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    steps = ["programs", "functions", "image", "sbom", "sums"]
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {' '.join(steps)}; without one, all of them")
    parser.add_argument("--strict", action="store_true", help="fail if anything was left out")
    parser.add_argument("--tag", help="fail unless this is the version's tag")
    parser.add_argument("--targets", type=words(dist.WHEEL_PLATFORMS), default=PROGRAM_TARGETS, help="of the program")
    parser.add_argument("--architectures", type=words(dist.FUNCTION_TARGETS), default=list(dist.FUNCTION_TARGETS))
    arguments = parser.parse_args()
    wanted = arguments.steps or steps
    if unknown := set(wanted) - set(steps):
        parser.error(f"no such step: {' '.join(sorted(unknown))}")
    if arguments.tag not in (None, f"v{dist.version()}"):
        parser.error(f"the tag is {arguments.tag}, but Cargo.toml says {dist.version()}")
    dist.DIST.mkdir(parents=True, exist_ok=True)
    if "programs" in wanted:
        programs(arguments.targets)
    if "functions" in wanted:
        functions(arguments.architectures)
    if "image" in wanted:
        image(arguments.targets)
    if "sbom" in wanted:
        sbom.write()
    if "sums" in wanted:
        sums()
    print("\n".join(sorted(path.name for path in dist.DIST.iterdir())))
    for what in left_out:
        print(f"left out: {what}", file=sys.stderr)
    return 1 if left_out and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
