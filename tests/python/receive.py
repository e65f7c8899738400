"""Receivers of `gate audit ship`, with faults. Usage: receive.py KIND OUT

Prints its address, and appends a line `ORIGIN SEQ` to OUT for each entry that it keeps.

http         keeps a batch once by its Idempotency-Key; every third answer gets lost after the batch was kept, every fifth request is
             turned away with 503 before; a key that comes with another body is written down as `DIFFERS`.
redirect     sends everything to itself.
tcp          keeps messages with their length before them; every third connection is reset before anything was kept.
udp, unix, unix-stream
             keep every message.
"""

import hashlib
import http.server
import json
import re
import socket
import struct
import sys

KIND, OUT = sys.argv[1:3]
out = open(OUT, "a", encoding="utf-8", buffering=1)


def keep(origin, seq):
    out.write(f"{origin} {seq}\n")


def keep_message(message):
    """One RFC 5424 message: where it stands is said in the structured data."""
    match = re.match(rb"<\d+>1 \S+ \S+ gate \S+ \S+ \[gate@32473 origin=\"([^\"]+)\" seq=\"(\d+)\"", message)
    assert match, message
    keep(match.group(1).decode(), int(match.group(2)))


def keep_body(kind, body):
    if kind == "application/json":
        for resource in json.loads(body)["resourceLogs"]:
            for record in resource["scopeLogs"][0]["logRecords"]:
                values = {pair["key"]: pair["value"] for pair in record["attributes"]}
                keep(values["gate.log"]["stringValue"], int(values["gate.seq"]["intValue"]))
    else:
        assert kind == "application/x-ndjson", kind
        assert body.endswith(b"\n")
        for line in body[:-1].split(b"\n"):
            record = json.loads(line)
            keep(record["log"], record["seq"])


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count, known, kept = 0, {}, set()

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cls = type(self)
        cls.count += 1
        if KIND == "redirect":
            return self.answer(307, [("Location", self.path)])
        if "token" in sys.argv and self.headers.get("Authorization") != "Bearer s3cret-token":
            return self.answer(401)
        key, digest = self.headers["Idempotency-Key"], hashlib.sha256(body).hexdigest()
        if "plain" not in sys.argv and cls.count % 5 == 0:
            return self.answer(503)
        if cls.known.setdefault(key, digest) != digest:
            out.write("DIFFERS\n")
        elif key not in cls.kept:
            cls.kept.add(key)
            keep_body(self.headers["Content-Type"], body)
        if "plain" not in sys.argv and cls.count % 3 == 0:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return None
        return self.answer(200)

    def answer(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass


def ready(address):
    print(address, flush=True)


def stream(server):
    count = 0
    while True:
        connection, _ = server.accept()
        count += 1
        if count % 3 == 0:
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            continue
        data = b""
        try:
            while part := connection.recv(65536):
                data += part
        except OSError:
            pass
        # Whole messages only; the sender was killed if the last one is not.
        while match := re.match(rb"([1-9]\d*) ", data):
            size = int(match.group(1))
            if len(data) < match.end() + size:
                break
            keep_message(data[match.end() : match.end() + size])
            data = data[match.end() + size :]
        connection.close()


def main():
    if KIND in ("http", "redirect"):
        server = http.server.HTTPServer(("127.0.0.1", 0), Http)
        server.handle_error = lambda *_: None
        ready(f"http://127.0.0.1:{server.server_port}/in")
        server.serve_forever()
    if KIND == "tcp":
        server = socket.create_server(("127.0.0.1", 0))
        ready(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        stream(server)
    if KIND == "unix-stream":
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(OUT + ".sock")
        server.listen()
        ready(f"unix:{OUT}.sock")
        stream(server)
    if KIND == "udp":
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        server.bind(("127.0.0.1", 0))
        ready(f"udp://127.0.0.1:{server.getsockname()[1]}")
    else:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind(OUT + ".sock")
        ready(f"unix:{OUT}.sock")
    while True:
        keep_message(server.recv(1 << 20))


main()
