"""What a fleet of N tasks costs: time, calls to AWS and memory, with and without the registry.

    scale.py PROGRAM [--fleets 100x10,1000x5] [--svg FILE] [--csv FILE]

Runs the program as users do: `simulate --throttle` with AWS's own request rates, `serve` with its default share of them, and
`publish`. For each fleet (services x tasks) three broadcasts: the first, one more, and one by the registry. Times are those of
the daemon's metrics, from the request to the last outcome.
"""

import argparse
import contextlib
import csv
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PATIENCE_S = 900
FLEETS = "10x10,100x10,1000x5,100x100,50x300"
# Requests at once and a second of each bucket of AWS, at the default share of a half.
BUCKETS = {
    "ListTasks": ("cluster read", 50, 10),
    "DescribeTasks": ("cluster read", 50, 10),
    "ListServices": ("service read", 50, 10),
    "DescribeServices": ("service read", 50, 10),
    "DescribeTaskDefinition": ("task definition read", 25, 10),
    "DescribeClusters": ("clusters read", 25, 10),
}
SERVICE = """
[[cluster]]
name = "prod"
[[cluster.service]]
name = "s"
copies = {services}
tasks = {tasks}
launch_type = "FARGATE"
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = {{ NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }}
"""


def free_port():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def variables(path):
    """What the environment file exports, as a POSIX shell reads it."""
    script = f". {shlex.quote(str(path))} >/dev/null 2>&1; env -0"
    text = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


class Daemon:
    """`serve`, and its metrics."""

    def __init__(self, program, environment):
        self.address = f"127.0.0.1:{free_port()}"
        command = [program, "--quiet", "serve", "--listen", self.address]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the daemon is ready", self.samples)

    def samples(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def sum(self, pattern):
        return sum(value for name, value in self.samples().items() if re.match(pattern, name))

    def calls(self):
        """Calls of discovery, by operation."""
        found = {}
        for name, value in self.samples().items():
            if match := re.match(r'ecs_task_notifier_aws_calls_total\{(.*)\}', name):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match[1]))
                operation = labels["operation"]
                if operation.startswith(("List", "Describe")):
                    found[operation] = found.get(operation, 0) + int(value)
        return found

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def until(what, condition):
    limit = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > limit:
            sys.exit(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.1)
    return found


def broadcast(program, environment, daemon, tasks):
    """Seconds, calls by operation, and how the tasks were found."""
    duration = r"ecs_task_notifier_broadcast_duration_seconds_sum"
    before, calls = daemon.sum(duration), daemon.calls()
    command = [program, "--quiet", "--format", "json", "publish", "--cluster", "prod", f"--wait={PATIENCE_S}"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    summary = json.loads(run.stdout.splitlines()[-1])["summary"]
    assert summary["delivered"] == tasks and run.returncode == 0, (summary, run.stderr[-500:])
    took = until("the metrics follow", lambda: daemon.sum(duration) - before)
    made = {name: count - calls.get(name, 0) for name, count in daemon.calls().items() if count > calls.get(name, 0)}
    return {"seconds": round(took, 2), "calls": made, "method": summary.get("discovery", {}).get("method", "")}


def fewest(services, each, kind, method):
    """The fewest requests that find this fleet in this way. The first broadcast also reads each task definition."""
    pages = -(-services * each // 100)
    lists = services * -(-each // 100)
    found = {
        "sweep": {"DescribeClusters": 1, "ListTasks": pages, "DescribeTasks": pages},
        "services": {
            "DescribeClusters": 1,
            "ListServices": -(-services // 100),
            "DescribeServices": -(-services // 10),
            "ListTasks": lists,
            "DescribeTasks": lists,
        },
        "registry": {},
    }[method]
    return found | ({"DescribeTaskDefinition": services} if kind == "first" else {})


def least_seconds(calls):
    """The shortest time in which AWS answers these requests at the default share."""
    used = {}
    for operation, count in calls.items():
        bucket, at_once, rate = BUCKETS[operation]
        used[bucket] = (used.get(bucket, (0,))[0] + count, at_once, rate)
    return max([0, *((count - at_once) / rate for count, at_once, rate in used.values())])


def fit(points):
    """Seconds for no task, and for each further thousand, by least squares; and how much of the variation that explains."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    start = mean_y - slope * mean_x
    left = sum((y - start - slope * x) ** 2 for x, y in points)
    return start, slope * 1_000, 1 - left / sum((y - mean_y) ** 2 for _, y in points)


def measure(program, services, each):
    tasks = services * each
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ended:
        fleet, env_file = pathlib.Path(folder, "fleet.toml"), pathlib.Path(folder, "env")
        fleet.write_text(SERVICE.format(services=services, tasks=each))
        command = [program, "--quiet", "simulate", "--throttle", "--registry", "--fleet", str(fleet), "--env-file", str(env_file)]
        simulator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ended.callback(simulator.wait)
        ended.callback(simulator.terminate)
        assert simulator.stdout.readline(), "the simulator did not start"
        environment = variables(env_file)
        plain = {name: value for name, value in environment.items() if not name.startswith("NOTIFIER_REGISTRY_")}
        rows = []
        daemon = Daemon(program, plain)
        for kind in ("first", "again"):
            # The buckets of AWS are full again, as between two broadcasts of a day.
            time.sleep(6)
            rows.append({"kind": kind, **broadcast(program, plain, daemon, tasks), "memory": daemon.memory_mib()})
        daemon.stop()
        daemon = Daemon(program, environment)
        until("the registry has every task", lambda: daemon.sum("ecs_task_notifier_registry_tasks") >= tasks)
        time.sleep(6)
        rows.append({"kind": "registry", **broadcast(program, environment, daemon, tasks), "memory": daemon.memory_mib()})
        daemon.stop()
    for row in rows:
        least, made = fewest(services, each, row["kind"], row["method"]), row["calls"]
        row.update(services=services, tasks=tasks, memory=round(row["memory"]), least=least_seconds(least))
        row["surplus"] = sum(made.values()) - sum(least.values())
    return rows


def table(rows):
    print(f"{'services':>8} {'tasks':>7}  {'broadcast':<9} {'found by':<9} {'seconds':>8} {'least':>6} {'MiB':>5} {'surplus':>7}  calls of discovery")
    for row in rows:
        calls = ", ".join(f"{count} {name}" for name, count in sorted(row["calls"].items())) or "none"
        print(
            f"{row['services']:>8,} {row['tasks']:>7,}  {row['kind']:<9} {row['method']:<9} {row['seconds']:>8} {row['least']:>6.1f} {row['memory']:>5} {row['surplus']:>7}  {calls}",
            flush=True,
        )


def svg(rows):
    """Seconds against tasks, both on logarithmic axes."""
    from math import log10

    width, height, left, bottom = 720, 420, 70, 50
    tasks = sorted({row["tasks"] for row in rows})
    low, high = log10(min(tasks) / 1.5), log10(max(tasks) * 1.5)
    x = lambda n: left + (log10(n) - low) / (high - low) * (width - left - 20)
    y = lambda s: (height - bottom) - (log10(max(s, 0.1)) + 1) / 3.5 * (height - bottom - 20)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="13">',
        "<title>Seconds from the request to the last outcome, by number of tasks</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for seconds in (0.1, 1, 10, 100):
        out.append(f'<path d="M{left} {y(seconds):.1f}H{width - 20}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(seconds) + 4:.1f}" text-anchor="end">{seconds:g} s</text>')
    for n in tasks:
        out.append(f'<text x="{x(n):.1f}" y="{height - bottom + 20}" text-anchor="middle">{n:,}</text>')
    out.append(f'<text x="{(left + width) / 2}" y="{height - 8}" text-anchor="middle">tasks</text>')
    for place, (kind, colour, name) in enumerate(
        [("first", "#b45309", "first broadcast"), ("again", "#1d4ed8", "one more"), ("registry", "#15803d", "by the registry")]
    ):
        best = {}
        for row in rows:
            if row["kind"] == kind:
                best.setdefault(row["tasks"], row["seconds"])
        points = [(x(n), y(best[n])) for n in sorted(best)]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>')
        out.extend(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}"/>' for a, b in points)
        out.append(f'<text x="{left + 14}" y="{34 + 18 * place}" fill="{colour}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("--fleets", default=FLEETS)
    options.add_argument("--csv", type=pathlib.Path)
    options.add_argument("--svg", type=pathlib.Path)
    options = options.parse_args()
    program, rows = os.path.abspath(options.program), []
    for fleet in options.fleets.split(","):
        services, tasks = map(int, fleet.split("x"))
        found = measure(program, services, tasks)
        table(found)
        rows += found
    points = [(row["tasks"], row["seconds"]) for row in rows if row["kind"] == "registry"]
    if len(points) > 2:
        start, slope, explained = fit(points)
        print(f"by the registry: {start:.2f} s and {slope:.3f} s for each 1,000 tasks (R² {explained:.3f})")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["services", "tasks", "broadcast", "method", "seconds", "memory_mib", "calls"])
            for row in rows:
                calls = sum(row["calls"].values())
                writer.writerow([row[name] for name in ("services", "tasks", "kind", "method", "seconds", "memory")] + [calls])
    if options.svg:
        options.svg.write_text(svg(rows))


if __name__ == "__main__":
    main()
