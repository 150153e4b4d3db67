import { type CanaryPin, readCanaryPin } from '../shared/cluster/index.ts';
import { type IssuerPins, SealedPins } from '../shared/ledger/index.ts';
import { isAwsKmsUri } from '../shared/signer/index.ts';
import { UsageError } from './errors.ts';
import type { Session } from './session.ts';

/** @throws UsageError for an issuer that is not there, or that needs no PIN */
export async function readIssuerPins(
  session: Session,
  issuerId: string,
): Promise<IssuerPins & { readonly clusterId: string }> {
  const records = await sealedPinsOf(session);
  const found = await records.read(issuerId);
  if (found === undefined) {
    const ids = (await records.list()).map((issuer) => issuer.issuerId).join(', ');
    throw new UsageError(`There is no issuer ${issuerId}.`, `The issuers are: ${ids === '' ? 'none' : ids}.`);
  }
  if (isAwsKmsUri(found.signerUri)) {
    throw new UsageError(
      `The key of ${issuerId} is in KMS: nobody logs in for it.`,
      'Name an issuer with a pkcs11: key.',
    );
  }
  const { clusterId } = found;
  if (clusterId === undefined) {
    throw new UsageError(`The row of ${issuerId} names no cluster.`, 'Add the issuer anew, with --cluster-id.');
  }
  return { ...found, clusterId };
}

export const sealedPinsOf = async (session: Session): Promise<SealedPins> =>
  new SealedPins(await session.clients.dynamoDB(), session.target().tables.issuers);

/** Of the stage's own Region, where its tables are. */
export const homeRegion = async (session: Session): Promise<string> =>
  (await session.clients.dynamoDB()).config.region();

/** @throws UsageError where the Region has no canary */
export async function readCanaryIn(session: Session, region: string): Promise<CanaryPin> {
  const found = await readCanaryPin(await session.clients.dynamoDB(), session.target().tables.issuers, region);
  if (found !== undefined) return found;
  throw new UsageError(
    `There is no canary of the Region ${region}.`,
    'Write its row first: docs/deploying.md, "The first issuer".',
  );
}
