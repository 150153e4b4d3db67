import { constants, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DerReader } from '../../shared/asn1/der-reader.ts';
import { bitString, nullValue, objectIdentifier, sequence, tlv } from '../../shared/asn1/der-writer.ts';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { verifyProofOfPossession } from '../../shared/issuance/proof-of-possession.ts';
import {
  generateEcKey,
  generateEd25519Key,
  generateRsaKey,
  handMakeCsr,
  makeCsr,
  signInfo,
  signInfoEd25519,
  subjectPublicKeyInfoOf,
} from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';

const keys = { ec: generateEcKey('P-256'), rsa: generateRsaKey(2048), ed25519: generateEd25519Key() };
const pssOptions = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'];
const signed = {
  ECDSA: makeCsr(keys.ec),
  'RSA PKCS#1 v1.5': makeCsr(keys.rsa),
  'RSA-PSS': makeCsr(keys.rsa, { options: pssOptions }),
  Ed25519: makeCsr(keys.ed25519),
};

/** The encoding of a CSR's signatureAlgorithm. */
function signatureAlgorithmOf(der: Uint8Array): Uint8Array {
  const request = DerReader.ofInput(der).readSequence();
  request.readElement();
  return request.readElement();
}

const verify = (der: Uint8Array): void => verifyProofOfPossession(parseCertificationRequest(der));
const codeOf = (der: Uint8Array): string => refusalOf(() => verify(der)).code;

describe.each(Object.entries(signed))('%s', (_, der) => {
  const csr = parseCertificationRequest(der);
  const withSignature = (signature: Uint8Array): Uint8Array =>
    sequence(csr.certificationRequestInfo, signatureAlgorithmOf(der), bitString(signature));

  it('verifies', () => {
    expect(Buffer.from(withSignature(csr.signature))).toEqual(der);
    expect(() => verify(der)).not.toThrow();
  });

  it('fails with any bit of the signature changed', () => {
    for (let index = 0; index < csr.signature.length; index++) {
      const signature = Uint8Array.from(csr.signature);
      signature[index] = (signature[index] ?? 0) ^ (1 << (index % 8));
      expect(codeOf(withSignature(signature))).toBe('PROOF_OF_POSSESSION_FAILED');
    }
  });

  it('fails with a signature that is none', () => {
    const { length } = csr.signature;
    const none = [
      new Uint8Array(),
      new Uint8Array(length),
      new Uint8Array(length).fill(255),
      csr.signature.subarray(1),
    ];
    for (const signature of [...none, new Uint8Array(5000), Uint8Array.of(...csr.signature, 0)]) {
      expect(codeOf(withSignature(signature))).toBe('PROOF_OF_POSSESSION_FAILED');
    }
  });

  it('fails with the signed content changed', () => {
    const changed = Buffer.from(der);
    const index = changed.indexOf('device-1');
    changed.write('device-2', index);
    expect(codeOf(changed)).toBe('PROOF_OF_POSSESSION_FAILED');
  });
});

it('fails where another key signed', () => {
  expect(codeOf(handMakeCsr(generateEcKey('P-256'), { subjectPublicKeyInfo: subjectPublicKeyInfoOf(keys.ec) }))).toBe(
    'PROOF_OF_POSSESSION_FAILED',
  );
  const { certificationRequestInfo } = parseCertificationRequest(signed.Ed25519);
  expect(codeOf(signInfoEd25519(certificationRequestInfo, generateEd25519Key()))).toBe('PROOF_OF_POSSESSION_FAILED');
});

it('fails where another hash or salt was used than is said', () => {
  const { certificationRequestInfo: info } = parseCertificationRequest(signed.ECDSA);
  expect(codeOf(signInfo(info, keys.ec, { signature: sign('sha384', info, keys.ec) }))).toBe(
    'PROOF_OF_POSSESSION_FAILED',
  );

  const pss = parseCertificationRequest(signed['RSA-PSS']);
  const signatureAlgorithm = signatureAlgorithmOf(signed['RSA-PSS']);
  const signWithSalt = (saltLength: number): Uint8Array => {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const signature = sign('sha256', pss.certificationRequestInfo, { key: keys.rsa, padding, saltLength });
    return signInfo(pss.certificationRequestInfo, keys.rsa, { signatureAlgorithm, signature });
  };
  expect(() => verify(signWithSalt(32))).not.toThrow();
  expect(codeOf(signWithSalt(20))).toBe('PROOF_OF_POSSESSION_FAILED');
});

it('fails with an ECDSA signature that is raw, or not in DER', () => {
  const { certificationRequestInfo: info } = parseCertificationRequest(signed.ECDSA);
  const raw = sign('sha256', info, { key: keys.ec, dsaEncoding: 'ieee-p1363' });
  expect(codeOf(signInfo(info, keys.ec, { signature: raw }))).toBe('PROOF_OF_POSSESSION_FAILED');
  const halves = [raw.subarray(0, 32), raw.subarray(32)].map((half) => tlv(0x02, Uint8Array.of(0, 0), half));
  expect(codeOf(signInfo(info, keys.ec, { signature: sequence(...halves) }))).toBe('PROOF_OF_POSSESSION_FAILED');
});

it('calls a point off its curve an invalid key even where nobody looked before', () => {
  const subjectPublicKeyInfo = subjectPublicKeyInfoOf(keys.ec);
  subjectPublicKeyInfo.writeUInt8(
    subjectPublicKeyInfo.readUInt8(subjectPublicKeyInfo.length - 1) ^ 1,
    subjectPublicKeyInfo.length - 1,
  );
  expect(codeOf(handMakeCsr(keys.ec, { subjectPublicKeyInfo }))).toBe('KEY_INVALID');
});

it('fails with an Ed25519 key that is no point', () => {
  const algorithm = sequence(objectIdentifier(objectIdentifiers.idEd25519));
  // y = 2 has no x on the curve.
  const subjectPublicKeyInfo = sequence(algorithm, bitString(Uint8Array.of(2, ...new Array<number>(31).fill(0))));
  const csr = handMakeCsr(keys.ec, {
    subjectPublicKeyInfo,
    signatureAlgorithm: algorithm,
    signature: new Uint8Array(64),
  });
  expect(codeOf(csr)).toBe('PROOF_OF_POSSESSION_FAILED');
});

it('fails with an RSA key that is no key', () => {
  const algorithm = sequence(objectIdentifier(objectIdentifiers.rsaEncryption), nullValue());
  const key = sequence(tlv(0x02, Uint8Array.of(1)), tlv(0x02, Uint8Array.of(1)));
  const signatureAlgorithm = sequence(objectIdentifier(objectIdentifiers.sha256WithRsaEncryption), nullValue());
  const parts = { subjectPublicKeyInfo: sequence(algorithm, bitString(key)), signatureAlgorithm };
  for (const signature of [new Uint8Array(), Uint8Array.of(0), Uint8Array.of(1)]) {
    expect(['KEY_INVALID', 'PROOF_OF_POSSESSION_FAILED']).toContain(
      codeOf(handMakeCsr(keys.ec, { ...parts, signature })),
    );
  }
});
