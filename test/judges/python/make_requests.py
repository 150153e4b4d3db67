"""Certification requests that pyca/cryptography makes, for those that are mutated.

Standard output: a JSON list of {"name", "privateKey": PKCS#8 PEM, "der": base64 of the request}.
"""

import base64
import ipaddress
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

inner = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "inner")])
names = [
    x509.DNSName("device-1.example.com"),
    x509.RFC822Name("device@example.com"),
    x509.UniformResourceIdentifier("spiffe://example.com/device/1"),
    x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
    x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4"), bytes.fromhex("0c0131")),
    x509.DirectoryName(inner),
]
usage = {name: False for name in ("data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only")}
key_usage = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=True, key_cert_sign=False, **usage
)


def subject(*attributes):
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name(list(attributes)))


def common_name(value):
    return x509.NameAttribute(NameOID.COMMON_NAME, value)


def made(name, key, builder, hash=hashes.SHA256(), **options):
    request = builder.sign(key, hash, **options)
    format = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "name": f"pyca: {name}",
        "privateKey": key.private_bytes(*format).decode(),
        "der": base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode(),
    }


p256 = ec.generate_private_key(ec.SECP256R1())
p384 = ec.generate_private_key(ec.SECP384R1())
rsa2048 = rsa.generate_private_key(65537, 2048)
plain = subject(common_name("device-1"))
every_name = plain.add_extension(x509.SubjectAlternativeName(names), critical=False)
many_extensions = (
    every_name.add_extension(key_usage, critical=True)
    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    .add_extension(x509.SubjectKeyIdentifier.from_public_key(p256.public_key()), critical=False)
)
attributes = every_name.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"challenge").add_attribute(
    AttributeOID.UNSTRUCTURED_NAME, b"unstructured"
)
long_subject = subject(
    x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Gerätebau"),
    x509.NameAttribute(NameOID.EMAIL_ADDRESS, "device@example.com"),
    x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example"),
    common_name("設備"),
)
pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)

print(
    json.dumps(
        [
            made("plain", p256, plain),
            made("every kind of name", p256, every_name),
            made("many extensions", p256, many_extensions),
            made("attributes", p384, attributes, hashes.SHA384()),
            made("a long subject", p256, long_subject),
            made("an empty subject", ed25519.Ed25519PrivateKey.generate(), subject(), None),
            made("RSA", rsa2048, plain),
            made("RSA-PSS", rsa2048, plain, rsa_padding=pss),
        ]
    )
)
