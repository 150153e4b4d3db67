import { X509Certificate } from 'node:crypto';
import { MintmarkError } from '../shared/errors.ts';
import type { Issuer } from '../shared/ledger/index.ts';
import { isAwsKmsUri, openAwsKmsSigner, parseScheme } from '../shared/signer/index.ts';
import { UsageError } from './errors.ts';
import type { Session } from './session.ts';

/** KMS answers in milliseconds; this is for a network that does not. */
const longest = 20_000;

export const uncheckedKeyOption = [
  '--unchecked-key',
  'of an awskms: key: do not ask KMS whether it is the one in the certificate, and can sign',
] as const;

/**
 * Asks KMS what every cold start of the issue function asks it, so that nobody learns from requests that wait that the key
 * is another one's. Of a key in CloudHSM nothing can be asked from an operator's machine.
 *
 * @returns what is worth knowing, sentences
 * @throws UsageError for a key that cannot sign for this certificate, or cannot be looked at
 */
export async function checkKmsKey(
  session: Session,
  { signerUri, certificate, signatureAlgorithm }: Issuer,
  isUnchecked: boolean,
): Promise<string[]> {
  if (!isAwsKmsUri(signerUri)) return [];
  if (isUnchecked) return ['Nobody asked KMS whether the key is the one in the certificate: mintmark health does.'];
  const dynamoDB = await session.clients.dynamoDB();
  const kms = await session.clients.kms(await dynamoDB.config.region());
  try {
    const signer = await openAwsKmsSigner({
      kms,
      uri: signerUri,
      certificatePublicKey: new X509Certificate(certificate).publicKey,
      ...(signatureAlgorithm === undefined ? {} : { scheme: parseScheme(signatureAlgorithm) }),
      deadline: session.now() + longest,
      now: () => session.now(),
      // It signs nothing.
      onAskedAgain: () => {},
    });
    await signer.close();
    return [];
  } catch (error) {
    if (!(error instanceof MintmarkError)) throw error;
    if (isDenied(error.cause)) {
      throw new UsageError(
        `These AWS credentials may not ask KMS about the key: ${error.message}`,
        "Attach the stage's IssuersPolicy to the role, and deploy with the key among issuerKeyArns first; or leave the question out with --unchecked-key.",
        { cause: error },
      );
    }
    throw new UsageError(
      `The issuer could not sign: ${error.message}`,
      error.code === 'SIGNER_MISCONFIGURED'
        ? 'An issuer needs the key that its certificate was made for, enabled and for signing: name it with --signer-uri of mintmark issuers add.'
        : 'Try again; or leave the question out with --unchecked-key.',
      { cause: error },
    );
  }
}

const isDenied = (cause: unknown): boolean => cause instanceof Error && cause.name === 'AccessDeniedException';
