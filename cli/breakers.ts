import { InvokeCommand } from '@aws-sdk/client-lambda';
import { type BreakerRecord, Breakers, cureOf } from '../shared/breaker/index.ts';
import { MintmarkError } from '../shared/errors.ts';
import { readIssuerCertificates } from '../shared/ledger/index.ts';
import { UsageError } from './errors.ts';
import { isoTime } from './json.ts';
import type { Session } from './session.ts';

/** An issuer whose breaker's row is none. */
export interface UnreadableBreaker {
  readonly issuerId: string;
  /** A sentence that names the row and what is wrong with it. */
  readonly message: string;
}

export interface ReadBreakers {
  readonly breakers: Breakers;
  readonly records: readonly BreakerRecord[];
  readonly unreadable: readonly UnreadableBreaker[];
  /** The ids of the issuers whose key is in KMS, and not in an HSM of a cluster. */
  readonly inKms: ReadonlySet<string>;
  /** Of the issuers whose key is in an HSM: the id of its cluster. */
  readonly clusters: ReadonlyMap<string, string>;
}

/** The breakers of the active issuers, or of the one that is named. @throws UsageError for one that is not there */
export async function readBreakers(session: Session, issuer: string | undefined): Promise<ReadBreakers> {
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
  const records: BreakerRecord[] = [];
  const unreadable: UnreadableBreaker[] = [];
  const read = await Promise.all(meant.map(({ issuerId }) => readOne(breakers, issuerId)));
  for (const one of read) {
    if ('message' in one) unreadable.push(one);
    else records.push(one);
  }
  const inKms = meant.filter(({ signerUri = '' }) => signerUri.startsWith('awskms:')).map(({ issuerId }) => issuerId);
  const clusters = meant.flatMap(({ issuerId, clusterId }) =>
    clusterId === undefined ? [] : [[issuerId, clusterId] as const],
  );
  return { breakers, records, unreadable, inKms: new Set(inKms), clusters: new Map(clusters) };
}

/** A row that cannot be read hides no other; what DynamoDB does not answer is thrown. */
async function readOne(breakers: Breakers, issuerId: string): Promise<BreakerRecord | UnreadableBreaker> {
  try {
    return await breakers.read(issuerId);
  } catch (error) {
    if (error instanceof MintmarkError && error.code === 'INTERNAL') return { issuerId, message: error.message };
    throw error;
  }
}

/** How often a change is tried again because another worker changed the breaker in between. */
const maximumContention = 5;

/** A breaker after a change was asked for; not changed where it was so already. */
export interface AskedBreaker {
  readonly record: BreakerRecord;
  readonly isChanged: boolean;
}

/**
 * Changes a breaker on what it is now.
 * @param change answers undefined when another worker's change came first
 */
export async function changeBreaker(
  breakers: Breakers,
  read: BreakerRecord,
  isDone: (record: BreakerRecord) => boolean,
  change: (record: BreakerRecord) => Promise<BreakerRecord | undefined>,
): Promise<AskedBreaker> {
  let record = read;
  for (let contention = 0; contention < maximumContention; contention++) {
    if (isDone(record)) return { record, isChanged: false };
    const changed = await change(record);
    if (changed !== undefined) return { record: changed, isChanged: true };
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
export const breakerJson = (record: BreakerRecord) => ({
  issuerId: record.issuerId,
  state: record.state,
  held: record.held,
  pinDoubtful: record.isPinDoubtful === true,
  since: isoTime(record.since) ?? null,
  openedAt: isoTime(record.openedAt) ?? null,
  reason: record.reason ?? null,
  detail: record.detail ?? null,
});

/** One that cannot be read, as --json has it. */
export const unreadableJson = ({ issuerId, message }: UnreadableBreaker) => ({
  issuerId,
  state: 'unreadable',
  held: false,
  pinDoubtful: null,
  since: null,
  openedAt: null,
  reason: null,
  detail: message,
});

/** What was asked for, of each breaker; as --json has it. */
export const askedJson = (
  asked: readonly AskedBreaker[],
  unreadable: readonly UnreadableBreaker[],
  mappingsFollowed: boolean,
) => ({
  breakers: [
    ...asked.map(({ record, isChanged }) => ({ ...breakerJson(record), changed: isChanged })),
    ...unreadable.map((one) => ({ ...unreadableJson(one), changed: false })),
  ],
  mappingsFollowed,
});

/** What to do about one that cannot be read. */
export const adviceOnUnreadable = ({ issuerId, message }: UnreadableBreaker): string =>
  `${issuerId}: ${message} Its certificates are issued as long as its signer signs, and nothing pauses it. Delete the row, which closes the breaker and forgets whether its PIN is in doubt: where its key is in an HSM, make sure of the sealed PIN first. docs/runbook.md, "check-signer does not look".`;

/** Where the runbook speaks of breakers. */
export const breakerSection = 'docs/operating.md#the-breaker';

/** What to look at where the key is in KMS, and no HSM of ours is asked. */
const curesInKms: Partial<Record<NonNullable<BreakerRecord['reason']>, string>> = {
  SIGNER_UNAVAILABLE:
    "Its key is in KMS: check the key's state, the account's quota of kms:Sign, and the network to KMS.",
  SIGNER_DEADLINE:
    "Its key is in KMS, which did not answer in time: check the account's quota of kms:Sign, and AWS's status.",
  SIGNER_MISCONFIGURED:
    "Its key is in KMS: check that it is in the stage's issuerKeyArns, its key policy, its state and its usage.",
  SIGNATURE_WRONG: "KMS returned a signature that the issuer's certificate does not verify: compare the key with it.",
};

const refusedPin = 'SIGNER_PIN_REFUSED';

/** Whatever the reason is by now: a pause or an outage since then mends no PIN. */
const doubt =
  'Its PIN was refused, and is in doubt until something is signed after a new login; each try is one, and counts towards locking the crypto user out.';

/**
 * What to do about a breaker, in sentences; nothing for a closed one.
 * @param isInKms where its issuer's key is
 */
export function adviceOn(record: BreakerRecord, isInKms: boolean): string | undefined {
  const { issuerId, state, held, reason, isPinDoubtful = false } = record;
  if (state === 'closed') return undefined;
  if (state === 'half-open') {
    return isPinDoubtful
      ? `${issuerId}: ${doubt} The next request tries it: until one comes it stays half-open. Where the PIN is not mended yet: mintmark queue pause --issuer ${issuerId}.`
      : `${issuerId}: A few requests try the signer; look again in a minute.`;
  }
  const ofPin = isPinDoubtful ? [doubt, cureOf(refusedPin)] : [];
  const isSaid = reason === undefined || (isPinDoubtful && reason === refusedPin);
  const cure = isSaid ? '' : ((isInKms ? curesInKms[reason] : undefined) ?? cureOf(reason));
  const then = held
    ? reason === 'OPERATOR'
      ? ''
      : 'Then: mintmark queue resume.'
    : `It is tried again every minute, and goes on by itself when the signer is back${isPinDoubtful ? ' and takes the PIN' : ''}.`;
  return [`${issuerId}:`, ...ofPin, cure, then].filter((part) => part !== '').join(' ');
}
