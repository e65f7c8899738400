"""Drives the whole API as people and their command lines do; fails where an operation of the description was not called.
drive_api.py URL ISSUER < approval request. The people: ann (sre, dba; may stop; administrator), bob (dba; breaks the glass), cat (may stop;
reviews broken glass; administrator), dan (nothing)."""
import base64
import datetime
import hashlib
import http.client
import json
import secrets
import sys
import threading
import urllib.parse

from gate_api import Person, Server, b64url, call, digest_of, sha256, verify_receipt

url, issuer = sys.argv[1:]
server = Server(url, issuer, json.load(sys.stdin))
ann, bob, cat, dan = (Person(server, who).log_in("request+decide") for who in ("ann", "bob", "cat", "dan"))


def ask(who, words, expect=201, **terms):
    """Asks: the view, the approval request, the nonce, and what was sent."""
    body, key, nonce = server.asking(words, **terms)
    told = who.call("POST", "/v1/requests", body, {"idempotency-key": f'"{key}"'}, expect)
    return told.json, body["approval_request"], nonce, (body, key)


def of(view, more=""):
    return f"/v1/requests/{view['id']}{more}"


def problem(answer, status, kind):
    assert (answer.status, answer.json["type"]) == (status, f"/problems/{kind}"), answer
    assert answer.headers["content-type"] == "application/problem+json", answer
    return answer.json


def sure(who):
    """The same person, who has just shown a second factor."""
    return Person(server, who, factor=True).log_in("request+decide")


# The key that decisions are signed with.
[key] = server.call("GET", "/v1/keys", expect=200).json["keys"]
assert key["use"] == "decision" and not key["dev"]

# Without a login, with one that is none, and with one in the address: nobody.
for headers, path in (({}, ""), ({"authorization": "Bearer gate_pat_x"}, ""), ({}, f"?access_token={ann.token}")):
    problem(server.call("GET", f"/v1/requests{path}", headers=headers), 401, "unauthenticated")

# Asking: the same again is the same; the same key for something else is refused.
view, asked, nonce, (body, idempotency) = ask(bob, ["deploy", "web"])
assert (view["state"], view["digest"], view["key"]) == ("pending", digest_of(asked), idempotency), view
again = bob.call("POST", "/v1/requests", body, {"idempotency-key": f'"{idempotency}"'}, expect=200)
assert again.json["id"] == view["id"] and again.headers["location"] == of(view)
other, _, _ = server.asking(["deploy", "db"])
problem(bob.call("POST", "/v1/requests", other, {"idempotency-key": f'"{idempotency}"'}), 422, "idempotency-mismatch")
problem(bob.call("POST", "/v1/requests", body), 400, "idempotency-missing")
# Another person's key finds nothing of mine.
theirs = dan.call("POST", "/v1/requests", body, {"idempotency-key": f'"{idempotency}"'}, expect=201)
assert theirs.json["id"] != view["id"] and theirs.json["requester"]["person"]["subject"] == "dan"
dan.call("DELETE", of(theirs.json), expect=200)

# A number that the requester does not see, and reading, which others may not.
say = {"review": "approve", "digest": view["digest"], "comment": "fine by me", "number": "42"}
problem(ann.call("POST", of(view, "/reviews"), say | {"number": "41"}), 403, "wrong-number")
shown = bob.call("GET", of(view), expect=200)
assert shown.json["approval_request"] == asked and "receipt" not in shown.json
problem(dan.call("GET", of(view)), 404, "not-found")
tag = shown.headers["etag"]
bob.call("GET", of(view), headers={"if-none-match": tag}, expect=304)

# Lists, page by page to the end, each request once.
many = {ask(bob, ["list", str(number)])[0]["id"] for number in range(7)} | {view["id"]}
for who in (bob, ann):
    seen, cursor = [], None
    while True:
        query = {"limit": 3, "state": "pending"} | ({"cursor": cursor} if cursor else {})
        page = who.call("GET", f"/v1/requests?{urllib.parse.urlencode(query)}", expect=200).json
        seen += [one["id"] for one in page["requests"]]
        cursor = page.get("next")
        if not cursor:
            break
    assert len(seen) == len(set(seen)) and many <= set(seen), (who.who, seen)
assert dan.call("GET", "/v1/requests?state=pending", expect=200).json["requests"] == []
problem(bob.call("GET", "/v1/requests?state=done"), 422, "validation")
problem(bob.call("GET", "/v1/requests?limit=-1"), 422, "validation")

# A call that waits is woken by the change, and so is who follows the events.
woken = []
waiting = threading.Thread(target=lambda: woken.append(bob.call("GET", of(view, "?wait=30"), headers={"if-none-match": tag})))
waiting.start()


def events(last=None, until=("approved",)):
    """Reads server-sent events until the request stands so: their ids and what they told."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
    headers = {"authorization": f"Bearer {bob.token}", "accept": "text/event-stream"}
    connection.request("GET", of(view, "/events"), headers=headers | ({"last-event-id": last} if last else {}))
    response = connection.getresponse()
    assert response.status == 200 and response.headers["content-type"] == "text/event-stream", response.headers
    server.described.called.add("follow_request")
    told, fields = [], {}
    for line in response:
        line = line.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            assert fields["event"] == "state"
            told.append((fields["id"], json.loads(fields["data"])))
            began.set()
            if told[-1][1]["state"] in until:
                break
        fields = {}
    connection.close()
    return told


began, followed = threading.Event(), []
following = threading.Thread(target=lambda: followed.extend(events()))
following.start()
assert began.wait(60)

# Deciding. Who asked does not, who is not asked does not, and nobody about something else.
problem(bob.call("POST", of(view, "/reviews"), say), 403, "self-approval")
problem(dan.call("POST", of(view, "/reviews"), say), 404, "not-found")
problem(ann.call("POST", of(view, "/reviews"), say | {"digest": "0" * 64}), 422, "validation")
to_sign = ann.call("POST", of(view, "/statement"), {"answer": "approve"}, expect=200).json
statement = base64.b64decode(to_sign["statement"])
assert to_sign["challenge"] == b64url(hashlib.sha256(statement).digest())
assert json.loads(statement)["digest"] == view["digest"], statement
decided = ann.call("POST", of(view, "/reviews"), say, expect=200).json
assert decided["state"] == "approved" and decided["reviews"][0]["approver"] == {"issuer": issuer, "subject": "ann"}
assert "receipt" not in decided, "it is for the requester alone"
late = problem(ann.call("POST", of(view, "/reviews"), say | {"review": "reject"}), 409, "already-decided")
assert late["request"]["state"] == "approved"
for thread in (waiting, following):
    thread.join(60)
assert (woken[0].status, woken[0].json["state"]) == (200, "approved")
states = [told["state"] for _, told in followed]
assert states[0] == "pending" and states[-1] == "approved", states
# Whoever lost the connection goes on where it was.
resumed = events(last=followed[0][0])
assert [ident for ident, _ in resumed] == [followed[-1][0]], (followed, resumed)

# The receipt, read with others' tools.
receipt = bob.call("GET", of(view), expect=200).json["receipt"]
for consumed in (False, True):
    claims = verify_receipt(receipt, key["vkey"])
    assert (claims["iss"], claims["aud"], claims["jti"]) == (url, asked["host"], view["id"]), claims
    assert claims["digest"] == digest_of(asked) and claims["client_nonce_sha256"] == sha256(bytes.fromhex(nonce)), claims
    assert (claims["review"], claims["consumed"], claims["dev"]) == ("approve", consumed, False), claims
    assert claims["requester"] == {"issuer": issuer, "subject": "bob"} and 0 < claims["exp"] - claims["iat"] <= 60, claims
    [approver] = claims["approvers"]
    assert (approver["subject"], approver["assurance"], approver["slots"]) == ("ann", "second-person", approver["slots"]), approver
    assert "team:sre" in approver["slots"] and approver["comment"] == "fine by me", approver
    if not consumed:
        # Used once: a lost answer is told again, another run gets nothing.
        problem(bob.call("POST", of(view, "/consume"), {"client_nonce": "00" * 32}), 403, "forbidden")
        used = bob.call("POST", of(view, "/consume"), {"client_nonce": nonce}, expect=200).json
        receipt = used["receipt"]
        assert used["request"]["state"] == "consumed"
bob.call("POST", of(view, "/consume"), {"client_nonce": nonce}, expect=200)
problem(bob.call("DELETE", of(view)), 409, "already-decided")
problem(bob.call("POST", of(view, "/outcome"), {}), 422, "validation")
bob.call("POST", of(view, "/outcome"), {"exit": 0, "duration_ns": 5}, expect=204)
assert bob.call("GET", of(view), expect=200).json["outcome"] == {"exit": 0, "duration_ns": 5}

# Giving up, and what nobody approved.
view, _, nonce, _ = ask(bob, ["deploy", "later"])
problem(bob.call("POST", of(view, "/consume"), {"client_nonce": nonce}), 409, "already-decided")
problem(ann.call("DELETE", of(view)), 403, "forbidden")
assert bob.call("DELETE", of(view), expect=200).json["state"] == "cancelled"
problem(bob.call("DELETE", of(view)), 409, "already-decided")

# Approved for more runs than one, with a word left open: the next one like it needs nobody.
standing = {"standing": {"longest_s": 3600, "uses": 3, "patterns": True}}
view, first, _, _ = ask(bob, ["deploy", "one"], **standing)
more = {"uses": 2, "seconds": 600, "open": [1]}
say = {"review": "approve", "digest": view["digest"], "standing": more}
problem(ann.call("POST", of(view, "/reviews"), say | {"standing": more | {"uses": 4}}), 403, "forbidden")
problem(ann.call("POST", of(view, "/reviews"), say | {"standing": more | {"open": [0]}}), 422, "validation")
to_sign = ann.call("POST", of(view, "/statement"), {"answer": "approve", "standing": more}, expect=200).json
signed = json.loads(base64.b64decode(to_sign["statement"]))
assert (signed["v"], signed["standing"]["uses"], signed["standing"]["open"]) == (3, 2, [1]), signed
told = ann.call("POST", of(view, "/reviews"), say, expect=200).json
assert told["reviews"][0]["standing"]["uses"] == 2, told
[grant] = ann.call("GET", "/v1/grants", expect=200).json["grants"]
assert (grant["uses"], grant["left"], grant["request"]["id"]) == (2, 1, view["id"]), grant
assert dan.call("GET", "/v1/grants", expect=200).json == {"grants": []}
used, _, nonce, _ = ask(bob, ["deploy", "two"], **standing)
assert (used["state"], used["standing"]) == ("approved", {"request": view["id"], "use": 2, "uses": 2}), used
receipt = bob.call("POST", of(used, "/consume"), {"client_nonce": nonce}, expect=200).json["receipt"]
drawn = verify_receipt(receipt, key["vkey"])["drawn"]
assert (drawn["nth"], json.loads(drawn["request"])) == (2, first), drawn
assert ask(bob, ["deploy", "three"], **standing)[0]["state"] == "pending", "all uses are used"
problem(dan.call("DELETE", f"/v1/grants/{view['id']}"), 404, "not-found")
ann.call("DELETE", f"/v1/grants/{view['id']}", expect=204)
problem(ann.call("DELETE", f"/v1/grants/{view['id']}"), 404, "not-found")

# In another's place, until an end.
until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()
make = {"to": dan.subject, "slots": ["team:sre"], "until": until, "reason": "away"}
problem(dan.call("POST", "/v1/delegations", make | {"to": bob.subject}), 403, "forbidden")
made = ann.call("POST", "/v1/delegations", make, expect=201).json
assert [one["id"] for one in dan.call("GET", "/v1/delegations", expect=200).json["delegations"]] == [made["id"]]
view, _, _, _ = ask(bob, ["deploy", "by another hand"])
told = dan.call("POST", of(view, "/reviews"), {"review": "reject", "digest": view["digest"]}, expect=200).json
assert told["state"] == "rejected" and told["reviews"][0]["for"]["subject"] == "ann", told
problem(bob.call("DELETE", f"/v1/delegations/{made['id']}"), 404, "not-found")
ann.call("DELETE", f"/v1/delegations/{made['id']}", expect=204)

# The glass is broken with a second factor, and somebody else looks at it.
view, _, _, _ = ask(dan, ["deploy", "at night"], break_glass=[f"person:{bob.subject}"])
why = {"digest": view["digest"], "reason": "the site is down", "number": "42"}
assert problem(bob.call("POST", of(view, "/break-glass"), why), 403, "insufficient-authentication")["needed"] == "fresh-mfa"
told = sure("bob").call("POST", of(view, "/break-glass"), why, expect=200).json
assert (told["state"], told["reviews"][0]["slots"]) == ("approved", ["break-glass"]), told
assert [one["id"] for one in cat.call("GET", "/v1/break-glass", expect=200).json["owed"]] == [view["id"]]
problem(bob.call("GET", "/v1/break-glass"), 403, "forbidden")
cat.call("POST", f"/v1/break-glass/{view['id']}/review", {"comment": "it was down"}, expect=204)
problem(cat.call("POST", f"/v1/break-glass/{view['id']}/review", {"comment": "it was down"}), 404, "not-found")

# Everything is stopped by one, and lifted by two.
view, _, _, _ = ask(bob, ["deploy", "the keys"])
problem(bob.call("POST", "/v1/stop", {"reason": "I say so"}), 403, "forbidden")
assert ann.call("POST", "/v1/stop", {"reason": "keys leaked"}, expect=200).json["stopped"]
assert bob.call("GET", of(view), expect=200).json["state"] == "rejected"
body, idempotency, _ = server.asking(["deploy", "anyway"])
stopped = bob.call("POST", "/v1/requests", body, {"idempotency-key": f'"{idempotency}"'})
problem(stopped, 503, "stopped")
assert stopped.headers["retry-after"]
assert ann.call("POST", "/v1/stop/lift", expect=200).json["stopped"]
assert ann.call("POST", "/v1/stop/lift", expect=200).json["stopped"], "one person is one person"
assert not cat.call("POST", "/v1/stop/lift", expect=200).json["stopped"]
assert not dan.call("GET", "/v1/stop", expect=200).json["stopped"]

# The server's own configuration.
problem(bob.call("GET", "/v1/configuration"), 403, "forbidden")
told = ann.call("GET", "/v1/configuration", expect=200).json
assert told["in_force"] == told["file"]
told = cat.call("POST", "/v1/configuration/confirm", {"digest": told["file"]}, expect=200).json
assert told["confirmed_by"], told
problem(ann.call("POST", "/v1/configuration/confirm", {"digest": "0" * 64}), 422, "validation")

# What administrators look after.
for path, name in (("/v1/hosts", "hosts"), ("/v1/webhooks/dead", "dead")):
    problem(bob.call("GET", path), 403, "forbidden")
    assert ann.call("GET", path, expect=200).json[name] == []
# No webhook is set up here: that there is nothing to try again is all it can say.
problem(ann.call("POST", "/v1/webhooks/retry", {"webhook": "none", "event": 1}), 404, "not-found")
server.described.called.add("retry_webhook")

# Nobody has a passkey yet, and the page says so.
settings = ann.browser.go(f"{url}/settings")
assert settings.status == 200 and b"asskey" in settings.body, settings

# A command line without a browser: it asks at most as another person.
verifier = secrets.token_urlsafe(32)
wish = {"host": "pad", "scope": "request+decide", "code_challenge": b64url(hashlib.sha256(verifier.encode()).digest())}
begun = server.call("POST", "/v1/login/device", wish, expect=200).json
redeem = {"device_code": begun["device_code"], "code_verifier": verifier}
waits = server.call("POST", "/v1/login/token", redeem, expect=400).json
assert waits["error"] == "authorization_pending", waits
page = cat.browser.go(begun["verification_uri_complete"])
assert b"acts as you now" in cat.browser.submit(page, {"answer": "yes"}).body
token = server.call("POST", "/v1/login/token", redeem, expect=200).json["token"]
assert server.call("POST", "/v1/login/token", redeem, expect=400).json["error"] == "expired_token"

# Its end: no call is heard any more.
bearer = {"authorization": f"Bearer {token}"}
server.call("GET", "/v1/requests", headers=bearer, expect=200)
server.call("DELETE", "/v1/login/token", headers=bearer, expect=204)
server.call("DELETE", "/v1/login/token", headers=bearer, expect=401)
server.call("GET", "/v1/requests", headers=bearer, expect=401)

# What there is not, and what cannot be done.
for path in ("/v1/nothing", "/v1/requests/x/y/z"):
    problem(call(url, "GET", path, {"authorization": f"Bearer {ann.token}"}), 404, "not-found")
answer = call(url, "PUT", "/v1/requests", {"authorization": f"Bearer {ann.token}"})
problem(answer, 405, "method")
assert "POST" in answer.headers["allow"]
problem(call(url, "POST", "/v1/stop", {"authorization": f"Bearer {ann.token}", "content-type": "text/plain"}, b"{}"), 415, "media-type")
problem(call(url, "POST", "/v1/stop", {"authorization": f"Bearer {ann.token}"}, b" " * 600_000), 413, "too-large")

missing = set(server.described.operations) - server.described.called
assert not missing, f"not called: {sorted(missing)}"
print(f"called: {len(server.described.called)} operations")
