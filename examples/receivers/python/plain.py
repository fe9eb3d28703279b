"""Accepts the events of ecs-task-notifier. Python 3.9 or newer, nothing to install."""

import base64
import hashlib
import hmac
import json
import os
import queue
import re
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX, BODY_SECONDS_MAX, AGE_SECONDS_MAX = 1024 * 1024, 5, 300
SEEN_SECONDS, SEEN_MAX = 3600, 10_000
secrets = [key.removeprefix("whsec_") for key in os.environ["NOTIFIER_VERIFYING_KEYS"].split()]
keys = [base64.b64decode(secret, validate=True) for secret in secrets]
events, seen, lock = queue.Queue(100), {}, threading.Lock()
task = None  # Outside ECS.
if uri := os.environ.get("ECS_CONTAINER_METADATA_URI_V4"):
    with urllib.request.urlopen(f"{uri}/task", timeout=5) as answer:
        task = json.load(answer)["TaskARN"]


def is_signed(delivery, timestamp, signatures, body):
    """Returns whether one of the keys made one of the signatures within the last five minutes."""
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > AGE_SECONDS_MAX:
        return False
    signed = f"{delivery}.{timestamp}.".encode() + body
    made = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    sent = [one[3:].encode() for one in signatures.split() if one.startswith("v1,")]
    return any(hmac.compare_digest(ours, theirs) for ours in made for theirs in sent)


def trace_id(header):
    """Returns the id of the request's trace, for the log. The header is not signed, so its form is checked."""
    parts = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", header)
    return parts[1] if parts else "-"


def status():
    """Returns the answer to a question. It changes nothing: a question may come again."""
    return {"version": os.environ.get("VERSION", "unknown"), "waiting": events.qsize()}


def accept(delivery, event, trace):
    """Queues a new event; returns the status to answer."""
    now = time.monotonic()
    with lock:
        while seen and (len(seen) >= SEEN_MAX or now - next(iter(seen.values())) > SEEN_SECONDS):
            del seen[next(iter(seen))]
        if delivery in seen:
            return 200
        try:
            events.put_nowait((event, trace))
        except queue.Full:
            return 503
        seen[delivery] = now
        return 202


class Notify(BaseHTTPRequestHandler):
    timeout = BODY_SECONDS_MAX  # For each read, also of the head.

    def answer(self):
        judged = self.judge()
        status, body = (200, judged) if isinstance(judged, bytes) else (judged, b"")
        self.reply(status, body)

    do_POST = do_GET = do_PUT = do_PATCH = do_DELETE = answer

    def judge(self):
        """Returns the status to answer, or the answer to a question. Reads the body first: closing a connection before that may lose the answer."""
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return 413
        try:
            body = self.read(int(length))
        except OSError:
            return 408
        if self.path != "/v1.0/notify":
            return 404
        if self.command != "POST":
            return 405
        if self.headers.get_content_type() != "application/cloudevents+json":
            return 415
        delivery, timestamp, signatures = (self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        if not delivery or not is_signed(delivery, timestamp, signatures, body):
            return 401
        try:
            event = json.loads(body)
        except ValueError:
            return 400
        if not isinstance(event, dict) or "type" not in event:
            return 400
        if task is not None and event.get("ecstask") != task:
            return 421
        if event.get("question") is True:
            # Times in this form are in the order of their texts. Clocks may differ by half a minute.
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30))
            return json.dumps(status()).encode() if str(event.get("expirytime", "9")) >= now else 400
        return accept(delivery, event, trace_id(self.headers.get("traceparent", "")))

    def read(self, length):
        """Returns the body; raises TimeoutError when it is not complete after five seconds."""
        until, body = time.monotonic() + BODY_SECONDS_MAX, b""
        while len(body) < length:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            part = self.rfile.read1(length - len(body))
            if not part:
                raise TimeoutError
            body += part
        return body

    def reply(self, status, body=b""):
        self.close_connection = True
        self.send_response(status)
        if status == 405:
            self.send_header("Allow", "POST")
        if status == 503:
            self.send_header("Retry-After", "1")
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def work():
    while True:
        event, trace = events.get()
        print(f"trace_id={trace} {event['type']}: {event.get('data')}", flush=True)


if __name__ == "__main__":
    threading.Thread(target=work, daemon=True).start()
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080")))
    ThreadingHTTPServer(address, Notify).serve_forever()
