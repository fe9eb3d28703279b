"""The scheme `v1a` of Standard Webhooks by another library than ours: `cryptography`, which is OpenSSL.

Reads {"verify": [calls], "sign": calls} from stdin. A call to verify has "public" (`whpk_...`), "headers" and "body", and is
answered by whether one of its signatures is of that key. A call to sign has "id", "timestamp" and "body", and is answered by
a new key pair and the header that it signs with.
"""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def content(id, timestamp, body):
    return f"{id}.{timestamp}.{body}".encode()


def verify(call):
    prefix, key = call["public"][:5], base64.b64decode(call["public"][5:], validate=True)
    assert prefix == "whpk_", "not a public key"
    public, headers = Ed25519PublicKey.from_public_bytes(key), call["headers"]
    signed = content(headers["webhook-id"], headers["webhook-timestamp"], call["body"])
    for signature in headers["webhook-signature"].split(" "):
        scheme, text = signature.split(",", 1)
        if scheme != "v1a":
            continue
        try:
            public.verify(base64.b64decode(text, validate=True), signed)
            return True
        except InvalidSignature:
            pass
    return False


def sign(call):
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    text = lambda data: base64.b64encode(data).decode()
    signature = private.sign(content(call["id"], call["timestamp"], call["body"]))
    return {
        "private": "whsk_" + text(private.private_bytes_raw() + public),
        "public": "whpk_" + text(public),
        "signature": "v1a," + text(signature),
    }


asked = json.load(sys.stdin)
json.dump({"verify": list(map(verify, asked["verify"])), "sign": list(map(sign, asked["sign"]))}, sys.stdout)
