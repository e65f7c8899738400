"""Reads exports back and compares them with the records. Usage: read_export.py FORMAT RECORDS EXPORT

RECORDS is the jsonl export. Each format is read by its own specification, and nothing of gate is used.
"""

import base64
import datetime
import hashlib
import json
import re
import sys


def cef(line):
    """The header's seven fields and the extension (CEF 0.1, "Character Encoding")."""
    fields = [restore(field) for field in protect(line, "|").split("|", 7)]
    head, extension = fields[:7], fields[7]
    assert head[0] == "CEF:0", head
    head = [field.replace("\\|", "|").replace("\\\\", "\\") for field in head]
    starts = [match for match in re.finditer(r"(?:^| )([A-Za-z0-9]+)=", extension)]
    values = {}
    for number, match in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(extension)
        key, value = match.group(1), extension[match.end() : end]
        assert key not in values, f"{key} stands there twice"
        assert "=" not in re.sub(r"\\.", "", value), value
        values[key] = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m.group(1), m.group(1)), value)
    return head, values


def protect(line, sign):
    """Hides escaped signs of the header."""
    return line.replace("\\\\", "\x00").replace("\\" + sign, "\x01")


def restore(field):
    return field.replace("\x01", "\\|").replace("\x00", "\\\\")


def rfc5424(line):
    """HEADER, one element of STRUCTURED-DATA and MSG by the grammar of RFC 5424 6."""
    data = line.encode()
    assert len(data) <= 2048, len(data)
    match = re.match(
        rb"<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) "
        rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) \[([!-~]+)",
        data,
    )
    assert match, line
    assert int(match.group(1)) <= 191
    assert not set(match.group(7)) & set(b'= "]')
    rest, values = data[match.end() :], {}
    while rest[:1] == b" ":
        param = re.match(rb' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"', rest)
        assert param, rest
        values[param.group(1).decode()] = re.sub(rb'\\(["\\\]])', rb"\1", param.group(2)).decode("utf-8", "strict")
        rest = rest[param.end() :]
    assert rest[:1] == b"]", rest
    message = rest[1:]
    assert not message or message[:1] == b" "
    assert all(32 <= byte < 127 for byte in message), message
    return match.group(6).decode(), values


def otlp_value(value):
    (kind, inner), = value.items()
    if kind == "arrayValue":
        return [otlp_value(item) for item in inner["values"]]
    if kind == "intValue":
        assert isinstance(inner, str)
        return int(inner)
    assert kind == "stringValue" and isinstance(inner, str), value
    return inner


def attributes(pairs):
    values = {pair["key"]: otlp_value(pair["value"]) for pair in pairs}
    assert len(values) == len(pairs), "a key twice"
    return values


def nanoseconds(ts):
    seconds = datetime.datetime.strptime(ts[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    return int(seconds.timestamp()) * 10**9 + int(ts[20:29])


def text(value):
    """Bytes of a record that are not UTF-8 are no text to compare."""
    return value if isinstance(value, str) else None


def members(value):
    """A member that should be an object; others are of nobody who can be told."""
    return value if isinstance(value, dict) else {}


def same(what, got, wanted):
    assert got == wanted, f"{what}: {got!r}, and the record has {wanted!r}"


def check(form, line, raw, record, decision):
    """`decision` is that of the same request, from which executions take who and what."""
    leaf = hashlib.sha256(b"\0" + raw).hexdigest()
    about = {**(decision or {}), **record}
    actor, cmd, decided = (members(about.get(name)) for name in ("actor", "cmd", "decision"))
    outcome = members(record.get("outcome"))
    argv = cmd.get("argv")
    plain = isinstance(argv, list) and all(isinstance(word, str) for word in argv)
    wall = nanoseconds(record["ts"])
    if form == "jsonl":
        same("bytes", line.encode(), raw)
    elif form == "dsse":
        envelope = json.loads(line)
        same("payload", base64.b64decode(envelope["payload"], validate=True), raw)
        same("type", envelope["payloadType"], "application/vnd.gate.record+json")
        same("signature", len(base64.b64decode(envelope["signatures"][0]["sig"], validate=True)), 64)
    elif form == "ecs":
        document = json.loads(line)
        event = document["event"]
        same("original", event["original"].encode(), raw)
        same("hash", event["hash"], hashlib.sha256(raw).hexdigest())
        same("id", event["id"], leaf)
        same("sequence", event["sequence"], record["seq"])
        same("time", document["@timestamp"], record["ts"])
        same("action", event["action"], record["kind"])
        assert event["outcome"] in ("success", "failure", "unknown")
        same("user", document.get("user", {}).get("name"), actor.get("user"))
        if plain:
            same("args", document["process"]["args"], argv)
        if outcome:
            same("exit", document["process"].get("exit_code"), outcome.get("exit"))
    elif form == "cef":
        head, values = cef(line)
        same("kind", head[4], record["kind"])
        same("vendor", head[1:3], ["gate", "gate"])
        assert 0 <= int(head[6]) <= 10
        same("leaf", (values["cs1Label"], values["cs1"]), ("leaf", leaf))
        same("sequence", (values["cn1Label"], values["cn1"]), ("sequence", str(record["seq"])))
        same("log", values["cs3"], record["log"])
        same("time", int(values["rt"]), wall // 10**6)
        same("request", values.get("externalId"), record.get("req"))
        for key, most in {"msg": 1023, "cs6": 4000, "suser": 1023, "reason": 1023, "dproc": 1023}.items():
            assert len(values.get(key, "")) <= most, key
        same("labels", {key for key in values if re.fullmatch(r"c[sn]\d", key)}, {key[:-5] for key in values if key.endswith("Label")})
        if text(actor.get("user")) and actor["user"].isprintable():
            same("user", values["suser"], actor["user"])
    elif form == "rfc5424":
        kind, values = rfc5424(line)
        same("kind", kind, record["kind"])
        same("place", (values["origin"], values["seq"]), (record["log"], str(record["seq"])))
        same("leaf", (values["leaf"], values["prev"]), (leaf, record["prev"]))
        same("request", values.get("req"), record.get("req"))
        same("decision", values.get("decision"), decided.get("result"))
    elif form == "otlp":
        request = json.loads(line)
        (resource,) = request["resourceLogs"]
        assert attributes(resource["resource"]["attributes"])["service.name"] == "gate"
        (entry,) = resource["scopeLogs"][0]["logRecords"]
        values = attributes(entry["attributes"])
        same("body", otlp_value(entry["body"]).encode(), raw)
        same("time", entry["timeUnixNano"], str(wall))
        same("name", entry["eventName"], "gate." + record["kind"])
        same("place", (values["gate.log"], values["gate.seq"], values["log.record.uid"]), (record["log"], record["seq"], leaf))
        if plain:
            same("args", values["process.command_args"], argv)
    else:
        raise SystemExit(f"unknown format {form}")


def main():
    form, records, export = sys.argv[1:]
    raws = open(records, "rb").read().split(b"\n")[:-1]
    whole = open(export, "rb").read()
    assert whole.endswith(b"\n")
    lines = whole[:-1].split(b"\n")
    same("lines", len(lines), len(raws))
    decisions = {}
    for line, raw in zip(lines, raws):
        if form != "jsonl":
            assert not any(byte < 32 or byte == 127 for byte in line), line
        line, record = line.decode("utf-8", "strict"), json.loads(raw)
        if record["kind"] == "decision":
            decisions[record["req"]] = record
        about = decisions.get(record.get("req")) if record["kind"].startswith("exec.") else None
        check(form, line, raw, record, about)
    print(f"{len(lines)} lines of {form}")


main()
