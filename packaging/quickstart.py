"""Runs the quickstart of docs/deploy.md on emulators, its file and its commands word for word: `make test-quickstart`.

MiniStack replaces AWS, the simulator replaces ECS and the tasks, `TF` names terraform, and target/dist replaces the release.
"""

import contextlib
import os
import pathlib
import platform
import random
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time

import dist

REPOSITORY = "https://github.com/ecs-task-notifier/ecs-task-notifier"
SECONDS_MAX = 300
FLEET = """
[[cluster]]
name = "prod"
[[cluster.service]]
name = "checkout"
launch_type = "FARGATE"
tasks = 3
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
"""
# Settings that only the emulators need. Terraform merges them into the file of the guide.
OVERRIDE = """
module "notifier" {{
  architecture       = "{architecture}"
  archives           = {{ version = "{version}", sha256 = "{sha256}", url = "file://{folder}" }}
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  allow_networks     = ["127.0.0.0/8"]

  environment = {{
    AWS_ENDPOINT_URL_ECS = "{ecs}"
    AWS_ENDPOINT_URL_EC2 = "{ecs}"
  }}
}}
"""


def guide():
    """Returns the file and the commands of the section, as a reader would copy them."""
    text = (dist.ROOT / "docs" / "deploy.md").read_text()
    section = re.split(r"^## Quickstart.*\n", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    (file,) = re.findall(r"```hcl\n(.*?)```", section, re.DOTALL)
    (console,) = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    commands = re.sub(r" *\\\n>? *", " ", console)
    return file, re.findall(r"^\$ (.+)$", commands, re.MULTILINE)


def free_port():
    """Returns a free port below those that the system assigns: other tests that run now could be assigned one of those."""
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def running(port, command, environment):
    """Runs a server that listens on `port` for the duration of the block."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + SECONDS_MAX
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < until, f"{command[0]} does not listen"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def publish_module(home):
    """Creates a stand-in for the published repository, with the current module under the version's tag."""
    published = home / "published"
    shutil.copytree(
        dist.ROOT / "infra" / "terraform",
        published / "infra" / "terraform",
        ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"),
    )
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "release"], ["tag", f"v{dist.version()}"]):
        subprocess.run(["git", *command], cwd=published, check=True)
    (home / "gitconfig").write_text(f'[url "file://{published}"]\n\tinsteadOf = {REPOSITORY}\n')


def environment(home):
    """Returns an environment with tools, caches and configuration below `home`, and no account of this machine."""
    tools = home / "tools"
    tools.mkdir()
    (tools / "uv").symlink_to(dist.ROOT / ".venv-release" / "bin" / "uv")
    (tools / "aws").symlink_to(dist.ROOT / ".venv-release" / "bin" / "aws")
    terraform = shutil.which(os.environ.get("TF", "terraform"))
    # A stand-in for terraform searches PATH for the real terraform, and must not find itself.
    (tools / "terraform").write_text(f'#!/bin/sh\nPATH="{os.environ["PATH"]}" exec "{os.path.realpath(terraform)}" "$@"\n')
    (tools / "terraform").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name.startswith("TF_OFFLINE") or name == "XDG_CACHE_HOME"}
    cache = {"XDG_CACHE_HOME": str(pathlib.Path.home() / ".cache")} | kept
    return cache | {
        "HOME": str(home),
        "PATH": f"{tools}:{home}/.local/bin:{os.environ['PATH']}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_PAGER": "",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "UV_FIND_LINKS": str(dist.DIST),
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(home / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
    }


def play(command, folder, variables):
    """Runs one command unchanged and answers its questions with yes. Returns its output."""
    print(f"$ {command}", flush=True)
    shown = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder, env=variables, input="yes\n", stdout=subprocess.PIPE, stderr=sys.stderr, text=True, timeout=SECONDS_MAX,
    )
    assert shown.returncode == 0, f"exit {shown.returncode}\n{shown.stdout}"
    return shown.stdout


def main():
    file, commands = guide()
    assert len(commands) == 4, f"the guide has {len(commands)} commands"
    python = dist.ROOT / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as servers:
        home = pathlib.Path(scratch)
        variables = environment(home)
        publish_module(home)
        (home / "fleet.toml").write_text(FLEET)
        released = dist.program_archive(f"{platform.machine()}-unknown-linux-musl")
        with tarfile.open(dist.DIST / released) as archive:
            archive.extractall(home)
        program = home / released.removesuffix(".tar.gz") / dist.NAME
        port = free_port()
        simulate = [program, "simulate", "--fleet", home / "fleet.toml", "--listen", f"127.0.0.1:{port}"]
        # It is killed in the end, so its temporary files must be below `home`.
        ecs = servers.enter_context(running(port, simulate, variables | {"TMPDIR": str(home)}))
        port = free_port()
        ministack = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1"}
        ministack |= {"LAMBDA_EXECUTOR": "local", "LOG_LEVEL": "WARNING", "PATH": "/usr/bin:/bin"}
        ministack |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        ministack |= {"AWS_ACCESS_KEY_ID": "simulator", "AWS_SECRET_ACCESS_KEY": "simulator"}
        aws = servers.enter_context(running(port, [python, "-m", "ministack"], ministack))
        variables["AWS_ENDPOINT_URL"] = aws

        folder = home / "notifier"
        folder.mkdir()
        (folder / "main.tf").write_text(file)
        override = OVERRIDE.format(
            architecture=platform.machine().replace("aarch64", "arm64"),
            version=dist.version(),
            sha256=dist.sha256(dist.DIST / dist.SUMS),
            folder=dist.DIST,
            ecs=ecs,
        )
        (folder / "emulator_override.tf").write_text(override)
        printed = [play(command, folder, variables) for command in commands]
        assert "whsec_" not in "".join(printed), "the secret was printed"
        assert "checkout  3 of 3 notified" in printed[-1], printed[-1]
        print(printed[-1])
    print("good: the four commands of docs/deploy.md lead to a notification")


if __name__ == "__main__":
    sys.exit(main())
