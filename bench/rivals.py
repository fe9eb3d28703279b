"""Beside other tools: who is reached, who is known to be reached, and what it costs.

    rivals.py PROGRAM [--fleets 100,1000,10000] [--only send,serve,curl,...] [--json FILE]

Needs Debian's nats-server, redis-server, mosquitto, serf, curl and findutils, and PyPI's (or Debian's) ansible-core on the PATH
or in target/rivals-venv. It installs nothing; a tool that is missing is skipped, and named.

Every tool brings one event of 1 KB to the same N receivers on loopback, all of them in one process. 1 % are dead, 1 % are late:
they start 2 s after all healthy ones were reached. One is down at the start and restarts when half of the others were reached. One
address belongs to another task than the sender believes. Receivers of a broker acknowledge on a second subject.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

BODY = json.dumps({"type": "com.example.cache.clear", "data": {"keys": "x" * 950}})
PATIENCE_S = 300
# A sender that waits for acknowledgements gives up after this time without one.
QUIET_S = 5
# Late receivers start this much after the last healthy one was reached: quick retries are over.
LATE_S = 2
PARALLEL = 64
TICKS = os.sysconf("SC_CLK_TCK")
# The largest fleet that each is asked for. Those with a process for each receiver stay small.
LARGEST = {"send": 10_000, "serve": 10_000, "xargs": 1_000, "curl": 10_000, "ansible": 100, "nats": 10_000, "redis": 10_000}
LARGEST |= {"mosquitto": 10_000, "serf": 100}
BROKERS = ("nats", "redis", "mosquitto")
HERE = pathlib.Path(__file__).resolve().parent
HELPER, VENV = HERE / "rivals_receivers.py", HERE.parent / "target/rivals-venv/bin"
FLEET = """
[[cluster]]
name = "prod"
[[cluster.service]]
name = "s"
copies = {services}
tasks = {tasks}
launch_type = "FARGATE"
[[cluster.service.container]]
name = "app"
ports = [{port}]
refuse = true
labels = {{ NOTIFY_ME_CONTAINER_PORT = "{port}", NOTIFY_ME_API_URI = "/notify" }}
"""


def free_port():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cpu(pids):
    """Processor seconds of living processes."""
    used = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        used += sum(map(int, fields[11:15])) / TICKS
    return used


class Fleet:
    """The process of the receivers, and who is what."""

    def __init__(self, kind, port, tasks):
        names = list(tasks)
        share = max(1, len(names) // 100)
        roles = ["restart", "wrong"] + ["dead"] * share + ["late"] * share
        # Spread over the fleet; the one that restarts is the first of all.
        step = len(names) // len(roles)
        self.roles = dict.fromkeys(names, "healthy") | {names[at * step]: role for at, role in enumerate(roles)}
        members = {name: {"role": role, "task": tasks[name]} for name, role in self.roles.items()}
        for name in self.named("wrong"):
            # A receiver of a broker connects by itself, under its own name: no sender can take it for another one.
            members[name] = {"role": "wrong" if kind == "http" else "healthy", "task": "another"}
            self.roles[name] = members[name]["role"]
        command = [sys.executable, HELPER, "receivers"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(json.dumps({"kind": kind, "port": port, "members": members}))

    def named(self, role):
        return {name for name, its in self.roles.items() if its == role}

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.wait()


# --- One broadcast ---------------------------------------------------------------------------------------------------------


def broadcast(fleet, command, claims, others=(), until_verdict=True, **options):
    """Runs the sender and returns what happened; `claims` reads from its output who got the event, by its own account."""
    before, own = cpu(others), cpu([fleet.process.pid])
    began, done, is_late = time.time(), None, False
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, text=True, **options)
        used = None
        while time.time() - began < PATIENCE_S:
            pid, _, used = os.wait4(process.pid, os.WNOHANG)
            ended = time.time()
            if pid or (is_late and not until_verdict):
                break
            if done is None and fleet.ask("state")["done"]:
                done = time.time()
            if done and not is_late and time.time() - done > LATE_S:
                fleet.ask("late")
                is_late = True
            time.sleep(0.02)
        else:
            pid = 0
        if not pid:
            process.kill()
            _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        if not is_late:
            fleet.ask("late")
            time.sleep(1)
        output.seek(0)
        claimed = set(claims(output.read())) if pid else None
    costs = {"sender": used.ru_utime + used.ru_stime, "others": cpu(others) - before, "receivers": cpu([fleet.process.pid]) - own}
    times = fleet.ask("times")
    return judge(fleet.roles, times, claimed, began) | {"verdict": ended - began if pid else None, "cpu": costs}


def judge(roles, times, claimed, began):
    """What is true, and what the sender believes."""
    of = lambda role: {name for name, its in roles.items() if its == role}
    reached = {role: f"{len(of(role) & times.keys())}/{len(of(role))}" for role in ("healthy", "restart", "late")}
    wrong = "-" if not of("wrong") else "accepted" if of("wrong") & times.keys() else "refused"
    last = max((at for name, at in times.items() if roles[name] == "healthy"), default=began) - began
    row = reached | {"wrong": wrong, "last": last, "named": None}
    if claimed is not None:
        # Of those that got it, how many the sender names; and how many it names that did not get it.
        row |= {"named": f"{len(claimed & times.keys())}/{len(times)}", "false": len(claimed - times.keys())}
    return row


# --- The tools -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def account(program, n, folder):
    """A simulated account whose containers do not listen: the receivers of this file do, at their addresses."""
    port = free_port()
    services = max(1, n // 100)
    fleet, env_file = pathlib.Path(folder, "fleet.toml"), pathlib.Path(folder, "env")
    fleet.write_text(FLEET.format(services=services, tasks=n // services, port=port))
    command = [program, "--quiet", "simulate", "--throttle", "--registry", "--fleet", str(fleet), "--env-file", str(env_file)]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert simulator.stdout.readline(), "the simulator did not start"
        text = subprocess.run(["sh", "-c", f". {env_file} >/dev/null; env -0"], capture_output=True, check=True).stdout.decode()
        environment = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
        plan = subprocess.run([program, "--quiet", "--format", "json", "plan", "--cluster", "prod"], env=environment, stdout=subprocess.PIPE)
        rows = [json.loads(line) for line in plan.stdout.splitlines()]
        tasks = {row["address"].rsplit(":", 1)[0]: row["task"] for row in rows if row.get("task")}
        assert len(tasks) == n, f"{len(tasks)} tasks instead of {n}"
        yield port, tasks, environment
    finally:
        simulator.terminate()
        simulator.wait()


def delivered(output):
    rows = map(json.loads, output.splitlines())
    return [row["address"].rsplit(":", 1)[0] for row in rows if row.get("outcome") == "delivered"]


def ours(tool, program, port, tasks, environment, folder):
    data = ["--cluster", "prod", "--data", json.dumps("x" * 1000)]
    base = [program, "--quiet", "--format", "json"]
    time.sleep(6)  # The simulated buckets of AWS fill again.
    fleet = Fleet("http", port, tasks)
    try:
        if tool == "send":
            plain = {name: value for name, value in environment.items() if name != "NOTIFIER_LEDGER" and "REGISTRY" not in name}
            yield "cold", broadcast(fleet, [*base, "send", *data], delivered, env=plain)
            return
        environment |= {"NOTIFIER_HORIZON_MINUTES": "1"}
        daemon = subprocess.Popen([*base[:2], "serve", "--listen", f"127.0.0.1:{free_port()}"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(5 + len(tasks) / 500)  # The registry's first sweep.
            publish = [*base, "publish", *data, f"--wait={PATIENCE_S}"]
            yield "cold", broadcast(fleet, publish, delivered, [daemon.pid], env=environment)
            fleet.ask("reset")
            again = broadcast(fleet, publish, delivered, [daemon.pid], until_verdict=False, env=environment)
            # By now nobody restarts or is late.
            yield "again", again | {"restart": None, "late": None}
        finally:
            daemon.kill()
            daemon.wait()
    finally:
        fleet.stop()


def by_address(tool, port, tasks, folder):
    """The tools that call a list of addresses; they get it for nothing."""
    body, listed = pathlib.Path(folder, "body.json"), pathlib.Path(folder, "list")
    body.write_text(BODY)
    curl = ["curl", "-s", "-o", "/dev/null", "-m", "3", "-H", "content-type: application/json", "--data", f"@{body}"]
    accepted = lambda output: re.findall(r"^http://([\d.]+):\S+ 2\d\d$", output, re.MULTILINE)
    if tool == "xargs":
        listed.write_text("".join(f"http://{name}:{port}/notify\n" for name in tasks))
        command = ["xargs", "-a", str(listed), "-P", str(PARALLEL), "-n", "1", *curl, "-w", "%{url} %{http_code}\n"]
    elif tool == "curl":
        listed.write_text("".join(f'url = "http://{name}:{port}/notify"\noutput = "/dev/null"\n' for name in tasks))
        command = [*curl[:2], *curl[4:], "-Z", "--parallel-max", str(PARALLEL), "-w", "%{url} %{http_code}\n", "-K", str(listed)]
    else:
        listed.write_text("[all]\n" + "\n".join(tasks) + "\n")
        uri = f"url=http://{{{{ inventory_hostname }}}}:{port}/notify method=POST src={body} status_code=200,202 timeout=3"
        command = [program_of("ansible"), "all", "-o", "-i", str(listed), "-c", "local", "-f", str(PARALLEL), "-m", "uri", "-a", uri]
        command += ["-e", f"ansible_python_interpreter={sys.executable}"]
        accepted = lambda output: re.findall(r"^([\d.]+) \| (?:SUCCESS|CHANGED)", output, re.MULTILINE)
    fleet = Fleet("http", port, tasks)
    try:
        yield "cold", broadcast(fleet, command, accepted)
    finally:
        fleet.stop()


def by_broker(tool, n, folder):
    port = free_port()
    config = pathlib.Path(folder, "mosquitto.conf")
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_connections -1\n")
    commands = {
        "nats": ["nats-server", "-a", "127.0.0.1", "-p", str(port)],
        "redis": ["redis-server", "--port", str(port), "--save", "", "--maxclients", "12000", "--dir", folder],
        "mosquitto": ["mosquitto", "-c", str(config)],
    }
    broker = subprocess.Popen([program_of(commands[tool][0]), *commands[tool][1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        began, before = time.time(), cpu([broker.pid])
        fleet = Fleet(tool, port, {f"r{number}": None for number in range(n)})
        try:
            took, broker_cpu = time.time() - began, cpu([broker.pid]) - before
            costs = {"sender": 0.0, "others": broker_cpu, "receivers": cpu([fleet.process.pid])}
            yield "connect", {"verdict": took, "cpu": costs}
            event = pathlib.Path(folder, "event")
            event.write_text(BODY)
            command = [sys.executable, HELPER, "sender", tool, str(port), str(QUIET_S)]
            with event.open() as stdin:
                yield "warm", broadcast(fleet, command, json.loads, [broker.pid], stdin=stdin)
        finally:
            fleet.stop()
    finally:
        broker.kill()
        broker.wait()


def by_serf(n, folder):
    """An agent for each receiver. An acknowledgement is the agent's: no handler runs behind it."""
    config, agents = pathlib.Path(folder, "serf.json"), {}
    config.write_text('{"query_size_limit": 1400}')
    address = lambda number: f"127.9.{number // 250}.{number % 250 + 1}"

    def start(number):
        join = ["-join", f"{address(n - 1)}:7946"] if number != n - 1 else []
        command = ["serf", "agent", "-node", f"r{number}", "-bind", f"{address(number)}:7946", "-rpc-addr", f"{address(number)}:7373"]
        command += ["-profile", "local", "-config-file", str(config), *join]
        with pathlib.Path(folder, f"r{number}.log").open("a") as log:
            agents[number] = subprocess.Popen(command, stdout=log, stderr=log)

    log_of = lambda name: path.read_text() if (path := pathlib.Path(folder, f"{name}.log")).exists() else ""
    share = max(1, n // 100)
    roles = {f"r{number}": "healthy" for number in range(n)} | {"r0": "restart"}
    roles |= {f"r{number}": "dead" for number in range(1, 1 + share)} | {f"r{number}": "late" for number in range(1 + share, 1 + 2 * share)}
    pids = lambda: [agent.pid for agent in agents.values() if agent.poll() is None]
    rpc = ["-rpc-addr", f"{address(n - 1)}:7373"]
    try:
        began = time.time()
        for number in reversed(range(n)):
            if roles[f"r{number}"] != "late":
                start(number)
                time.sleep(1 if number == n - 1 else 0.02)
        alive = lambda: subprocess.run(["serf", "members", "-status", "alive", *rpc], capture_output=True, text=True).stdout.count("\n")
        while alive() < n - share and time.time() - began < 60:
            time.sleep(0.5)
        time.sleep(3)  # The others learn of all members a moment later.
        yield "connect", {"verdict": time.time() - began, "cpu": {"sender": 0.0, "others": 0.0, "receivers": cpu(pids())}}
        for number in range(1 + share):
            agents[number].kill()
            agents[number].wait()
        before, began, times = cpu(pids()), time.time(), {}
        command = ["serf", "query", f"-timeout={QUIET_S}s", *rpc, "event", BODY[:1000]]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        late = [threading.Timer(LATE_S, start, [number]) for number in range(1 + share, 1 + 2 * share)]
        for timer in late:
            timer.start()
        is_restarted = False
        for line in process.stdout:
            if match := re.search(r"Ack from '(\w+)'", line):
                times.setdefault(match[1], time.time())
            if len(times) > n // 2 and not is_restarted:
                is_restarted = True
                start(0)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        costs = {"sender": used.ru_utime + used.ru_stime, "others": 0.0, "receivers": cpu(pids()) - before}
        # The truth is in the agents' logs: an acknowledgement can be lost too.
        heard = {name: times.get(name, began) for name in roles if "query: event" in log_of(name)}
        yield "warm", judge(roles, heard, set(times), began) | {"verdict": time.time() - began, "cpu": costs}
    finally:
        for agent in agents.values():
            agent.kill()
            agent.wait()


def program_of(name):
    own = VENV / name
    return str(own) if own.exists() else shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def measure(tool, program, n):
    with tempfile.TemporaryDirectory() as folder:
        if tool in BROKERS:
            yield from by_broker(tool, n, folder)
        elif tool == "serf":
            yield from by_serf(n, folder)
        else:
            with account(program, n, folder) as (port, tasks, environment):
                if tool in ("send", "serve"):
                    yield from ours(tool, program, port, tasks, environment, folder)
                else:
                    yield from by_address(tool, port, tasks, folder)


COLUMNS = ["tool", "N", "state", "healthy", "restart", "late", "wrong one", "named", "false", "last s", "verdict s", "sender", "broker", "receivers"]
WIDTHS = [9, 6, 7, 11, 7, 7, 9, 11, 5, 7, 9, 8, 8, 9]


def line(cells):
    print("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS)), flush=True)


def show(tool, n, state, row):
    number = lambda value: "-" if value is None else f"{value:.2f}"
    words = [str(row.get(name, "-") if row.get(name) is not None else "-") for name in ("healthy", "restart", "late", "wrong", "named", "false")]
    costs = [number(row["cpu"][name]) for name in ("sender", "others", "receivers")]
    line([tool, f"{n:,}", state, *words, number(row.get("last")), number(row.get("verdict")), *costs])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("program")
    options.add_argument("--fleets", default="100,1000,10000")
    options.add_argument("--only", default=",".join(LARGEST))
    options.add_argument("--json", type=pathlib.Path)
    options = options.parse_args()
    program, rows = os.path.abspath(options.program), []
    files = {"nats": "nats-server", "redis": "redis-server"}
    tools = [tool for tool in options.only.split(",") if tool in ("send", "serve") or program_of(files.get(tool, tool))]
    for tool in set(options.only.split(",")) - set(tools):
        print(f"skipped: {tool} is not installed")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; processor seconds of sender, broker (or daemon) and receivers")
    line(COLUMNS)
    for n in map(int, options.fleets.split(",")):
        for tool in (tool for tool in tools if n <= LARGEST[tool]):
            try:
                for state, row in measure(tool, program, n):
                    show(tool, n, state, row)
                    rows.append({"tool": tool, "n": n, "state": state, "load": os.getloadavg()[0], **row})
            except (AssertionError, OSError, ValueError) as error:
                print(f"{tool} with {n}: {error!r}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
