"""pyca/cryptography's verdicts: each certificate is parsed, and its path validated up to the root.

Standard input: a JSON list of {"certificate", "issuing", "root": base64 of DER, "at": seconds since the epoch,
"server": the DNS name to verify a server by, or null for a client}.
Standard output: a JSON list, in that order, of {"serialNumber", "subject", "subjectAltName", "publicKey": what it read,
"path": subjects from the certificate to the root} or {"refused": why}.
"""

import base64
import datetime
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError


def load(text):
    return x509.load_der_x509_certificate(base64.b64decode(text))


def name_of(public_key):
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA {public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return public_key.curve.name
    return "Ed25519" if isinstance(public_key, ed25519.Ed25519PublicKey) else type(public_key).__name__


def text_of(name):
    if isinstance(name, x509.OtherName):
        return f"{name.type_id.dotted_string} {name.value.hex()}"
    return str(name.value)


def judge(certificate, issuing, root, at, server):
    leaf, issuing, root = load(certificate), load(issuing), load(root)
    policy = PolicyBuilder().store(Store([root])).time(datetime.datetime.fromtimestamp(at, datetime.timezone.utc))
    try:
        if server is None:
            path = policy.build_client_verifier().verify(leaf, [issuing]).chain
        else:
            path = policy.build_server_verifier(x509.DNSName(server)).verify(leaf, [issuing])
    except VerificationError as error:
        return {"refused": str(error)}
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "serialNumber": format(leaf.serial_number, "032X"),
        "subject": leaf.subject.rfc4514_string(),
        "subjectAltName": [text_of(name) for name in names],
        "publicKey": name_of(leaf.public_key()),
        "path": [each.subject.rfc4514_string() for each in path],
    }


print(json.dumps([judge(**each) for each in json.load(sys.stdin)]))
