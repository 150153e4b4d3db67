import { InvokeCommand } from '@aws-sdk/client-lambda';
import { type BreakerRecord, Breakers, cureOf } from '../shared/breaker/index.ts';
import { readIssuerCertificates } from '../shared/ledger/index.ts';
import { UsageError } from './errors.ts';
import { isoTime } from './json.ts';
import type { Session } from './session.ts';

/** The breakers of the active issuers, or of the one that is named. @throws UsageError for one that is not there */
export async function readBreakers(
  session: Session,
  issuer: string | undefined,
): Promise<{ readonly breakers: Breakers; readonly records: readonly BreakerRecord[] }> {
  const dynamoDB = await session.clients.dynamoDB();
  const { tables } = session.target();
  const issuers = await readIssuerCertificates(dynamoDB, tables.issuers);
  const meant = issuers.filter(({ issuerId, state }) =>
    issuer === undefined ? state === 'active' : issuerId === issuer,
  );
  if (issuer !== undefined && meant.length === 0) {
    const names = issuers.map(({ issuerId }) => issuerId).join(', ');
    throw new UsageError(`There is no issuer ${issuer}.`, `The issuers are: ${names === '' ? 'none' : names}.`);
  }
  const breakers = new Breakers(dynamoDB, tables.issuers);
  return { breakers, records: await Promise.all(meant.map(({ issuerId }) => breakers.read(issuerId))) };
}

/** How often a change is tried again because another worker changed the breaker in between. */
const maximumContention = 5;

/**
 * Changes a breaker on what it is now.
 * @param change answers undefined when another worker's change came first
 */
export async function changeBreaker(
  breakers: Breakers,
  read: BreakerRecord,
  isDone: (record: BreakerRecord) => boolean,
  change: (record: BreakerRecord) => Promise<BreakerRecord | undefined>,
): Promise<BreakerRecord> {
  let record = read;
  for (let contention = 0; contention < maximumContention; contention++) {
    if (isDone(record)) return record;
    const changed = await change(record);
    if (changed !== undefined) return changed;
    record = await breakers.read(record.issuerId);
  }
  throw new Error(`Others keep changing the breaker of ${read.issuerId}; try again.`);
}

/**
 * Has check-signer look now, which pauses or resumes the event source mappings and tells of the change; otherwise it does
 * within a minute. The breaker's record counts at once, so that it could not is a note and no error.
 */
export async function letItLook(session: Session): Promise<boolean> {
  const { checkSignerFunction } = session.target();
  const lambda = await session.clients.lambda();
  const command = new InvokeCommand({ FunctionName: checkSignerFunction, Payload: Buffer.from('{}') });
  try {
    const { FunctionError: failed } = await lambda.send(command, { abortSignal: session.interrupted });
    if (failed === undefined) return true;
    session.note(`${checkSignerFunction} failed, so the event source mappings may follow later: read its log.`);
  } catch (error) {
    const { message } = session.explain(error);
    session.note(`The event source mappings follow at check-signer's next look, within a minute: ${message}`);
  }
  return false;
}

/** One breaker as --json has it; scripts read it, so fields are added, never renamed. */
export const breakerJson = ({ issuerId, state, held, since, openedAt, reason, detail }: BreakerRecord) => ({
  issuerId,
  state,
  held,
  since: isoTime(since) ?? null,
  openedAt: isoTime(openedAt) ?? null,
  reason: reason ?? null,
  detail: detail ?? null,
});

/** What to do about a breaker, in sentences; nothing for a closed one. */
export function adviceOn({ issuerId, state, held, reason }: BreakerRecord): string | undefined {
  if (state === 'closed') return undefined;
  if (state === 'half-open') return `${issuerId}: A few requests try the signer; look again in a minute.`;
  const cure = reason === undefined ? '' : cureOf(reason);
  const then = held
    ? reason === 'OPERATOR'
      ? ''
      : 'Then: mintmark queue resume.'
    : 'It is tried again every minute, and goes on by itself when the signer is back.';
  return `${issuerId}: ${cure} ${then}`.trim();
}
