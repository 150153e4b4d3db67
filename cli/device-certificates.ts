import { type IssuanceRecord, IssuanceRecords, Revocations } from '../shared/ledger/index.ts';
import { interruptible } from './interruptible.ts';
import type { Session } from './session.ts';

/** What became of a device's requests. */
export interface DeviceCertificates {
  /** Rows by state: issued, rejected and so on. */
  readonly rows: Readonly<Record<string, number>>;
  /** Certificates that have neither ended nor been revoked; the one that ends last is first. */
  readonly live: readonly IssuanceRecord[];
}

/** So many serial numbers are looked up at the same time. */
const lookupsAtATime = 20;

/** From the device's own rows (one query), and a look into the revocations for each certificate that has not ended. */
export async function certificatesOf(session: Session, deviceId: string): Promise<DeviceCertificates> {
  const dynamoDB = await session.clients.dynamoDB();
  const { tables } = session.target();
  const found = new IssuanceRecords(dynamoDB, tables.issuance).find({ by: 'device', deviceId });
  const now = session.now();
  const rows: Record<string, number> = {};
  const lasting: IssuanceRecord[] = [];
  for await (const { record } of interruptible(found, session.interrupted)) {
    rows[record.state] = (rows[record.state] ?? 0) + 1;
    // RFC 5280 section 4.1.2.5: valid through notAfter, inclusive. One whose end cannot be read may go on for ever.
    if (record.state === 'issued' && (record.notAfter ?? Number.POSITIVE_INFINITY) >= now) {
      // The bytes are not shown, and a device may have many.
      const { certificate: _, ...rest } = record;
      lasting.push(rest);
    }
  }
  const revocations = new Revocations(dynamoDB, tables.revocations);
  const live: IssuanceRecord[] = [];
  for (let start = 0; start < lasting.length; start += lookupsAtATime) {
    const some = lasting.slice(start, start + lookupsAtATime);
    const revoked = await Promise.all(some.map((record) => isRevoked(revocations, record)));
    live.push(...some.filter((_, index) => revoked[index] !== true));
  }
  return { rows, live: live.toSorted((one, other) => (other.notAfter ?? 0) - (one.notAfter ?? 0)) };
}

/** undefined for a row that does not say where it would be revoked. */
async function isRevoked(
  revocations: Revocations,
  { issuerId, serialNumber, crlShard }: IssuanceRecord,
): Promise<boolean | undefined> {
  if (issuerId === undefined || serialNumber === undefined || crlShard === undefined) return undefined;
  return revocations.isRevoked({ issuerId, serialNumber, crlShard });
}
