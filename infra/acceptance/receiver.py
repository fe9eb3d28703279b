"""A sample task: answers notifications, and logs each request and its answer as one JSON object a line.

The path /refuse-once refuses the first request with each id, and accepts the next one. Arguments: address and port to
listen on; default: port 8080 of every address.
"""

import http.server
import json
import sys

BODY_BYTES_MAX = 1_100_000
SEEN_MAX = 10_000
PORT = "8080"
seen = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(min(length, BODY_BYTES_MAX))
        notification = self.headers.get("webhook-id", "")
        refused = self.path == "/refuse-once" and notification not in seen
        if len(seen) < SEEN_MAX:
            seen.add(notification)
        status = 404 if refused else 204
        self.send_response(status)
        self.end_headers()
        # The sample tasks start before the key exists, so the reader of the log verifies the signature.
        print(json.dumps({
            "received": notification,
            "status": status,
            "timestamp": self.headers.get("webhook-timestamp", ""),
            "signature": self.headers.get("webhook-signature", ""),
            "body": body.decode("utf-8", "replace"),
        }), flush=True)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    address, port = sys.argv[1:] or ("", PORT)
    http.server.ThreadingHTTPServer((address, int(port)), Receiver).serve_forever()
