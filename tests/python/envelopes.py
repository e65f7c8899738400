"""Checks an unpacked bundle with securesystemslib (DSSE) and rfc8785 (canonical JSON): envelopes.py DIRECTORY"""

import base64, json, sys
from pathlib import Path

import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

bundle = Path(sys.argv[1])
name, key_id, encoded = (bundle / "keys/record-0.vkey").read_text().rstrip("\n").split("+", 2)
public = base64.b64decode(encoded)[1:]
key = SSlibKey(f"{name}+{key_id}", "ed25519", "ed25519", {"public": public.hex()})


def holds(envelope):
    try:
        Envelope.from_dict(json.loads(json.dumps(envelope))).verify([key], 1)
        return True
    except VerificationError:
        return False


def flipped(encoded, at):
    data = bytearray(base64.b64decode(encoded))
    data[at % len(data)] ^= 1
    return base64.b64encode(data).decode()


count = 0
for file in sorted(bundle.glob("entries/*.dsse")):
    body = file.with_suffix(".json").read_bytes()
    envelope = json.loads(file.read_bytes())
    assert holds(envelope), file
    assert Envelope.from_dict(json.loads(file.read_bytes())).payload == body, file
    assert rfc8785.dumps(json.loads(body)) == body, f"{file}: rfc8785 writes it in another way"
    for at in (0, 7, len(body) // 2, len(body) - 1):
        assert not holds({**envelope, "payload": flipped(envelope["payload"], at)}), file
    signature = envelope["signatures"][0]
    for at in (0, 31, 32, 63):
        assert not holds({**envelope, "signatures": [{**signature, "sig": flipped(signature["sig"], at)}]}), file
    assert not holds({**envelope, "payloadType": "application/vnd.gate.record+jsom"}), file
    assert not holds({**envelope, "signatures": [{**signature, "keyid": signature["keyid"] + "0"}]}), file
    count += 1
print(count, "envelopes hold")
