"""Opens a record with its disclosures as RFC 9901 says, from the text of that standard alone.

sd_jwt.py RECORD DISCLOSURES prints the record with everything put back, and fails where a digest or a disclosure is left over.
"""

import base64
import hashlib
import json
import sys


def main(record, disclosures):
    body = json.load(open(record))
    known = {}
    for line in open(disclosures):
        text = line.strip()
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode("ascii")).digest()).rstrip(b"=").decode()
        known[digest] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    opened = put_back(body, known)
    assert not known, f"no digest for {known}"
    print(json.dumps(opened))


def put_back(value, known):
    if isinstance(value, list):
        return [put_back(known.pop(item["..."])[1], known) if isinstance(item, dict) and "..." in item else put_back(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    opened = {name: put_back(member, known) for name, member in value.items() if name != "_sd"}
    for digest in value.get("_sd", []):
        salt, name, member = known.pop(digest)
        assert len(salt) >= 22 and name not in opened and name not in ("_sd", "...")
        opened[name] = put_back(member, known)
    return opened


main(*sys.argv[1:])
