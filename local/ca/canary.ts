import { formatPkcs11Uri } from '../../shared/signer/index.ts';
import { generateKeyPair } from '../softhsm/key-pair.ts';
import { createToken, type TokenDirectory, type TokenEnvironment, withToken } from '../softhsm/token.ts';

export interface LocalCanary {
  readonly signerUri: string;
  /** DER SubjectPublicKeyInfo, P-256 */
  readonly publicKey: Uint8Array;
  /** Of the canary's token, `user:password` as on CloudHSM. */
  readonly pin: string;
  /** For every process that uses the token. */
  readonly environment: TokenEnvironment;
}

const label = 'canary';

/**
 * The key that the watch signs with, in a SoftHSM2 token of its own: as on CloudHSM, where it belongs to a crypto user
 * that no CA key is shared with, its PIN opens nothing else.
 *
 * Blocks, and sets SOFTHSM2_CONF in this process, as local-ca.ts does.
 *
 * @param randomBytes cryptographically strong
 * @throws Error when the directory has the token already
 */
export function createLocalCanary(
  { directory, library }: TokenDirectory,
  randomBytes: (size: number) => Uint8Array,
): LocalCanary {
  const password = () => Buffer.from(randomBytes(24)).toString('base64url');
  const token = { directory, library, label, userPin: `canary_user:${password()}` };
  const environment = createToken({ ...token, soPin: password() });
  const publicKey = withToken(token, (session) => {
    return generateKeyPair(session, { label, id: randomBytes(16), algorithm: 'P-256' }).publicKey;
  });
  return {
    signerUri: formatPkcs11Uri({ token: label, object: label, type: 'private' }),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    pin: token.userPin,
    environment,
  };
}
