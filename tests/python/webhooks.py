"""Verifies webhooks with the reference library. Reads one JSON object with secret, headers and body (base64) from each line of stdin."""

import base64
import json
import sys

from standardwebhooks import Webhook

for line in sys.stdin:
    sent = json.loads(line)
    body = base64.b64decode(sent["body"])
    payload = Webhook(sent["secret"]).verify(body, sent["headers"])
    assert set(payload or json.loads(body)) == {"type", "timestamp", "data"}
    for changed in (body + b" ", body.replace(b"request", b"Request")):
        try:
            Webhook(sent["secret"]).verify(changed, sent["headers"])
        except Exception:
            continue
        sys.exit("a changed body was accepted")
print("verified")
