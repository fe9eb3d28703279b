"""Accepts the events of ecs-task-notifier: Flask, and the Python library of Standard Webhooks."""

import json
import os
import re
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, abort, request
from standardwebhooks import Webhook
from werkzeug.serving import WSGIRequestHandler

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
keys = [Webhook(secret) for secret in os.environ["NOTIFIER_VERIFYING_KEYS"].split()]
workers, waiting = ThreadPoolExecutor(max_workers=4), threading.Semaphore(100)
lock, seen = threading.Lock(), {}  # A dict keeps the order of insertion: the oldest comes first.
task = None  # Outside ECS.
if uri := os.environ.get("ECS_CONTAINER_METADATA_URI_V4"):
    with urllib.request.urlopen(f"{uri}/task", timeout=5) as answer:
        task = json.load(answer)["TaskARN"]


def verified(body: bytes) -> dict:
    """Returns the event if one of the keys signed this body within the last five minutes."""
    for key in keys:
        try:
            return key.verify(body, dict(request.headers))
        except json.JSONDecodeError:  # The signature matches: the library parses the body only after that.
            abort(400, "not JSON")
        except Exception:  # The library raises several types for a malformed header; all of them mean: not verified.
            continue
    abort(401, "no signature matches")


def first(delivery: str) -> bool:
    """Returns whether this delivery is new. Remembers at most 10,000 deliveries of the last hour."""
    now = time.monotonic()
    with lock:
        while seen and (len(seen) >= 10_000 or now - next(iter(seen.values())) > 3600):
            del seen[next(iter(seen))]
        return seen.setdefault(delivery, now) is now


def trace_id() -> str:
    """Returns the id of the request's trace: the notifier's log has the same. The header is not signed, so its form is checked."""
    parts = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", request.headers.get("traceparent", ""))
    return parts[1] if parts else "-"


def handle(event: dict, trace: str) -> None:
    try:
        print(f"trace_id={trace} {event['type']}: {event.get('data')}", flush=True)
    finally:
        waiting.release()


def status() -> dict:
    """Returns the answer to a question. It changes nothing: a question may come again."""
    return {"version": os.environ.get("VERSION", "unknown")}


@app.post("/v1.0/notify")
def notify():
    if request.mimetype != "application/cloudevents+json":
        abort(415)
    event = verified(request.get_data())
    if task is not None and event.get("ecstask") != task:
        abort(421, "the event is for another task")
    if event.get("question") is True:
        # Times in this form are in the order of their texts. Clocks may differ by half a minute.
        if str(event.get("expirytime", "9")) < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30)):
            abort(400, "the question has expired")
        return status()
    if not waiting.acquire(blocking=False):
        return "busy\n", 503, {"Retry-After": "1"}
    if not first(request.headers["webhook-id"]):
        waiting.release()
        return "handled before\n", 200
    workers.submit(handle, event, trace_id())
    return "accepted\n", 202


if __name__ == "__main__":
    WSGIRequestHandler.timeout = 5  # Ends a request after so many seconds without data.
    app.run("127.0.0.1", int(os.environ.get("PORT", "8080")), threaded=True)
