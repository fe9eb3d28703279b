"""How long a function takes from process start to its first request for work, on this machine.

    python3 crates/lambdas/cold_start.py target/lambda/x86_64/*/bootstrap.zip
"""

import http.server
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

RUNS = 30
WAIT_S = 30


class Runtime(http.server.BaseHTTPRequestHandler):
    """Lambda's runtime interface, as far as to say that somebody asked for work."""

    def do_GET(self):
        self.server.asked.append(time.perf_counter())
        self.server.ready.set()
        self.server.over.wait(WAIT_S)

    def log_message(self, *_):
        pass


def start(bootstrap):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    server.asked, server.ready, server.over = [], threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "https://sqs.eu-west-1.amazonaws.com/111122223333/queue"
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": "group",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "NOTIFIER_OBSERVER_QUEUE_URL": url,
        "NOTIFIER_SERVICES_QUEUE_URL": url,
        "NOTIFIER_TASKS_QUEUE_URL": url,
        "NOTIFIER_SIGNING_SECRET": "none",
    }
    began = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=environment)
    assert server.ready.wait(WAIT_S), "the function never asked for work"
    with open(f"/proc/{process.pid}/status") as status:
        memory = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    process.kill()
    process.wait()
    server.over.set()
    server.shutdown()
    server.server_close()
    return (server.asked[0] - began) * 1000, memory / 1024


def main(archives):
    print("| archive | zip | program | to ready, median | worst of 30 | memory |\n| --- | --- | --- | --- | --- | --- |")
    for archive in archives:
        with tempfile.TemporaryDirectory() as folder:
            zipfile.ZipFile(archive).extractall(folder)
            bootstrap = os.path.join(folder, "bootstrap")
            os.chmod(bootstrap, 0o755)
            size = os.path.getsize(bootstrap)
            times, memory = zip(*(start(bootstrap) for _ in range(RUNS)))
        name = os.path.basename(os.path.dirname(os.path.abspath(archive)))
        print(
            f"| `{name}` | {os.path.getsize(archive) / 1e6:.1f} MB | {size / 1e6:.1f} MB "
            f"| {statistics.median(times):.0f} ms | {max(times):.0f} ms | {max(memory):.0f} MB |"
        )


main(sys.argv[1:])
