"""Makes some of what schemathesis draws reach further: ids of requests that are there, and approval requests that can be read."""
import copy
import json
import os
import random
import secrets

import rfc8785
import schemathesis

from gate_api import key_of

KNOWN = json.loads(os.environ["GATE_FUZZ"])
draws = random.Random(1)


def is_wanted(case):
    """Only what is meant to be right is changed; what is meant to be wrong has to stay so."""
    mode = getattr(getattr(case.meta, "generation", None), "mode", None)
    return mode is not None and mode.value == "positive"


@schemathesis.hook
def before_call(context, case, kwargs):
    # Events of a request that waits have no end.
    if case.path.endswith("/events") and str((case.path_parameters or {}).get("id")).startswith("req_"):
        case.path_parameters["id"] = KNOWN["over"]
    if not is_wanted(case):
        return
    if "id" in (case.path_parameters or {}) and draws.random() < 0.6:
        case.path_parameters["id"] = KNOWN["over"] if case.path.endswith("/events") else draws.choice(KNOWN["ids"])
    # A call that waits is a slow one.
    if "wait" in (case.query or {}):
        case.query["wait"] = 0
    if not isinstance(case.body, dict):
        return
    if "digest" in case.body and draws.random() < 0.6:
        case.body["digest"] = draws.choice(KNOWN["digests"])
    if "review" in case.body and draws.random() < 0.8:
        case.body["review"] = draws.choice(["approve", "reject"])
    if "answer" in case.body and draws.random() < 0.8:
        case.body["answer"] = draws.choice(["approve", "reject"])
    if "client_nonce" in case.body and draws.random() < 0.8:
        case.body["client_nonce"] = draws.choice(KNOWN["nonces"])
    if "approval_request" in case.body and draws.random() < 0.8:
        asked = copy.deepcopy(KNOWN["sample"])
        for name, value in (case.body["approval_request"] or {}).items():
            if draws.random() < 0.3:
                asked[draws.choice(list(asked))] = value
        asked["argv"] = ["deploy", secrets.token_hex(4)] if draws.random() < 0.7 else asked["argv"]
        case.body["approval_request"] = asked
        case.body["client_nonce_sha256"] = secrets.token_hex(32)
        try:
            key = key_of(asked)
        except (rfc8785.CanonicalizationError, AttributeError, KeyError, TypeError):
            key = "00"
        case.headers = {**(case.headers or {}), "Idempotency-Key": f'"{key}"'}
