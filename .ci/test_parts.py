"""What parts.py does when parts pass, fail, hang or are interrupted: `python3 .ci/test_parts.py`."""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PARTS = pathlib.Path(__file__).with_name("parts.py")
# Longest wait for something that takes a moment, on a busy machine.
SOON_S = 60


def is_running(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Parts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, parts, *arguments):
        command = [sys.executable, PARTS, "--grace-s", "5", *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=self.folder, text=True, **pipes)
        self.addCleanup(process.kill)
        process.stdin.write(parts)
        process.stdin.close()
        process.stdin = None
        return process

    def run_parts(self, parts, *arguments):
        """Exit code and lines of output."""
        process = self.start(parts, *arguments)
        output, _ = process.communicate(timeout=SOON_S)
        return process.returncode, output.splitlines()

    def wait_for(self, *names):
        until = time.monotonic() + SOON_S
        while not all((self.folder / name).exists() for name in names):
            self.assertLess(time.monotonic(), until, "the parts have not started")
            time.sleep(0.05)

    def assert_nothing_runs(self):
        pids = [pid for file in self.folder.glob("*.pid") for pid in file.read_text().split()]
        self.assertTrue(pids)
        self.assertEqual([pid for pid in pids if is_running(pid)], [])

    def test_parts_run_side_by_side_and_their_outputs_stay_apart(self):
        # Each waits for the other: one after the other, they would never end.
        meet = "echo {0}1; touch {0}; until [ -e {1} ]; do sleep 0.05; done; sleep 0.3; echo {0}2"
        code, lines = self.run_parts(f"a: {meet.format('a', 'b')}\nb: {meet.format('b', 'a')}\n")
        self.assertEqual((code, lines[-1]), (0, "== all 2 parts passed"))
        for name in "ab":
            start = lines.index(f"{name}1")
            self.assertEqual(lines[start : start + 2], [f"{name}1", f"{name}2"])
            self.assertRegex(lines[start - 1], f"^== {name}: passed after ")

    def test_no_more_parts_run_at_once_than_allowed(self):
        alone = "mkdir one; sleep 0.3; rmdir one"
        self.assertEqual(self.run_parts(f"a: {alone}\nb: {alone}\nc: {alone}\n", "--at-once", "1")[0], 0)

    def test_a_part_starts_after_those_that_it_needs(self):
        code, lines = self.run_parts("a: sleep 0.5; touch made\nb: true\nc after a b: ls made\n", "--at-once", "3")
        self.assertEqual(code, 0)
        self.assertIn("made", lines)

    def test_a_part_that_fails_is_named_and_ends_the_others(self):
        # A process group of its own, as the tests of nextest have, and a process that ignores SIGTERM.
        hangs = "set -m; sleep 600 & echo $! >> hangs.pid; (trap '' TERM; touch ready; exec sleep 601) & echo $! >> hangs.pid; wait"
        fails = "until [ -e ready ]; do sleep 0.05; done; echo the reason; exit 7"
        code, lines = self.run_parts(f"hangs: {hangs}\nfails: {fails}\nlast after hangs: true\n")
        self.assertEqual(code, 7)
        self.assertEqual(lines[-1], f"== FAILED: fails (exit code 7): {fails}")
        self.assertIn("== not started: last", lines)
        self.assertRegex("\n".join(lines), r"== fails: exit code 7 after \d+ s\nthe reason\n== hangs: ended after \d+ s\n")
        self.assert_nothing_runs()

    def test_any_failing_command_of_a_part_fails_it(self):
        for command in ("false; true", "false | true", "echo $undefined"):
            with self.subTest(command):
                self.assertNotEqual(self.run_parts(f"a: {command}\n")[0], 0)

    def test_a_part_that_dies_by_a_signal_has_failed(self):
        code, lines = self.run_parts("a: kill -KILL $$\n")
        self.assertEqual((code, lines[-1]), (137, "== FAILED: a (exit code 137): kill -KILL $$"))

    def test_a_part_that_hangs_is_named_and_ended(self):
        hangs = "echo before; sleep 600 & echo $! > hangs.pid; wait"
        code, lines = self.run_parts(f"quick: true\nhangs: {hangs}\n", "--limit-s", "3")
        self.assertEqual(code, 1)
        self.assertEqual(lines[-1], "== FAILED: hangs: not finished within the 3 s of all parts")
        self.assertIn("before", lines)
        self.assert_nothing_runs()

    def test_what_a_part_leaves_running_is_ended(self):
        self.assertEqual(self.run_parts("a: sleep 600 & echo $! > left.pid\n")[0], 0)
        self.assert_nothing_runs()

    def test_a_signal_ends_every_part(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number.name):
                part = "sleep 600 & echo $! > {0}.pid; touch {0}; wait"
                process = self.start(f"a: {part.format('a')}\nb: {part.format('b')}\n")
                self.wait_for("a", "b")
                process.send_signal(number)
                output, _ = process.communicate(timeout=SOON_S)
                self.assertEqual(process.returncode, 128 + number)
                self.assertEqual(output.splitlines()[-1], f"== STOPPED by {number.name}")
                self.assert_nothing_runs()
                for file in self.folder.iterdir():
                    file.unlink()

    def test_parts_that_make_no_sense_are_refused(self):
        for parts, why in {
            "a\n": "not `NAME: COMMAND`",
            "a:\n": "not `NAME: COMMAND`",
            "a before b: true\n": "not `NAME: COMMAND`",
            "a after: true\n": "not `NAME: COMMAND`",
            "a: true\na: true\n": "two parts have the name a",
            "a after b: true\nb: true\n": "a comes after b, which no line above defines",
        }.items():
            with self.subTest(parts):
                code, lines = self.run_parts(parts)
                self.assertEqual(code, 2)
                self.assertIn(why, lines[-1])


if __name__ == "__main__":
    unittest.main()
