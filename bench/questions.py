"""`ask` beside other tools: what each can say of a fleet in three versions, of which 1 % is silent, and what it costs.

    questions.py PROGRAM [--tasks 300] [--only ask,clush,serf]

Needs Debian's clustershell, curl and serf. A tool that is missing is skipped, and named.

Every tool asks the same number of receivers on loopback for their version. One of the silent ones does not listen, one accepts
the connection and never answers, and the others answer with an error. `ask` and clush call the same HTTP receivers: clush through its
worker `exec`, which runs curl for each of them here, because its other worker needs an SSH server in each task. Serf has
an agent for each receiver, whose handler prints the version.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from rivals import account, cpu, free_port

TIMEOUT_S = 5
PARALLEL = 64
VERSIONS = ("v41", "v42", "v43")


def roles(names):
    """What each receiver does: the version that it answers with, or how it is silent."""
    share = max(3, len(names) // 100)
    step = len(names) // share
    silent = ["closed", "hung"] + ["error"] * (share - 2)
    # Most have the newest version.
    version = lambda at: VERSIONS[2] if at % 10 > 2 else VERSIONS[1] if at % 10 else VERSIONS[0]
    chosen = {name: version(at) for at, name in enumerate(names)}
    return chosen | {names[at * step + step // 2]: kind for at, kind in enumerate(silent)}


async def serve(port, members):
    """The HTTP receivers, in one process."""

    async def answer(role, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                if role == "hung":
                    await asyncio.sleep(600)
                status, body = ("500 Internal Server Error", "") if role == "error" else ("200 OK", json.dumps({"version": role}))
                writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
                await writer.drain()
        writer.close()

    for name, role in members.items():
        if role != "closed":
            await asyncio.start_server(lambda r, w, role=role: answer(role, r, w), name, port)
    print("ready", flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def receivers(port, members):
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        process.stdin.write(json.dumps(members))
        process.stdin.close()
        assert process.stdout.readline(), "the receivers did not start"
        yield process
    finally:
        process.kill()
        process.wait()


def run(command, others=(), **options):
    """Output, seconds and processor seconds of the command and of the others."""
    before, began = cpu(others), time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    output = process.stdout.read()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return output, {"seconds": time.time() - began, "sender": used.ru_utime + used.ru_stime, "others": cpu(others) - before}


def by_http(tool, program, count, folder):
    with account(program, count, folder) as (port, tasks, environment):
        members = roles(list(tasks))
        time.sleep(6)  # The simulated buckets of AWS fill again.
        with receivers(port, members) as process:
            if tool == "ask":
                plain = {name: value for name, value in environment.items() if name != "NOTIFIER_LEDGER" and "REGISTRY" not in name}
                command = [program, "--quiet", "--format", "json", "ask", "--cluster", "prod", "--type", "com.example.version"]
                command += ["--pick", "/version", f"--timeout={TIMEOUT_S}s"]
                output, cost = run(command, [process.pid], env=plain)
                rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
                groups = {group["value"]: group["count"] for group in rows[-1]["summary"]["answers"]}
                silent = {row["address"].rsplit(":", 1)[0]: row["reason"] for row in rows if row.get("outcome") not in (None, "delivered")}
            else:
                url = f"http://%h:{port}/notify"
                command = ["clush", "-b", "-R", "exec", "-f", str(PARALLEL), "-w", ",".join(tasks)]
                command += [f"curl -sS --fail -m {TIMEOUT_S} -H 'content-type: application/json' -d '{{}}' {url}"]
                output, cost = run(command, [process.pid])
                groups, silent = clush(output)
        yield members, groups, silent, cost


def clush(output):
    """The groups that clush shows, and the nodes whose command failed."""
    silent = {node: why for nodes, why in re.findall(r"^clush: (\S+?)(?: \(\d+\))?: (.*)$", output, re.MULTILINE) for node in nodes.split(",")}
    groups = collections.Counter()
    for names, size, body in re.findall(r"^-+\n(\S+)(?: \((\d+)\))?\n-+\n(.*)$", output, re.MULTILINE):
        if body.startswith("{"):
            groups[json.loads(body)["version"]] += int(size or 1)
    return dict(groups), silent


def by_serf(count, folder):
    names = [f"r{number}" for number in range(count)]
    members, agents = roles(names), {}
    at = lambda number: f"127.9.{number // 250}.{number % 250 + 1}"
    rpc = ["-rpc-addr", f"{at(0)}:7373"]
    try:
        for number, name in enumerate(names):
            handler = "exit 1" if members[name] == "error" else f"echo {members[name]}"
            command = ["serf", "agent", "-node", name, "-bind", f"{at(number)}:7946", "-rpc-addr", f"{at(number)}:7373"]
            command += ["-profile", "local", "-event-handler", f"query:version={handler}"]
            command += ["-join", f"{at(0)}:7946"] if number else []
            agents[name] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.05 if number else 1)
        alive = lambda: subprocess.run(["serf", "members", "-status", "alive", *rpc], capture_output=True, text=True).stdout.count("\n")
        until = time.time() + 120
        while alive() < count and time.time() < until:
            time.sleep(0.5)
        time.sleep(5)
        for name, role in members.items():
            if role in ("closed", "hung"):
                agents[name].send_signal(signal.SIGKILL if role == "closed" else signal.SIGSTOP)
        pids = [agent.pid for name, agent in agents.items() if members[name] != "closed"]
        output, cost = run(["serf", "query", f"-timeout={TIMEOUT_S}s", *rpc, "version"], pids)
        answers = re.findall(r"^Response from '(\w+)': (\S+)", output, re.MULTILINE)
        yield members, dict(collections.Counter(version for _, version in answers)), {}, cost
    finally:
        for agent in agents.values():
            agent.kill()
            agent.wait()


def show(tool, members, groups, silent, cost):
    truth = collections.Counter(role for role in members.values() if role in VERSIONS)
    reasons = "; ".join(f"{members[name]}: {why}" for name, why in sorted(silent.items(), key=lambda item: members[item[0]]))
    found = " ".join(f"{version} {groups.get(version, 0)}/{truth[version]}" for version in VERSIONS)
    named = f"{len(silent)}/{len(members) - truth.total()}"
    cells = [tool, found, named, reasons or "–", f"{cost['seconds']:.1f}", f"{cost['sender']:.2f}", f"{cost['others']:.2f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program", nargs="?")
    options.add_argument("--tasks", type=int, default=300)
    options.add_argument("--only", default="ask,clush,serf")
    options.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, json.load(sys.stdin)))
    program = os.path.abspath(options.program)
    print("| tool | answers found, of those given | silent ones named | reasons | seconds | sender: processor s | receivers |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for tool in options.only.split(","):
        needed = {"ask": [], "clush": ["clush", "curl"], "serf": ["serf"]}[tool]
        if missing := [name for name in needed if not shutil.which(name)]:
            print(f"{tool} was skipped: {', '.join(missing)} is not installed", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = by_serf(options.tasks, folder) if tool == "serf" else by_http(tool, program, options.tasks, folder)
            for row in found:
                show(tool, *row)


if __name__ == "__main__":
    main()
