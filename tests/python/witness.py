"""A witness, written from C2SP tlog-witness, tlog-cosignature, signed-note and RFC 8032, 9162. Usage: witness.py DIRECTORY NAME

Prints its address and its key (vkey), and serves until it is killed. It trusts the logs whose vkeys stand in DIRECTORY/logs, one in a line,
and keeps what it countersigned last in DIRECTORY/NAME. What stands in DIRECTORY/fault makes it misbehave:

500, redirect, garbage, huge, 409-nothing
             answers so.
slow         never answers.
bad, other-key, old, future, extra
             signs wrongly, with another key, for another time, or adds lines of keys that nobody knows.
"""

import base64
import hashlib
import http.server
import json
import os
import re
import sys
import threading
import time

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def number(data):
    return int.from_bytes(data, "little")


def x_of(y, sign):
    """RFC 8032 5.1.3."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * I % P
    if (x * x - square) % P or y >= P or (x == 0 and sign):
        raise ValueError("not a point")
    return P - x if x & 1 != sign else x


def add(a, b):
    """Points in extended coordinates, RFC 8032 5.1.4."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def point(data):
    y = number(data) & (2**255 - 1)
    x = x_of(y, data[31] >> 7)
    return x, y, 1, x * y % P


def encoded(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = x_of(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def sha512(*parts):
    return hashlib.sha512(b"".join(parts)).digest()


class Key:
    def __init__(self, seed):
        digest = sha512(seed)
        self.scalar = number(digest[:32]) & (2**254 - 8) | 2**254
        self.prefix = digest[32:]
        self.public = encoded(times(self.scalar, BASE))

    def sign(self, message):
        r = number(sha512(self.prefix, message)) % L
        commitment = encoded(times(r, BASE))
        k = number(sha512(commitment, self.public, message)) % L
        return commitment + ((r + k * self.scalar) % L).to_bytes(32, "little")


def verifies(public, message, signature):
    try:
        a, r = point(public), point(signature[:32])
    except ValueError:
        return False
    s = number(signature[32:])
    k = number(sha512(signature[:32], public, message)) % L
    return len(signature) == 64 and s < L and encoded(times(s, BASE)) == encoded(add(r, times(k, a)))


def key_id(name, kind, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def vkey(name, kind, public):
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def consistent(first, second, first_root, second_root, proof):
    """RFC 9162 2.1.4.2."""
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof
    if not proof:
        return False
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for step in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(step, fr), node(step, sr)
            while fn & 1 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def decimal(text):
    if not re.fullmatch(r"0|[1-9][0-9]*", text):
        raise ValueError("not a number")
    return int(text)


class Refused(Exception):
    def __init__(self, status, body="", kind="text/plain"):
        self.status, self.body, self.kind = status, body, kind


class Witness:
    def __init__(self, directory, name):
        self.directory, self.name, self.state = directory, name, os.path.join(directory, name.replace("/", "-"))
        self.key = Key(hashlib.sha256(name.encode()).digest())
        self.lock = threading.Lock()

    def fault(self):
        path = os.path.join(self.directory, "fault")
        return open(path, encoding="utf-8").read().strip() if os.path.exists(path) else ""

    def logs(self):
        """Public keys by origin."""
        with open(os.path.join(self.directory, "logs"), encoding="utf-8") as file:
            parts = [line.strip().split("+", 2) for line in file if line.strip()]
        return {name: base64.b64decode(key)[1:] for name, _, key in parts}

    def add_checkpoint(self, body):
        try:
            text = body.decode()
            head, note = text.split("\n\n", 1)
            old, *proof = head.split("\n")
            if not old.startswith("old ") or len(proof) > 63:
                raise ValueError("no old size")
            old, proof = decimal(old[4:]), [base64.b64decode(line, validate=True) for line in proof]
            signed, lines = note.rsplit("\n\n", 1)
            signed += "\n"
            origin, size, root, *_ = signed.split("\n")
            size, root = decimal(size), base64.b64decode(root, validate=True)
            assert lines.endswith("\n") and len(root) == 32 and all(len(step) == 32 for step in proof)
        except (ValueError, AssertionError) as error:
            raise Refused(400, str(error)) from error
        public = self.logs().get(origin)
        if public is None:
            raise Refused(404)
        wanted = f"\u2014 {origin} "
        own = [base64.b64decode(line[len(wanted):]) for line in lines.split("\n") if line.startswith(wanted)]
        own = [line[4:] for line in own if line[:4] == key_id(origin, 1, public)]
        if not any(verifies(public, signed.encode(), signature) for signature in own):
            raise Refused(403)
        if old > size:
            raise Refused(400)
        with self.lock:
            known = json.load(open(self.state, encoding="utf-8")) if os.path.exists(self.state) else {}
            last = known.get(origin, {"size": 0, "root": ""})
            if last["size"] != old:
                raise Refused(409, f"{last['size']}\n", "text/x.tlog.size")
            if old == size and root.hex() != last["root"]:
                raise Refused(409, f"{last['size']}\n", "text/x.tlog.size")
            if not consistent(old, size, bytes.fromhex(last["root"]), root, proof):
                raise Refused(422)
            known[origin] = {"size": size, "root": root.hex()}
            with open(self.state + ".new", "w", encoding="utf-8") as file:
                json.dump(known, file)
            os.replace(self.state + ".new", self.state)
        return self.cosign(signed)

    def cosign(self, signed):
        fault = self.fault()
        now = int(time.time()) + {"old": -86400, "future": 86400}.get(fault, 0)
        key = Key(b"o" * 32) if fault == "other-key" else self.key
        signature = key.sign(f"cosignature/v1\ntime {now}\n{signed}".encode())
        if fault == "bad":
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        line = lambda ident, rest: f"\u2014 {self.name} {base64.b64encode(ident + rest).decode()}\n"
        own = line(key_id(self.name, 4, key.public), now.to_bytes(8, "big") + signature)
        if fault == "extra":
            return line(b"\1\2\3\4", bytes(2428)) + own + f"\u2014 other.example {base64.b64encode(bytes(76)).decode()}\n"
        return own


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault = witness.fault()
        if fault == "slow":
            threading.Event().wait()
        broken = {"500": (500, ""), "redirect": (307, ""), "garbage": (200, "\u2014 x\n\x1b[2J"), "huge": (200, "x" * 300_000), "409-nothing": (409, "many\n")}
        try:
            if self.path != "/w/add-checkpoint":
                raise Refused(405)
            if fault in broken:
                raise Refused(*broken[fault])
            answer = Refused(200, witness.add_checkpoint(body))
        except Refused as refused:
            answer = refused
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        if answer.status == 307:
            self.send_header("Location", self.path)
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    witness = Witness(*sys.argv[1:3])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}/w {vkey(witness.name, 4, witness.key.public)}", flush=True)
    server.serve_forever()
