"""A collector of traces: prints its port, then each request as a line of JSON, decoded by OpenTelemetry's own types.

The arguments are the statuses of the first answers; all later ones are 200.
"""

import http.server
import json
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

statuses = [int(status) for status in sys.argv[1:]]


def values(attributes):
    kinds = {"string_value": str, "int_value": int}
    pairs = [(one.key, one.value.WhichOneof("value"), one.value) for one in attributes]
    assert len({key for key, _, _ in pairs}) == len(pairs), pairs
    return {key: kinds[kind](getattr(value, kind)) for key, kind, value in pairs}


def described(span):
    assert len(span.trace_id) == 16 and len(span.span_id) == 8 and len(span.parent_span_id) in (0, 8), span
    return {
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind),
        "start": span.start_time_unix_nano,
        "nanoseconds": span.end_time_unix_nano - span.start_time_unix_nano,
        "attributes": values(span.attributes),
        "links": [{"trace": link.trace_id.hex(), "id": link.span_id.hex(), "flags": link.flags} for link in span.links],
        "status": Status.StatusCode.Name(span.status.code),
        "why": span.status.message,
        "flags": span.flags,
    }


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status = statuses.pop(0) if statuses else 200
        request = ExportTraceServiceRequest.FromString(body)
        # Nothing is lost by the types: there is no field that they do not know.
        assert len(request.SerializeToString()) == len(body), body
        [resource] = request.resource_spans
        [scope] = resource.scope_spans
        print(json.dumps({
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "status": status,
            "resource": values(resource.resource.attributes),
            "scope": [scope.scope.name, scope.scope.version],
            "spans": [described(span) for span in scope.spans],
        }), flush=True)
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *_):
        pass


with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
