import { type ErrorCode, MintmarkError } from '../errors.ts';
import { type KeyPair, refuseIssuersKey } from './key-checks/issuer-key.ts';
import type { BrokenRule } from './lint.ts';
import { checkPublicKey, type KeyPolicy, readPublicKey } from './public-key.ts';

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
 * @param issuers the keys of every issuing CA
 * @param policy what its profile allows; undefined where that is not deployed any more
 */
export function brokenKeyRules(
  subjectPublicKeyInfo: Uint8Array,
  issuers: ReadonlySet<KeyPair>,
  policy: KeyPolicy | undefined,
  isCompromised: boolean,
): readonly BrokenRule[] {
  const compromised = isCompromised ? [keyCompromised] : [];
  try {
    const key = readPublicKey(subjectPublicKeyInfo);
    refuseIssuersKey(key, issuers);
    checkPublicKey(key, policy ?? anyKey);
    return compromised;
  } catch (error) {
    const broken = error instanceof MintmarkError ? keyRules[error.code] : undefined;
    if (broken === undefined) throw error;
    return [broken, ...compromised];
  }
}
