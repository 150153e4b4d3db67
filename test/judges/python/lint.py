"""pkilint's verdicts: its PKIX linters as their commands have them, on many certificates in one process.

Standard input: a JSON list of {"certificate": path, "issuer": path or null}, files in DER.
Standard output: a JSON list, in that order, of what `lint_pkix_cert lint` reports of the certificate (with an issuer,
`lint_pkix_signer_signee_cert_chain lint` of the two).
"""

import contextlib
import io
import json
import sys

from pkilint.bin import lint_pkix_cert, lint_pkix_signer_signee_cert_chain

options = ["lint", "--severity", "INFO", "--format", "JSON", "--document-format", "DER"]


def lint(certificate, issuer):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if issuer is None:
            lint_pkix_cert.main([*options, certificate])
        else:
            lint_pkix_signer_signee_cert_chain.main([*options, issuer, certificate])
    return json.loads(output.getvalue())


print(json.dumps([lint(each["certificate"], each["issuer"]) for each in json.load(sys.stdin)]))
