"""Validates OCSF events, one in a line, against a compiled schema. Usage: ocsf.py SCHEMA EVENTS

Checks what the schema says: required and unknown attributes, types, enums and the captions beside them, patterns, ranges,
at_least_one and just_one, and that an attribute of a profile stands there only if the event names the profile.
Events with the profile record_integrity (1.9) are checked for that profile by hand and, without it, against the schema.
"""

import hashlib
import json
import re
import sys

PRIMITIVE = {
    "string_t": lambda v: isinstance(v, str),
    "integer_t": lambda v: isinstance(v, int) and not isinstance(v, bool) and -(2**53) < v < 2**53,
    "long_t": lambda v: isinstance(v, int) and not isinstance(v, bool) and -(2**63) <= v < 2**63,
    "float_t": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean_t": lambda v: isinstance(v, bool),
    "json_t": lambda v: True,
}


class Validator:
    def __init__(self, schema):
        self.schema = schema
        self.wrong = []
        self.by_uid = {cls["uid"]: cls for cls in schema["classes"].values()}

    def say(self, path, what):
        self.wrong.append(f"{path}: {what}")

    def event(self, event):
        cls = self.by_uid.get(event.get("class_uid"))
        if cls is None:
            return self.say("class_uid", "unknown class")
        profiles = event.get("metadata", {}).get("profiles", [])
        for profile in profiles:
            if profile not in (cls["profiles"] or []):
                self.say("metadata.profiles", f"{profile} is no profile of {cls['name']}")
        if event.get("metadata", {}).get("version") != self.schema["version"]:
            self.say("metadata.version", "another version")
        if event.get("type_uid") != event.get("class_uid") * 100 + event.get("activity_id"):
            self.say("type_uid", "is not class and activity")
        if event.get("category_uid") != cls["uid"] // 1000:
            self.say("category_uid", "another category")
        if event.get("class_name") != cls["caption"]:
            self.say("class_name", "another name")
        self.members("", event, cls, set(profiles))

    def members(self, path, value, definition, profiles):
        attributes = definition["attributes"]
        for name, attribute in attributes.items():
            gated = attribute.get("profile") and attribute["profile"] not in profiles
            if gated and name in value:
                self.say(f"{path}{name}", f"needs the profile {attribute['profile']}")
            if attribute["requirement"] == "required" and not gated and name not in value:
                self.say(f"{path}{name}", "is required")
        for name, member in value.items():
            if name not in attributes:
                self.say(f"{path}{name}", "is unknown")
                continue
            self.attribute(f"{path}{name}", member, attributes[name], value, attributes, profiles)
        for rule, names in (definition.get("constraints") or {}).items():
            count = sum(name in value for name in names)
            if rule == "at_least_one" and count == 0 or rule == "just_one" and count != 1:
                self.say(path or "event", f"{rule} of {names}")

    def attribute(self, path, member, attribute, beside, attributes, profiles):
        if attribute.get("is_array"):
            if not isinstance(member, list):
                return self.say(path, "is no list")
            items = member
        else:
            items = [member]
        for number, item in enumerate(items):
            self.value(f"{path}[{number}]" if attribute.get("is_array") else path, item, attribute, profiles)
        enum, sibling = attribute.get("enum"), attribute.get("sibling")
        if enum and not attribute.get("is_array"):
            if str(member) not in enum:
                return self.say(path, f"{member} is not in its list")
            name = path.rsplit(".", 1)[-1]
            sibling = sibling or {"type_uid": "type_name"}.get(name, name[:-3] if name.endswith("_id") else None)
            caption = enum[str(member)]["caption"]
            if sibling and sibling in attributes and sibling in beside and member != 99 and beside[sibling] != caption:
                self.say(path, f"has {beside[sibling]!r} beside it, not {caption!r}")

    def value(self, path, item, attribute, profiles):
        kind = attribute["type"]
        if kind in ("object", "unmapped"):
            return None if isinstance(item, dict) else self.say(path, "is no object")
        if kind in self.schema["objects"]:
            if not isinstance(item, dict):
                return self.say(path, "is no object")
            return self.members(path + ".", item, self.schema["objects"][kind], profiles)
        definition = self.schema["types"].get(kind)
        if definition is None:
            return self.say(path, f"the schema has no type {kind}")
        base = definition["type"] or kind
        while base not in PRIMITIVE:
            base = self.schema["types"][base]["type"]
        if not PRIMITIVE[base](item):
            return self.say(path, f"{item!r} is no {kind}")
        if definition["regex"] and isinstance(item, str) and not re.search(definition["regex"], item):
            self.say(path, f"{item!r} does not look like {kind}")
        if definition["max_len"] and isinstance(item, str) and len(item) > definition["max_len"]:
            self.say(path, "is too long")
        if definition["range"] and not definition["range"][0] <= item <= definition["range"][1]:
            self.say(path, "is out of range")


def canonical(value):
    """RFC 8785 for what gate writes: ASCII names, whole numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def integrity(event, before, say):
    """The profile record_integrity: the event's own hash, and the chain to the one before."""
    metadata = event["metadata"]
    if metadata["version"] != "1.9.0-dev":
        say("metadata.version", "the profile came with 1.9")
    attestations = event.pop("attestation_list", None)
    if not isinstance(attestations, list) or len(attestations) != 1:
        return say("attestation_list", "is missing")
    attestation = attestations[0]
    if set(attestation) - {"uid", "authority_uid", "chain_uid", "prev_event", "fingerprint"}:
        say("attestation_list", "has what the object does not have")
    fingerprint = attestation.pop("fingerprint")
    digest = hashlib.sha256(canonical({**event, "attestation_list": [attestation]})).hexdigest()
    if fingerprint != {"algorithm": "SHA-256", "algorithm_id": 3, "encoding_id": 1, "serialization_id": 2, "value": digest}:
        say("attestation_list", f"the fingerprint is {fingerprint}, and the event's hash {digest}")
    if attestation["chain_uid"] != metadata["log_name"] or attestation["uid"] != metadata["uid"]:
        say("attestation_list", "is of another log or event")
    if attestation.get("prev_event") != ({"uid": before} if before else None):
        say("attestation_list", "does not follow the event before")
    metadata["profiles"].remove("record_integrity")
    metadata["version"] = "1.8.0"


def main():
    schema = json.load(open(sys.argv[1], encoding="utf-8"))
    bad = count = 0
    before = None
    for line in open(sys.argv[2], encoding="utf-8", newline="\n"):
        event = json.loads(line)
        validator = Validator(schema)
        uid, raw = event["metadata"]["uid"], event["raw_data"].encode()
        if hashlib.sha256(raw).hexdigest() != event["raw_data_hash"]["value"] or len(raw) != event["raw_data_size"]:
            validator.say("raw_data", "has another hash or size")
        if hashlib.sha256(b"\0" + raw).hexdigest() != uid:
            validator.say("metadata.uid", "is not the leaf hash")
        if "record_integrity" in event["metadata"]["profiles"]:
            integrity(event, before, validator.say)
        validator.event(event)
        for wrong in validator.wrong:
            print(f"{event['metadata'].get('event_code')}: {wrong}")
        bad += bool(validator.wrong)
        count += 1
        before = uid
    print(f"{count} events, {bad} wrong")
    sys.exit(bool(bad) or not count)


main()
