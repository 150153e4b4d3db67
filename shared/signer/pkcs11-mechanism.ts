import type { SignatureScheme } from './port.ts';
import { digestLength } from './scheme.ts';

/** The values of PKCS#11 v2.40 (pkcs11t.h) that signing needs. */
const CKM_RSA_PKCS = 0x0001;
const CKM_RSA_PKCS_PSS = 0x000d;
const CKM_ECDSA = 0x1041;

type Hash = SignatureScheme['hash'];

/** The DigestInfo in front of a digest (RFC 8017 section 9.2 note 1), and the hash's names for PSS. */
const hashes = {
  sha256: { digestInfo: '3031300d060960864801650304020105000420', mechanism: 0x0250, mgf1: 2 },
  sha384: { digestInfo: '3041300d060960864801650304020205000430', mechanism: 0x0260, mgf1: 3 },
  sha512: { digestInfo: '3051300d060960864801650304020305000440', mechanism: 0x0270, mgf1: 4 },
} as const satisfies Record<Hash, unknown>;

/** CK_MECHANISM, with CK_RSA_PKCS_PSS_PARAMS where the mechanism has parameters. */
export interface SignMechanism {
  readonly mechanism: number;
  /** Salt length in bytes: that of the hash, as RFC 4055 section 3.1 recommends. */
  readonly pss?: { readonly hashAlg: number; readonly mgf: number; readonly saltLen: number };
}

export function mechanismOf(scheme: SignatureScheme): SignMechanism {
  switch (scheme.algorithm) {
    case 'ecdsa':
      return { mechanism: CKM_ECDSA };
    case 'rsa-pkcs1-v1_5':
      return { mechanism: CKM_RSA_PKCS };
    case 'rsa-pss': {
      const hash = hashes[scheme.hash];
      return {
        mechanism: CKM_RSA_PKCS_PSS,
        pss: { hashAlg: hash.mechanism, mgf: hash.mgf1, saltLen: digestLength(scheme.hash) },
      };
    }
  }
}

/** What C_Sign is given for a digest: the digest itself, or, for CKM_RSA_PKCS, its DigestInfo. */
export function signInput(scheme: SignatureScheme, digest: Uint8Array): Uint8Array {
  if (scheme.algorithm !== 'rsa-pkcs1-v1_5') return digest;
  return Buffer.concat([Buffer.from(hashes[scheme.hash].digestInfo, 'hex'), digest]);
}

/** The digest in what C_Sign was given: the way back from `signInput`, whatever the mechanism was. */
export function digestOfSignInput(mechanism: number, input: Uint8Array): Uint8Array {
  if (mechanism !== CKM_RSA_PKCS) return input;
  const hex = Buffer.from(input).toString('hex');
  for (const hash of Object.keys(hashes) as Hash[]) {
    const { digestInfo } = hashes[hash];
    if (hex.startsWith(digestInfo) && input.length === digestInfo.length / 2 + digestLength(hash)) {
      return input.subarray(digestInfo.length / 2);
    }
  }
  throw new RangeError('CKM_RSA_PKCS signed something that is not the DigestInfo of a known hash');
}
