"""A client of the API of `gate serve`, written from its description alone: every answer is held against it."""
import base64
import copy
import hashlib
import html
import http.client
import json
import re
import secrets
import urllib.parse

import jsonschema_rs
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# What differs from run to run of the same command.
PASSING = ("request", "nonce", "created_ns", "ancestry")


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:2000]!r}"


def call(url, method, path, headers=None, body=None, timeout=60):
    """One call; a body that is not bytes goes as JSON."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("content-type", "application/json")
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


class Described:
    """The description: which operation a call is, and what may be answered."""

    def __init__(self, url):
        self.document = call(url, "GET", "/openapi.json").json
        self.operations = {}
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                pattern = re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", path) + "$")
                self.operations[operation["operationId"]] = (method.upper(), pattern, operation)
        # What has no brace goes first: `/v1/requests` is no `/v1/{id}`.
        self.order = sorted(self.operations, key=lambda name: self.operations[name][1].pattern.count("[^/]+"))
        self.called = set()

    def checked(self, method, path, answer):
        """Holds an answer against the description."""
        bare = path.split("?")[0]
        name = next((n for n in self.order if self.operations[n][0] == method and self.operations[n][1].match(bare)), None)
        assert name, f"{method} {path} is not described"
        described = self.operations[name][2]["responses"].get(str(answer.status))
        assert described, f"{name}: {answer.status} is not described: {answer}"
        if answer.status < 400:
            self.called.add(name)
        content = described.get("content", {})
        kind = (answer.headers.get("content-type") or "").split(";")[0]
        if not content:
            assert not answer.body, f"{name}: {answer.status} has a body: {answer}"
            return answer
        assert kind in content, f"{name}: {answer.status} is {kind!r}, not one of {list(content)}: {answer}"
        if kind.endswith("json"):
            schema = dict(content[kind]["schema"], components=self.document["components"])
            jsonschema_rs.validator_for(schema).validate(answer.json)
        return answer


class Browser:
    """Cookies, redirects and forms."""

    def __init__(self):
        self.cookies = {}

    def once(self, url, fields=None):
        at = urllib.parse.urlsplit(url)
        own = self.cookies.setdefault(at.netloc, {})
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in own.items())} if own else {}
        body = None
        if fields is not None:
            origin = f"{at.scheme}://{at.netloc}"
            headers |= {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin", "origin": origin}
            body = urllib.parse.urlencode(fields).encode()
        path = at.path + (f"?{at.query}" if at.query else "")
        answer = call(f"{at.scheme}://{at.netloc}", "GET" if fields is None else "POST", path or "/", headers, body)
        for line in answer.headers.get_all("set-cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            own.pop(name, None)
            if value and "max-age=0" not in line.lower() and "01 Jan 1970" not in line:
                own[name] = value
        answer.url = url
        return answer

    def follow(self, answer, until=None):
        for _ in range(20):
            if answer.status not in (301, 302, 303, 307):
                return answer
            to = urllib.parse.urljoin(answer.url, answer.headers["location"])
            if until and to.startswith(until):
                return to
            answer = self.once(to)
        raise AssertionError("redirects without end")

    def go(self, url):
        return self.follow(self.once(url))

    def submit(self, page, filled, until=None):
        """Fills in the first form of a page."""
        form = re.search(r"<form(.*?)>(.*?)</form>", page.body.decode(), re.S)
        assert form, page
        action = re.search(r'action="([^"]*)"', form[1])
        fields = {}
        for tag in re.findall(r"<input([^>]*)>", form[2]):
            values = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if "name" in values and values.get("type") not in ("submit", "checkbox"):
                fields[values["name"]] = html.unescape(values.get("value", ""))
        target = urllib.parse.urljoin(page.url, html.unescape(action[1]) if action else "")
        return self.follow(self.once(target, fields | filled), until)


class Person:
    """Somebody who signed on, and the command line that acts as them."""

    def __init__(self, server, who, factor=False):
        self.server, self.who, self.browser, self.token = server, who, Browser(), None
        page = self.browser.go(f"{server.url}/login")
        self.browser.submit(page, {"login": who} | ({"acr": "phr", "amr": "pop hwk"} if factor else {}))
        self.subject = f"{server.issuer}#{who}"

    def log_in(self, scope):
        """`gate login`, by redirect."""
        verifier, state, back = secrets.token_urlsafe(32), secrets.token_urlsafe(16), "http://127.0.0.1:9/cb"
        challenge = b64url(hashlib.sha256(verifier.encode()).digest())
        wish = {"host": "client.py", "scope": scope, "code_challenge": challenge, "redirect_uri": back, "state": state}
        page = self.browser.go(f"{self.server.url}/login/cli?{urllib.parse.urlencode(wish)}")
        to = self.browser.submit(page, {"answer": "yes"}, until=back)
        answered = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(to).query))
        assert answered["state"] == state, answered
        told = self.server.call("POST", "/v1/login/token", body={"code": answered["code"], "code_verifier": verifier}, expect=200)
        self.token = told.json["token"]
        assert (told.json["scope"], told.json["person"]) == (scope, {"issuer": self.server.issuer, "subject": self.who})
        return self

    def call(self, method, path, body=None, headers=None, expect=None):
        return self.server.call(method, path, body, {"authorization": f"Bearer {self.token}"} | (headers or {}), expect)


class Server:
    def __init__(self, url, issuer, sample):
        self.url, self.issuer, self.sample = url, issuer, sample
        self.described = Described(url)

    def call(self, method, path, body=None, headers=None, expect=None):
        answer = self.described.checked(method, path, call(self.url, method, path, headers, body))
        assert expect is None or answer.status == expect, f"{method} {path}: {answer}"
        return answer

    def asking(self, words, **terms):
        """An approval request, its key, and what only the requester knows."""
        asked = copy.deepcopy(self.sample)
        asked["argv"], asked["nonce"] = list(words), secrets.token_hex(16)
        asked["terms"] |= {"channels": ["server"], "assurance": "second-person", "approvers": ["team:sre"]} | terms
        nonce = secrets.token_bytes(32)
        body = {"approval_request": asked, "client_nonce_sha256": sha256(nonce), "number": "42"}
        return body, key_of(asked), nonce.hex()


def key_of(asked):
    """The request key: what lasts from run to run of the same command of the same asker."""
    lasting = {name: value for name, value in copy.deepcopy(asked).items() if name not in PASSING}
    lasting.get("facts", {}).pop("time", None)
    for word in lasting["argv"]:
        if isinstance(word, dict):
            word.pop("commitment", None)
    return sha256(rfc8785.dumps(lasting))


def digest_of(asked):
    return sha256(rfc8785.dumps(asked))


def verify_receipt(receipt, vkey):
    """The claims of a receipt whose signature holds: a compact JWS by Ed25519 (RFC 7515, RFC 8037)."""
    name, number, key = vkey.split("+", 2)
    raw = base64.b64decode(key)
    assert raw[0] == 1 and len(raw) == 33, "the key is an Ed25519 one"
    header, claims, signature = receipt.split(".")
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(unb64url(signature), f"{header}.{claims}".encode())
    header = json.loads(unb64url(header))
    assert header["alg"] == "EdDSA" and header["typ"] == "gate-decision+jwt", header
    assert number in header["kid"] and name in header["kid"], header
    return json.loads(unb64url(claims))
