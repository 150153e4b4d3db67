import { X509Certificate } from 'node:crypto';
import { type ErrorCode, MintmarkError } from '../errors.ts';
import type { CertificateParts } from './certificate.ts';
import { refuseIssuersKey } from './key-checks/issuer-key.ts';
import type { BrokenRule } from './lint.ts';
import type { IssuerSubject, Rule } from './lint-rules.ts';
import { checkPublicKey, type KeyPolicy, readPublicKey } from './public-key.ts';
import type { TbsIssuer } from './tbs.ts';

/** A certificate that was issued. */
export interface IssuedSubject extends IssuerSubject {
  readonly certificate: CertificateParts;
}

/** What is held to whoever signed it, whom there is none of before a certificate is signed. */
export const issuedRules: readonly Rule<IssuedSubject>[] = [
  {
    name: 'signature-of-the-issuer',
    source: "RFC 5280 section 6.1.3 (a) (1): it verifies with the issuer's public key",
    holds: ({ certificate: { der }, issuer }) => isSignedBy(der, issuer),
  },
  {
    name: 'signature-algorithm-the-same-outside-and-inside',
    source: 'RFC 5280 section 4.1.1.2',
    holds: ({ certificate: { signatureAlgorithm }, tbs }) => Buffer.compare(signatureAlgorithm, tbs.signature) === 0,
  },
];

/** By OpenSSL's own reading of the certificate, and not by ours alone. */
function isSignedBy(der: Uint8Array, issuer: TbsIssuer): boolean {
  try {
    return new X509Certificate(der).verify(issuer.certificate.publicKey);
  } catch {
    // OpenSSL cannot read it, or not the algorithm that it names: then nobody can verify it.
    return false;
  }
}

/** What any profile may allow (shared/issuance/profile/schema.ts): of a certificate whose own profile nobody has any more. */
const anyKey: KeyPolicy = {
  ec: { curves: ['P-256', 'P-384', 'P-521'] },
  rsa: { minimumBits: 2048, maximumBits: 8192 },
  ed25519: true,
};

/** The rules of docs/keys.md, by the code with which a CSR that breaks one is refused. */
const keyRules: Partial<Readonly<Record<ErrorCode, BrokenRule>>> = {
  KEY_ALGORITHM_NOT_ALLOWED: {
    name: 'key-of-an-allowed-algorithm',
    source: 'RFC 3279 section 2.3, RFC 5480 section 2.1, RFC 8410 section 3',
  },
  KEY_CURVE_NOT_ALLOWED: { name: 'key-on-an-allowed-curve', source: 'RFC 5480 section 2.1.1' },
  KEY_TOO_SMALL: { name: 'key-not-too-small', source: 'Baseline Requirements section 6.1.5' },
  KEY_TOO_LARGE: { name: 'key-not-too-large', source: 'docs/keys.md' },
  KEY_EXPONENT_NOT_ALLOWED: { name: 'key-with-an-allowed-exponent', source: 'FIPS 186-5 appendix A.1.1' },
  KEY_INVALID: {
    name: 'key-valid-for-its-algorithm',
    source: 'SP 800-56A revision 3 section 5.6.2.3, RFC 8032 section 5.1.3, SP 800-89 section 5.3.3',
  },
  KEY_WEAK: { name: 'key-not-weak', source: 'Baseline Requirements sections 6.1.1.3 and 6.1.6' },
  KEY_ROCA: { name: 'key-without-the-fingerprint-of-roca', source: 'CVE-2017-15361' },
  KEY_BELONGS_TO_ISSUER: { name: 'key-not-the-issuing-ca-s', source: 'docs/keys.md' },
};

const keyCompromised: BrokenRule = {
  name: 'key-not-compromised',
  source: 'RFC 5280 section 5.3.1, keyCompromise: it is blocked in the keys table',
};

/**
 * The rules that a certificate's key breaks; of those that look at its numbers the first, as for a CSR.
 * @param policy what its profile allows; undefined where that is not deployed any more
 */
export function brokenKeyRules(
  subjectPublicKeyInfo: Uint8Array,
  issuer: TbsIssuer,
  policy: KeyPolicy | undefined,
  isCompromised: boolean,
): readonly BrokenRule[] {
  const compromised = isCompromised ? [keyCompromised] : [];
  try {
    const key = readPublicKey(subjectPublicKeyInfo);
    refuseIssuersKey(key, issuer.certificate.publicKey);
    checkPublicKey(key, policy ?? anyKey);
    return compromised;
  } catch (error) {
    const broken = error instanceof MintmarkError ? keyRules[error.code] : undefined;
    if (broken === undefined) throw error;
    return [broken, ...compromised];
  }
}
