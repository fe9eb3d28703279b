"""Runs the parts of .ci/run side by side.

    parts.py [--at-once N] [--limit-s SECONDS] [--grace-s SECONDS] < PARTS

Each line of PARTS is `NAME: COMMAND` or `NAME after OTHER...: COMMAND`; bash runs the command as soon as the other parts have
passed. The output of a part is kept together and printed when the part ends. When a part fails, or the time is up, or this
program gets a signal, all running parts are ended. The exit code is that of the part that failed, 1 when the time was up, and
128 and its number after a signal.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

POLL_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Part:
    def __init__(self, name, after, command):
        self.name, self.after, self.command = name, after, command
        self.process = self.output = self.started = None

    def start(self):
        self.started = time.monotonic()
        self.output = tempfile.TemporaryFile()
        # A session of its own: whatever the part starts can be found, also in process groups of its own.
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.command],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True,
        )
        say(f"started {self.name}: {self.command}")

    def exit_code(self):
        """As a shell has it; None while the part runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def seconds(self):
        return f"{time.monotonic() - self.started:.0f} s"

    def print_output(self):
        self.output.seek(0)
        while chunk := self.output.read(1 << 16):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def members(self):
        """The processes of the part's session that have not ended."""
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                # The name, in brackets, may contain anything.
                state, _parent, _group, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            except (OSError, ValueError):
                continue
            if int(session) == self.process.pid and state not in "ZX":
                yield int(stat.parent.name)


def say(text):
    print(f"== {text}", flush=True)


def send(number, parts):
    """Sends a signal to every process of these parts, and returns whether there was one."""
    pids = [pid for part in parts for pid in part.members()]
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
    return bool(pids)


def end(parts, grace_s):
    """Ends every process of these parts: asks first, and kills those that are left after the grace time."""
    until = time.monotonic() + grace_s
    asked = send(signal.SIGTERM, parts)
    while asked and time.monotonic() < until and any(True for part in parts for _ in part.members()):
        time.sleep(POLL_S)
    while send(signal.SIGKILL, parts):
        time.sleep(POLL_S)
    for part in parts:
        part.process.wait()


def read(lines):
    """The parts by name, in the order of the lines."""
    parts = {}
    for line in filter(None, map(str.strip, lines)):
        head, colon, command = line.partition(":")
        name, *rest = head.split() or [""]
        after = rest[1:]
        if not (colon and name and command.strip()) or rest and (rest[0] != "after" or not after):
            raise ValueError(f"not `NAME: COMMAND` or `NAME after OTHER...: COMMAND`: {line}")
        if name in parts:
            raise ValueError(f"two parts have the name {name}")
        # Only parts above: so there is no circle.
        if unknown := [other for other in after if other not in parts]:
            raise ValueError(f"{name} comes after {' '.join(unknown)}, which no line above defines")
        parts[name] = Part(name, after, command.strip())
    return parts


def run(parts, at_once, limit_s, grace_s, signals):
    """Runs all parts; returns the exit code. `signals` holds the numbers of the signals that came."""
    until = time.monotonic() + limit_s
    waiting, running, passed = list(parts.values()), [], set()
    while waiting or running:
        ready = [part for part in waiting if passed.issuperset(part.after)]
        for part in ready[: at_once - len(running)]:
            part.start()
            waiting.remove(part)
            running.append(part)
        time.sleep(POLL_S)
        for part in [part for part in running if part.exit_code() is not None]:
            running.remove(part)
            code = part.exit_code()
            say(f"{part.name}: {f'exit code {code}' if code else 'passed'} after {part.seconds()}")
            part.print_output()
            end([part], grace_s)
            if code:
                stop(running, waiting, grace_s)
                say(f"FAILED: {part.name} (exit code {code}): {part.command}")
                return code
            passed.add(part.name)
        if signals:
            stop(running, waiting, grace_s)
            say(f"STOPPED by {signal.Signals(signals[0]).name}")
            return 128 + signals[0]
        if running and time.monotonic() > until:
            stop(running, waiting, grace_s)
            for part in running:
                part.print_output()
            say(f"FAILED: {' '.join(part.name for part in running)}: not finished within the {limit_s:g} s of all parts")
            return 1
    say(f"all {len(parts)} parts passed")
    return 0


def stop(running, waiting, grace_s):
    end(running, grace_s)
    for part in running:
        say(f"{part.name}: ended after {part.seconds()}")
    if waiting:
        say(f"not started: {' '.join(part.name for part in waiting)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=2, help="parts that run at the same time at most (2)")
    parser.add_argument("--limit-s", type=float, default=3600, help="time for all parts (3600)")
    parser.add_argument("--grace-s", type=float, default=20, help="between SIGTERM and SIGKILL (20; nextest takes 10)")
    arguments = parser.parse_args()
    try:
        parts = read(sys.stdin)
    except ValueError as error:
        parser.error(str(error))
    signals = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: signals.append(number))
    return run(parts, arguments.at_once, arguments.limit_s, arguments.grace_s, signals)


if __name__ == "__main__":
    sys.exit(main())
