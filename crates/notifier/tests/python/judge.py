"""Judges requests by the reference libraries of Standard Webhooks and CloudEvents.

Reads a list of {"secret", "headers", "body"} from stdin; without a secret, the signature is not looked at. Writes a list of
what each is: the event's attributes and data, or {"error": the kind of exception}.
"""

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook


def judge(call):
    try:
        if call["secret"]:
            Webhook(call["secret"]).verify(call["body"], call["headers"])
        event = from_http_event(HTTPMessage(call["headers"], call["body"].encode()))
        data = event.get_data()
        return {**event.get_attributes(), "data": data, "big": str(data["big"])}
    except Exception as error:
        return {"error": type(error).__name__, "says": str(error)}


json.dump([judge(call) for call in json.load(sys.stdin)], sys.stdout, default=str)
