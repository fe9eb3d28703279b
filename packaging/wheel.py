"""Builds a Python wheel around the program, so that `uvx` and `pipx run` can fetch and start it."""

import base64
import hashlib

import dist

METADATA = """\
Metadata-Version: 2.4
Name: {name}
Version: {version}
Summary: Notifies every running task of an Amazon ECS fleet, and reports the outcome for each one
License-Expression: Apache-2.0
License-File: LICENSE
License-File: THIRD-PARTY-LICENSES.txt
Project-URL: Repository, https://github.com/ecs-task-notifier/ecs-task-notifier
Requires-Python: >=3.8
Description-Content-Type: text/markdown

A load balancer sends a request to one replica. ecs-task-notifier calls **every** running task on Amazon ECS, and reports
the outcome for each one. This package contains the program, and no Python code:

    uvx {name} demo

runs a whole broadcast on this machine, without an AWS account (Linux). See the
[repository](https://github.com/ecs-task-notifier/ecs-task-notifier).
"""


def write(target, program, notices):
    """Writes the wheel of `target` around the bytes of `program`; returns its path."""
    base = f"{dist.NAME.replace('-', '_')}-{dist.version()}"
    platforms = dist.WHEEL_PLATFORMS[target].split(".")
    tags = "".join(f"Tag: py3-none-{platform}\n" for platform in platforms)
    wheel = f"Wheel-Version: 1.0\nGenerator: ecs-task-notifier\nRoot-Is-Purelib: false\n{tags}"
    files = {
        f"{base}.data/scripts/{dist.NAME}": (program, 0o755),
        f"{base}.dist-info/METADATA": (METADATA.format(name=dist.NAME, version=dist.version()).encode(), 0o644),
        f"{base}.dist-info/WHEEL": (wheel.encode(), 0o644),
        f"{base}.dist-info/licenses/LICENSE": ((dist.ROOT / "LICENSE").read_bytes(), 0o644),
        f"{base}.dist-info/licenses/THIRD-PARTY-LICENSES.txt": (notices, 0o644),
    }
    lines = [f"{name},sha256={digest(content)},{len(content)}" for name, (content, _) in files.items()]
    record = f"{base}.dist-info/RECORD"
    files[record] = ("\n".join([*lines, f"{record},,", ""]).encode(), 0o644)
    path = dist.DIST / dist.wheel(target)
    dist.write_zip(path, files)
    return path


def digest(content):
    """Returns the hash in the format of RECORD."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
