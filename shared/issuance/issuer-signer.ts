import type { KMSClient } from '@aws-sdk/client-kms';
import { MintmarkError } from '../errors.ts';
import type { Issuer } from '../ledger/index.ts';
import { isAwsKmsUri, openAwsKmsSigner, openSealedSigner, parseScheme, type Signer } from '../signer/index.ts';
import type { IssuerCertificate } from './issuer-certificate.ts';
import type { Login } from './open-issuers.ts';
import type { SignatureCounts } from './signature-counts.ts';

export interface IssuerSignerOptions {
  readonly kms: KMSClient;
  readonly region: string;
  readonly stage: string;
  /** Path of the PKCS#11 library. */
  readonly library: string;
  readonly workerUrl: URL;
  /** How many digests an HSM signs at a time. */
  readonly sessions: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
  /** Told of what a signer asks for beyond what it was asked for: sign.ts knows nothing of the repetitions below it. */
  readonly onSigned: (counts: SignatureCounts) => void;
  /** Told when a session that an HSM had lost has been opened again. */
  readonly onRecovered: (issuerId: string) => void;
}

/**
 * Opens the signer of an issuer. A key in CloudHSM: the PIN is unsealed by KMS and goes to the HSM's worker alone. A key
 * in KMS: nothing but its name is needed.
 * @param deadline milliseconds since the epoch
 * @throws MintmarkError SIGNER_MISCONFIGURED and what the signer throws
 */
export async function openIssuerSigner(
  { kms, region, stage, library, workerUrl, sessions, now, random, onSigned, onRecovered }: IssuerSignerOptions,
  issuer: Issuer,
  certificate: IssuerCertificate,
  deadline: number,
  login: Login,
): Promise<Signer> {
  const { issuerId, clusterId, signerUri } = issuer;
  const onAskedAgain = (requested: number) => onSigned({ issuerId, requested });
  const common = {
    kms,
    uri: signerUri,
    certificatePublicKey: certificate.publicKey,
    ...(issuer.signatureAlgorithm === undefined ? {} : { scheme: parseScheme(issuer.signatureAlgorithm) }),
    deadline,
    now,
  };
  if (isAwsKmsUri(signerUri)) {
    return openAwsKmsSigner({ ...common, onAskedAgain: () => onAskedAgain(1) });
  }
  const sealedPin = issuer.sealedPins[region];
  if (clusterId === undefined || sealedPin === undefined) {
    const missing = clusterId === undefined ? 'no clusterId' : `no PIN sealed for the Region ${region}`;
    throw new MintmarkError('SIGNER_MISCONFIGURED', `The issuer ${issuerId} has ${missing}.`);
  }
  const purpose = { clusterId, issuerId, stage };
  return openSealedSigner({
    ...common,
    sealedPin,
    purpose,
    library,
    workerUrl,
    sessions,
    random,
    logsInAnew: login === 'anew',
    onAskedAgain,
    onRecovered: () => onRecovered(issuerId),
  });
}
