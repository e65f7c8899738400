"""Signs on, asks for a few things, and lets schemathesis loose on the API as a person who may ask and decide.
fuzz_api.py URL ISSUER EXAMPLES SEED < approval request"""
import json
import os
import subprocess
import sys
from pathlib import Path

from gate_api import Person, Server, call, digest_of

url, issuer, examples, seed = sys.argv[1:]
server = Server(url, issuer, json.load(sys.stdin))
# She decides, and is none of those who may stop everything: nothing would be asked any more.
assert call(issuer, "GET", "/admin?who=eve&group=sre").status == 200
eve, bob = Person(server, "eve").log_in("request+decide"), Person(server, "bob").log_in("request+decide")
ids, digests, nonces = [], [], []
for who in (eve, bob):
    for number in range(12):
        body, key, nonce = server.asking(["deploy", who.who, str(number)])
        told = who.call("POST", "/v1/requests", body, {"idempotency-key": f'"{key}"'}, expect=201)
        ids.append(told.json["id"])
        digests.append(digest_of(body["approval_request"]))
        nonces.append(nonce)
bob.call("DELETE", f"/v1/requests/{ids[-1]}", expect=200)
sample, _, _ = server.asking(["deploy"])
known = {"ids": ids, "over": ids[-1], "digests": digests, "nonces": nonces, "sample": sample["approval_request"]}
here = Path(__file__).parent
environment = os.environ | {
    "SCHEMATHESIS_HOOKS": "fuzz_hooks",
    "PYTHONPATH": str(here),
    "GATE_FUZZ": json.dumps(known),
    "NO_COLOR": "1",
}
# What a whole and valid call is answered depends on more than its form, so `positive_data_acceptance` says nothing here. The token that
# all calls bring stays as it is: its end, which is one call, is held by the client that calls everything.
checks = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]
command = [str(Path(sys.executable).parent / "st"), "run", f"{url}/openapi.json", "--checks", ",".join(checks), "--seed", seed]
command += ["--max-examples", examples, "--generation-database", "none", "--continue-on-failure", "--workers", "2"]
command += ["--exclude-operation-id", "end_login", "--generation-with-security-parameters", "false", "--warnings", "off"]
command += ["--suppress-health-check", "all", "--request-timeout", "40", "-H", f"Authorization: Bearer {eve.token}"]
ended = subprocess.run(command, env=environment, cwd=os.environ.get("TMPDIR", "/tmp"), stdin=subprocess.DEVNULL)
sys.exit(ended.returncode)
