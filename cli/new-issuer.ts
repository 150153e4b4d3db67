import { X509Certificate } from 'node:crypto';
import { MintmarkError } from '../shared/errors.ts';
import { verifyIssuerChain } from '../shared/issuance/index.ts';
import type { Issuer, IssuerCertificates } from '../shared/ledger/index.ts';
import { isAwsKmsUri, parseAwsKmsUri, parsePkcs11Uri, parseScheme, schemeOf } from '../shared/signer/index.ts';
import { UsageError } from './errors.ts';

/** What an operator says of an issuing CA. */
export interface StatedIssuer {
  readonly issuerId: string;
  /** DER; the CA's own certificate, and from its issuer up to the root. */
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];
  readonly signerUri: string;
  readonly signatureAlgorithm: string | undefined;
  readonly clusterId: string | undefined;
  readonly baseUrl: string;
  readonly crlShardCount: number;
}

/**
 * The row of a new issuing CA, with everything looked at that can be without its key.
 * @param others the issuers that there are
 * @param now milliseconds since the epoch
 * @throws UsageError
 */
export function newIssuer(stated: StatedIssuer, others: readonly IssuerCertificates[], now: number): Issuer {
  const { issuerId, certificate, chain, signerUri, signatureAlgorithm, clusterId, baseUrl, crlShardCount } = stated;
  const isInKms = isAwsKmsUri(signerUri);
  const { publicKey } = stating(
    'Have the CA certificate made anew, or name the right files: the CA first, then with --chain its issuer up to the root.',
    () => verifyIssuerChain(issuerId, certificate, chain, now),
  );
  stating(
    'Give the URI of a private key: pkcs11:token=...;object=...;type=private, or awskms:key-id=<key ARN>.',
    () => {
      if (isInKms) parseAwsKmsUri(signerUri);
      else requireKey(parsePkcs11Uri(signerUri));
    },
  );
  stating('Give a --signature-algorithm that goes with the key of the certificate, or none for the usual one.', () =>
    schemeOf(publicKey, signatureAlgorithm === undefined ? undefined : parseScheme(signatureAlgorithm)),
  );
  if (isInKms !== (clusterId === undefined)) {
    throw isInKms
      ? new UsageError('A key in KMS is in no cluster.', 'Leave --cluster-id out.')
      : new UsageError('It is not said which CloudHSM cluster holds the key.', 'Name it with --cluster-id.');
  }
  refuseTwin(certificate, others);
  return {
    issuerId,
    state: 'active',
    certificate,
    chain,
    signerUri,
    ...(signatureAlgorithm === undefined ? {} : { signatureAlgorithm }),
    ...(clusterId === undefined ? {} : { clusterId }),
    sealedPins: {},
    baseUrl,
    crlShardCount,
  };
}

function requireKey({ object, id }: ReturnType<typeof parsePkcs11Uri>): void {
  if (object !== undefined || id !== undefined) return;
  throw new MintmarkError('SIGNER_MISCONFIGURED', 'The signer URI must name the key by object, id or both.');
}

function stating<Read>(cure: string, read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    if (error instanceof MintmarkError) throw new UsageError(error.message, cure, { cause: error });
    throw error;
  }
}

/**
 * Whose certificates are signed with one key under one name are one CA's to whoever verifies: a CRL of the one would speak for
 * the other, and lack what the other revoked (RFC 5280 section 5).
 */
function refuseTwin(certificate: Uint8Array, others: readonly IssuerCertificates[]): void {
  const own = new X509Certificate(certificate);
  const twin = others.find(({ certificate: other }) => {
    const read = other === undefined ? undefined : readCa(other);
    return read !== undefined && own.subject === read.subject && own.publicKey.equals(read.publicKey);
  });
  if (twin === undefined) return;
  throw new UsageError(
    `The issuer ${twin.issuerId} has the same name and key.`,
    'Give the new CA a key of its own; a CA certificate that was renewed is of the same CA.',
  );
}

function readCa(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    // Another issuer's row, which the watch tells of.
    return undefined;
  }
}

/** What is worth knowing of a row that may stand, sentences. */
export function notesOn({ certificate, chain, signerUri }: Issuer, others: readonly IssuerCertificates[]): string[] {
  const { validToDate: end, publicKey } = new X509Certificate(certificate);
  const sharing = others.filter(
    (other) =>
      other.signerUri === signerUri ||
      (other.certificate !== undefined && readCa(other.certificate)?.publicKey.equals(publicKey) === true),
  );
  const shared = sharing.map(
    ({ issuerId }) => `The issuer ${issuerId} has the same key: whoever takes the one CA's takes the other's.`,
  );
  const early = chain.flatMap((der) => {
    const above = new X509Certificate(der);
    if (above.validToDate >= end) return [];
    const name = (above.subject ?? '').split('\n').join(', ');
    return [`${name}, which is above it, ends before it does, and what it signed verifies no longer than that.`];
  });
  return [...shared, ...early];
}
