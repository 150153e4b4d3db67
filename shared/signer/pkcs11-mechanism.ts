import type { SignatureScheme } from './port.ts';

/** The values of PKCS#11 v2.40 (pkcs11t.h) that signing needs. */
const CKM_RSA_PKCS = 0x0001;
const CKM_RSA_PKCS_PSS = 0x000d;
const CKM_ECDSA = 0x1041;

type Hash = SignatureScheme['hash'];

/** Bytes in a digest, the DigestInfo in front of it (RFC 8017 section 9.2 note 1), and its names for PSS. */
const hashes = {
  sha256: { length: 32, digestInfo: '3031300d060960864801650304020105000420', mechanism: 0x0250, mgf1: 2 },
  sha384: { length: 48, digestInfo: '3041300d060960864801650304020205000430', mechanism: 0x0260, mgf1: 3 },
  sha512: { length: 64, digestInfo: '3051300d060960864801650304020305000440', mechanism: 0x0270, mgf1: 4 },
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
      return { mechanism: CKM_RSA_PKCS_PSS, pss: { hashAlg: hash.mechanism, mgf: hash.mgf1, saltLen: hash.length } };
    }
  }
}

/** Bytes in a digest of this hash. */
export function digestLength(hash: Hash): number {
  return hashes[hash].length;
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
  for (const { digestInfo, length } of Object.values(hashes)) {
    if (hex.startsWith(digestInfo) && input.length === digestInfo.length / 2 + length) {
      return input.subarray(digestInfo.length / 2);
    }
  }
  throw new RangeError('CKM_RSA_PKCS signed something that is not the DigestInfo of a known hash');
}
