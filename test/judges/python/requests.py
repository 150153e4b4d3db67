"""What pyca/cryptography and OpenSSL's library make of certification requests, many in one process.

Standard input: frames, each the length in four octets (big-endian) and a request in DER.
Standard output: first a line {"pyca", "openssl": their versions}, then for each frame, in its place, a line
{"pyca": {...} or {"refused": why}, "openssl": {...} or {"refused": why}}.

OpenSSL is asked what `openssl req -verify -inform DER` asks it, through the machine's libcrypto: a process for each
request would take minutes.
"""

import ctypes
import ctypes.util
import json
import struct
import sys

import cryptography
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding


def find_libcrypto():
    candidates = ["libcrypto.so.3", "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib"]
    candidates += ["/usr/local/opt/openssl@3/lib/libcrypto.3.dylib"]
    # macOS ends a process that loads its own libcrypto.
    if sys.platform != "darwin":
        candidates.append(ctypes.util.find_library("crypto"))
    for candidate in filter(None, candidates):
        try:
            library = ctypes.CDLL(candidate)
        except OSError:
            continue
        library.OpenSSL_version_num.restype = ctypes.c_ulong
        # LibreSSL calls itself OpenSSL 2.
        if library.OpenSSL_version_num() >> 28 >= 3:
            return library
    return None


libcrypto = find_libcrypto()


def declare(name, result, *arguments):
    function = getattr(libcrypto, name)
    function.restype = result
    function.argtypes = arguments
    return function


if libcrypto is not None:
    pointer = ctypes.c_void_p
    openssl_version = declare("OpenSSL_version", ctypes.c_char_p, ctypes.c_int)
    bio_new_mem_buf = declare("BIO_new_mem_buf", pointer, ctypes.c_char_p, ctypes.c_int)
    bio_free = declare("BIO_free", ctypes.c_int, pointer)
    d2i_request = declare("d2i_X509_REQ_bio", pointer, pointer, pointer)
    request_free = declare("X509_REQ_free", None, pointer)
    request_key = declare("X509_REQ_get0_pubkey", pointer, pointer)
    request_verify = declare("X509_REQ_verify", ctypes.c_int, pointer, pointer)
    request_subject = declare("X509_REQ_get_subject_name", pointer, pointer)
    request_spki = declare("X509_REQ_get_X509_PUBKEY", pointer, pointer)
    request_signature = declare(
        "X509_REQ_get0_signature", None, pointer, ctypes.POINTER(pointer), ctypes.POINTER(pointer)
    )
    i2d_name = declare("i2d_X509_NAME", ctypes.c_int, pointer, ctypes.POINTER(pointer))
    i2d_spki = declare("i2d_X509_PUBKEY", ctypes.c_int, pointer, ctypes.POINTER(pointer))
    i2d_algorithm = declare("i2d_X509_ALGOR", ctypes.c_int, pointer, ctypes.POINTER(pointer))
    crypto_free = declare("CRYPTO_free", None, pointer, ctypes.c_char_p, ctypes.c_int)
    error_peek = declare("ERR_peek_error", ctypes.c_ulong)
    error_reason = declare("ERR_reason_error_string", ctypes.c_char_p, ctypes.c_ulong)
    error_clear = declare("ERR_clear_error", None)


def encoded(i2d, value):
    buffer = pointer()
    length = i2d(value, ctypes.byref(buffer))
    if length < 0:
        raise ValueError("OpenSSL does not encode what it read")
    try:
        return ctypes.string_at(buffer, length).hex()
    finally:
        crypto_free(buffer, b"", 0)


def openssl_refused(step):
    reason = error_reason(error_peek())
    error_clear()
    return {"refused": f"{step}: {reason.decode() if reason else 'no reason'}"}


def ask_openssl(der):
    bio = bio_new_mem_buf(der, len(der))
    request = d2i_request(bio, None)
    bio_free(bio)
    if not request:
        return openssl_refused("decode")
    try:
        key = request_key(request)
        if not key:
            return openssl_refused("key")
        if request_verify(request, key) != 1:
            return openssl_refused("verify")
        algorithm = pointer()
        request_signature(request, None, ctypes.byref(algorithm))
        return {
            "subject": encoded(i2d_name, request_subject(request)),
            "subjectPublicKeyInfo": encoded(i2d_spki, request_spki(request)),
            "signatureAlgorithm": encoded(i2d_algorithm, algorithm),
        }
    finally:
        error_clear()
        request_free(request)


def text_of(value):
    return value if isinstance(value, str) else value.hex()


def name_of(name):
    return [[[each.oid.dotted_string, each._type.value, text_of(each.value)] for each in rdn] for rdn in name.rdns]


kinds = {
    x509.RFC822Name: "rfc822Name",
    x509.DNSName: "dNSName",
    x509.UniformResourceIdentifier: "uniformResourceIdentifier",
    x509.IPAddress: "iPAddress",
    x509.DirectoryName: "directoryName",
    x509.RegisteredID: "registeredID",
    x509.OtherName: "otherName",
}


def general_name(name):
    kind = kinds[type(name)]
    if kind == "directoryName":
        return [kind, name_of(name.value)]
    if kind == "registeredID":
        return [kind, name.value.dotted_string]
    if kind == "iPAddress":
        return [kind, name.value.packed.hex()]
    if kind == "otherName":
        return [kind, name.type_id.dotted_string, name.value.hex()]
    return [kind, name.value]


def signature_of(request):
    hash = request.signature_hash_algorithm
    parameters = request.signature_algorithm_parameters
    pss = isinstance(parameters, padding.PSS)
    return {
        "algorithm": request.signature_algorithm_oid.dotted_string,
        "hash": None if hash is None else hash.name,
        "saltLength": parameters._salt_length if pss else None,
    }


def key_of(request):
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return request.public_key().public_bytes(serialization.Encoding.DER, public_format).hex()


def verified(request):
    if not request.is_signature_valid:
        raise ValueError("the signature is not valid")
    return request.signature.hex()


def extensions_of(request):
    return [[each.oid.dotted_string, each.critical] for each in request.extensions]


def subject_alt_name(request):
    wanted = x509.SubjectAlternativeName.oid
    values = [each.value for each in request.extensions if each.oid == wanted]
    return [general_name(name) for value in values for name in value]


steps = {
    "certificationRequestInfo": lambda request: request.tbs_certrequest_bytes.hex(),
    "subject": lambda request: name_of(request.subject),
    "subjectPublicKeyInfo": key_of,
    "signatureAlgorithm": signature_of,
    "signature": verified,
    "extensions": extensions_of,
    "subjectAltName": subject_alt_name,
}


def ask_pyca(der):
    step = "request"
    try:
        request = x509.load_der_x509_csr(der)
        reading = {}
        for step, read in steps.items():
            reading[step] = read(request)
        return reading
    except KeyboardInterrupt:
        raise
    # Whatever it is: panics of its Rust part are no Exceptions.
    except BaseException as error:
        return {"refused": f"{step}: {type(error).__name__}: {error}"}


def frames():
    while header := sys.stdin.buffer.read(4):
        (length,) = struct.unpack(">I", header)
        yield sys.stdin.buffer.read(length)


versions = {
    "pyca": cryptography.__version__,
    "openssl": None if libcrypto is None else openssl_version(0).decode(),
}
print(json.dumps(versions), flush=True)
for frame in frames():
    print(json.dumps({"pyca": ask_pyca(frame), "openssl": ask_openssl(frame)}))
