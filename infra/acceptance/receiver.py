"""A sample task: answers notifications and says in its log, one JSON object a line, what it received and answered.

The path /refuse-once refuses each notification the first time that it sees its id, and takes it the second time.
"""

import http.server
import json

BODY_BYTES_MAX = 1_100_000
SEEN_MAX = 10_000
seen = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        self.rfile.read(min(length, BODY_BYTES_MAX))
        notification = self.headers.get("webhook-id", "")
        refused = self.path == "/refuse-once" and notification not in seen
        if len(seen) < SEEN_MAX:
            seen.add(notification)
        status = 404 if refused else 204
        self.send_response(status)
        self.end_headers()
        signed = "webhook-signature" in self.headers
        print(json.dumps({"received": notification, "status": status, "signed": signed}), flush=True)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 8080), Receiver).serve_forever()
