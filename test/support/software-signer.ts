import { constants, createHash, createPublicKey, type KeyObject, privateEncrypt, randomBytes } from 'node:crypto';
import { MintmarkError } from '../../shared/errors.ts';
import type { Signer, SignResult } from '../../shared/signer/port.ts';

const hash = 'sha256';
const hashBytes = 32;

/** MGF1 (RFC 8017 appendix B.2.1). */
function mask(seed: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let counter = 0; blocks.length * hashBytes < length; counter++) {
    blocks.push(
      createHash(hash)
        .update(seed)
        .update(Buffer.of(0, 0, 0, counter))
        .digest(),
    );
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** EMSA-PSS-ENCODE (RFC 8017 section 9.1.1) from a digest, which no signing function of node:crypto takes. */
function encodePss(digest: Uint8Array, modulusBytes: number): Buffer {
  const salt = randomBytes(hashBytes);
  const inner = createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
  const data = Buffer.alloc(modulusBytes - hashBytes - 1);
  data[data.length - hashBytes - 1] = 1;
  salt.copy(data, data.length - hashBytes);
  const dataMask = mask(inner, data.length);
  const masked = data.map((octet, index) => octet ^ (dataMask[index] ?? 0));
  masked[0] = (masked[0] ?? 0) & 0x7f;
  return Buffer.concat([masked, inner, Buffer.of(0xbc)]);
}

/** What the next signatures are to be instead of right; in the order of the digests. */
export type SignerFault = 'unavailable' | 'corrupt' | 'deadline';

/** A signer in memory: RSA-PSS, because it is randomised, so that two signatures over the same bytes can be told apart. */
export interface SoftwareSigner extends Signer {
  /** Every call's digests in hex, the failed ones too. */
  readonly calls: readonly (readonly string[])[];
  readonly faults: SignerFault[];
  /** Runs before each call signs. */
  beforeSigning: () => Promise<void>;
  closed: boolean;
}

export function softwareSigner(uri: string, privateKey: KeyObject): SoftwareSigner {
  const calls: string[][] = [];
  const faults: SignerFault[] = [];
  const modulusBytes = (privateKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;

  function signOne(digest: Uint8Array): SignResult {
    const fault = faults.shift();
    if (fault === 'unavailable') return { error: new MintmarkError('SIGNER_UNAVAILABLE', 'The HSM is busy.') };
    if (fault === 'deadline') return { error: new MintmarkError('SIGNER_DEADLINE', 'The HSM did not answer.') };
    const encoded = encodePss(digest, modulusBytes);
    const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encoded);
    if (fault === 'corrupt') signature[10] = (signature[10] ?? 0) ^ 1;
    return { signature };
  }

  const signer: SoftwareSigner = {
    uri,
    scheme: { algorithm: 'rsa-pss', hash },
    publicKey: createPublicKey(privateKey),
    calls,
    faults,
    beforeSigning: async () => undefined,
    closed: false,
    async sign(digests) {
      calls.push(digests.map((digest) => Buffer.from(digest).toString('hex')));
      await signer.beforeSigning();
      return digests.map(signOne);
    },
    async close() {
      signer.closed = true;
    },
  };
  return signer;
}
