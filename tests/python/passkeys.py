"""Passkeys as Yubico's fido2 package reads and makes them.

`make ORIGIN REGISTER ASSERT` makes passkeys of every kind from the package's own CBOR and COSE, and prints one use of each.
`judge` reads cases from standard input, and prints for each whether the package takes it.
"""

import base64, json, sys
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256, RS256, EdDSA
from fido2.server import Fido2Server
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, PublicKeyCredentialRpEntity


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def client(kind, challenge, origin):
    return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()


def make(origin, register, use):
    party = sha256(b"gate.test").digest()
    keys = [
        (ES256, ec.generate_private_key(ec.SECP256R1()), lambda key, message: key.sign(message, ec.ECDSA(SHA256()))),
        (EdDSA, ed25519.Ed25519PrivateKey.generate(), lambda key, message: key.sign(message)),
        (RS256, rsa.generate_private_key(65537, 2048), lambda key, message: key.sign(message, padding.PKCS1v15(), SHA256())),
    ]
    out = []
    for number, (kind, key, sign) in enumerate(keys):
        cose = kind.from_cryptography_key(key.public_key())
        credential = AttestedCredentialData.create(Aaguid(bytes(16)), bytes([number]) * 32, cose)
        made = AuthenticatorData.create(party, 0x45, 0, credential)
        said = client("webauthn.create", register, origin)
        for form in ("none", "packed"):
            signature = sign(key, made + sha256(said).digest())
            statement = {} if form == "none" else {"alg": cose[3], "sig": signature}
            used, words = AuthenticatorData.create(party, 0x05, 0), client("webauthn.get", use, origin)
            out.append({
                "client_data": text(said), "attestation_object": text(AttestationObject.create(form, made, statement)),
                "use": {"id": text(credential.credential_id), "client_data": text(words), "authenticator_data": text(used),
                        "signature": text(sign(key, used + sha256(words).digest()))},
            })
    print(json.dumps(out))


def judged(case):
    party = PublicKeyCredentialRpEntity(name="gate", id=case["party"])
    server = Fido2Server(party, attestation="direct", verify_origin=lambda origin: origin == case["origin"])
    state = {"challenge": case["challenge"], "user_verification": "required"}
    said = {"clientDataJSON": case["client_data"]}
    try:
        if "attestation_object" in case:
            said["attestationObject"] = case["attestation_object"]
            server.register_complete(state, {"id": case["id"], "rawId": case["id"], "type": "public-key", "response": said})
        else:
            credential = AttestationObject(data(case["registered"])).auth_data.credential_data
            said |= {"authenticatorData": case["authenticator_data"], "signature": case["signature"]}
            server.authenticate_complete(state, [credential], {"id": case["id"], "rawId": case["id"], "type": "public-key", "response": said})
        return True
    except Exception:
        return False


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    print(json.dumps([judged(case) for case in json.load(sys.stdin)]))
