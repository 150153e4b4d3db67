import { type IssuerCertificates, readIssuerCertificates } from '../shared/ledger/index.ts';
import { UsageError } from './errors.ts';
import type { Session } from './session.ts';

export const readIssuers = async (session: Session): Promise<IssuerCertificates[]> =>
  readIssuerCertificates(await session.clients.dynamoDB(), session.target().tables.issuers);

/** @throws UsageError that lists those that there are */
export function issuerAmong(issuers: readonly IssuerCertificates[], issuerId: string): IssuerCertificates {
  const found = issuers.find((issuer) => issuer.issuerId === issuerId);
  if (found !== undefined) return found;
  const ids = issuers.map((issuer) => issuer.issuerId).join(', ');
  throw new UsageError(`There is no issuer ${issuerId}.`, `The issuers are: ${ids === '' ? 'none' : ids}.`);
}
