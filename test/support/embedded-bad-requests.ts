import { bitString, nullValue, objectIdentifier, sequence, tlv } from '../../shared/asn1/der-writer.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import {
  generateEcKey,
  generateKey,
  generateRsaKey,
  handMakeCsr,
  makeCsr,
  openssl,
  pem,
} from '../fixtures/csr/make.ts';

/** Everything that a message can have wrong, as a device might send it. */
export interface BadRequest {
  readonly what: string;
  readonly code: ErrorCode;
  /** The `csr` field for a device; what is wrong is in it. */
  readonly csr: (deviceId: string) => string;
}

const rsaEncryption = '1.2.840.113549.1.1.1';
const sha256WithRsaEncryption = '1.2.840.113549.1.1.11';

const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');

/** With one of the characters that base64 does not have; each signature is another, so there is one soon. */
function base64Url(make: () => Buffer): string {
  for (;;) {
    const text = make().toString('base64url');
    if (/[-_]/.test(text)) return text;
  }
}

/** RSAPublicKey of any numbers at all; the private key that signs has nothing to do with it. */
function rsaCsr(ecKey: string, modulus: Uint8Array, exponent: Uint8Array): string {
  const rsaPublicKey = sequence(tlv(0x02, modulus), tlv(0x02, exponent));
  const subjectPublicKeyInfo = sequence(
    sequence(objectIdentifier(rsaEncryption), nullValue()),
    bitString(rsaPublicKey),
  );
  const signatureAlgorithm = sequence(objectIdentifier(sha256WithRsaEncryption), nullValue());
  return base64(handMakeCsr(ecKey, { subject: sequence(), subjectPublicKeyInfo, signatureAlgorithm }));
}

/** Positive, odd, of this many bits. */
function modulusOf(bits: number): Uint8Array {
  const modulus = new Uint8Array(bits / 8 + 1).fill(0xa5);
  modulus[0] = 0;
  return modulus;
}

/** The outermost SEQUENCE with an indefinite length: BER (X.690 section 8.1.3.6). */
function indefinite(der: Buffer): Buffer {
  const header = der[1] === 0x82 ? 4 : der[1] === 0x81 ? 3 : 2;
  return Buffer.concat([Buffer.of(0x30, 0x80), der.subarray(header), Buffer.of(0, 0)]);
}

/** One bit of the signature's last octet. */
function withOtherSignature(der: Buffer): Buffer {
  const last = der.length - 1;
  return Buffer.concat([der.subarray(0, last), Buffer.of((der[last] ?? 0) ^ 1)]);
}

/** Made once; openssl takes its time over keys. */
export function badRequests(): readonly BadRequest[] {
  const ec = generateEcKey('P-256');
  const rsa = generateRsaKey(2048);
  const named = (deviceId: string, privateKey = ec, options: readonly string[] = []) =>
    makeCsr(privateKey, { subject: `/CN=${deviceId}`, options });
  const signedWith =
    (privateKey: string, ...options: readonly string[]) =>
    (deviceId: string) =>
      base64(named(deviceId, privateKey, options));
  const asking =
    (...extensions: readonly string[]) =>
    (deviceId: string) =>
      base64(makeCsr(ec, { subject: `/CN=${deviceId}`, extensions }));
  const inFull = ['-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'];
  const explicitCurve = generateKey('-algorithm', 'EC', ...inFull);
  return [
    { what: 'an empty CSR', code: 'CSR_NOT_DECODABLE', csr: () => '' },
    { what: 'words', code: 'CSR_NOT_DECODABLE', csr: () => 'please issue me a certificate' },
    { what: 'base64 of something else', code: 'CSR_NOT_DECODABLE', csr: () => base64(Buffer.from('not a CSR at all')) },
    { what: 'base64url', code: 'CSR_NOT_DECODABLE', csr: (id) => base64Url(() => named(id)) },
    { what: 'a PEM certificate', code: 'CSR_NOT_DECODABLE', csr: (id) => pem(named(id), 'CERTIFICATE') },
    { what: 'a private key', code: 'CSR_NOT_DECODABLE', csr: () => ec },
    { what: 'PEM without its end', code: 'CSR_TRUNCATED', csr: (id) => pem(named(id)).replace(/-----END[^]*/, '') },
    { what: 'two PEM blocks', code: 'CSR_NOT_DECODABLE', csr: (id) => pem(named(id)) + pem(named(id)) },
    {
      what: 'more than 16 KiB',
      code: 'CSR_TOO_LARGE',
      csr: (id) => base64(Buffer.concat([named(id), Buffer.alloc(16_384)])),
    },
    {
      what: 'trailing bytes',
      code: 'CSR_TRAILING_BYTES',
      csr: (id) => base64(Buffer.concat([named(id), Buffer.of(5, 0)])),
    },
    { what: 'BER', code: 'CSR_NOT_DER', csr: (id) => base64(indefinite(named(id))) },
    { what: 'half of it', code: 'CSR_TRUNCATED', csr: (id) => base64(named(id).subarray(0, 100)) },
    { what: 'a SEQUENCE of nothing', code: 'CSR_MALFORMED', csr: () => base64(Buffer.of(0x30, 0)) },
    {
      what: 'another signature',
      code: 'PROOF_OF_POSSESSION_FAILED',
      csr: (id) => base64(withOtherSignature(named(id))),
    },
    { what: 'signed with SHA-1', code: 'SIGNATURE_ALGORITHM_NOT_ALLOWED', csr: signedWith(rsa, '-sha1') },
    { what: 'ECDSA with SHA-1', code: 'SIGNATURE_ALGORITHM_NOT_ALLOWED', csr: signedWith(ec, '-sha1') },
    { what: 'signed with MD5', code: 'SIGNATURE_ALGORITHM_NOT_ALLOWED', csr: signedWith(rsa, '-md5') },
    { what: 'RSA 1024', code: 'KEY_TOO_SMALL', csr: signedWith(generateRsaKey(1024)) },
    { what: 'RSA 4104', code: 'KEY_TOO_LARGE', csr: () => rsaCsr(ec, modulusOf(4104), Uint8Array.of(1, 0, 1)) },
    { what: 'RSA 8192', code: 'KEY_TOO_LARGE', csr: () => rsaCsr(ec, modulusOf(8192), Uint8Array.of(1, 0, 1)) },
    {
      what: 'RSA exponent 1',
      code: 'KEY_EXPONENT_NOT_ALLOWED',
      csr: () => rsaCsr(ec, modulusOf(2048), Uint8Array.of(1)),
    },
    {
      what: 'RSA exponent 3',
      code: 'KEY_EXPONENT_NOT_ALLOWED',
      csr: () => rsaCsr(ec, modulusOf(2048), Uint8Array.of(3)),
    },
    {
      what: 'an even RSA exponent',
      code: 'KEY_EXPONENT_NOT_ALLOWED',
      csr: () => rsaCsr(ec, modulusOf(2048), Uint8Array.of(1, 0, 2)),
    },
    {
      what: 'a huge RSA exponent',
      code: 'KEY_EXPONENT_NOT_ALLOWED',
      csr: () => rsaCsr(ec, modulusOf(2048), modulusOf(2048)),
    },
    {
      what: 'an even RSA modulus',
      code: 'KEY_INVALID',
      csr: () => rsaCsr(ec, modulusOf(2048).with(256, 0xa4), Uint8Array.of(1, 0, 1)),
    },
    { what: 'an Ed448 key', code: 'KEY_ALGORITHM_NOT_ALLOWED', csr: signedWith(generateKey('-algorithm', 'ed448')) },
    { what: 'a DSA key', code: 'KEY_ALGORITHM_NOT_ALLOWED', csr: signedWith(generateDsaKey()) },
    { what: 'secp256k1', code: 'KEY_CURVE_NOT_ALLOWED', csr: signedWith(generateEcKey('secp256k1')) },
    { what: 'brainpool', code: 'KEY_CURVE_NOT_ALLOWED', csr: signedWith(generateEcKey('brainpoolP256r1')) },
    { what: 'a curve spelt out', code: 'KEY_CURVE_NOT_ALLOWED', csr: signedWith(explicitCurve) },
    { what: "another device's name", code: 'NAME_NOT_ALLOWED', csr: () => base64(named('another-device')) },
    {
      what: 'a serial number in the subject',
      code: 'NAME_NOT_ALLOWED',
      csr: (id) => base64(makeCsr(ec, { subject: `/CN=${id}/serialNumber=7` })),
    },
    { what: 'a DNS name of its own', code: 'NAME_NOT_ALLOWED', csr: asking('subjectAltName = DNS:example.com') },
    { what: 'an IP address', code: 'NAME_NOT_ALLOWED', csr: asking('subjectAltName = IP:192.0.2.1') },
    { what: 'an e-mail address', code: 'NAME_NOT_ALLOWED', csr: asking('subjectAltName = email:root@example.com') },
    { what: 'to be a CA', code: 'EXTENSION_NOT_ALLOWED', csr: asking('basicConstraints = critical, CA:TRUE') },
    { what: 'a policy', code: 'EXTENSION_NOT_ALLOWED', csr: asking('certificatePolicies = 1.2.3.4') },
  ];
}

function generateDsaKey(): string {
  return openssl(['dsaparam', '-noout', '-genkey', '1024']).toString();
}
