import { GetFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import { type Counted, periodOf, readCounted } from '../shared/audit/index.ts';
import { type BreakerRecord, Breakers } from '../shared/breaker/index.ts';
import type { IssuerPins, PinRotation } from '../shared/ledger/index.ts';
import { isSamePinUser } from '../shared/signer/index.ts';
import { shortTime } from './json.ts';
import type { Session } from './session.ts';

/**
 * Who logs in with which PIN is not to be seen from outside: CloudHSM's audit log has it days later, and an execution
 * environment that is logged in stays so whatever is in the row, since a login is the process's (PKCS#11 v2.40, C_Login). So it
 * is concluded: environments that began after the new envelope have no other PIN, so when all that sign did, the new user signs
 * and the old one does not. One that Lambda has frozen and not ended yet may still hold its connection.
 */

const second = 1_000;
const minute = 60 * second;

/** How far the clock of whoever sealed and Lambda's may be apart. */
const clockDifference = minute;

/**
 * After a function is updated: what was running under its old version ends within its timeout, of at most a minute
 * (deploy/functions.yml); the other minute is for clocks.
 */
const settling = minute + clockDifference;

/** A function that signs, since when it is what it is. */
export interface UpdatedFunction {
  readonly functionName: string;
  /** Milliseconds since the epoch; undefined where Lambda does not say, or is still at it. */
  readonly updatedAt: number | undefined;
}

export interface RotationEvidence {
  readonly functions: readonly UpdatedFunction[];
  readonly breaker: BreakerRecord;
  /** Signatures of environments that can have the new PIN alone; undefined while others may run. */
  readonly signatures: number | undefined;
  /** Other issuers whose PIN is the old user's. */
  readonly alsoOf: readonly string[];
}

/** How a rotation stands. */
export interface RotationStanding {
  /** The new user signs, and nobody signs as the old one, as far as that can be concluded. */
  readonly isProved: boolean;
  /** What is known, sentences. */
  readonly facts: readonly string[];
  /** What is missing, and what to do about it; sentences. */
  readonly missing: readonly string[];
}

/** When every environment that signs began after the new envelope; undefined while one may not have. Pure. */
export function drainedAt({ startedAt }: PinRotation, functions: readonly UpdatedFunction[]): number | undefined {
  const times = functions.map(({ updatedAt }) => updatedAt ?? Number.NEGATIVE_INFINITY);
  if (times.length === 0 || times.some((time) => time < startedAt + clockDifference)) return undefined;
  return Math.max(...times) + settling;
}

/** Pure. @param now milliseconds since the epoch */
export function judgeRotation(
  { issuerId, pins, rotation }: IssuerPins & { readonly rotation: PinRotation },
  { functions, breaker, signatures, alsoOf }: RotationEvidence,
  now: number,
): RotationStanding {
  const { fromUser, toUser } = rotation;
  const [facts, missing]: [string[], string[]] = [[], []];
  const strays = Object.entries(pins).filter(
    ([, { seal }]) => seal === undefined || !isSamePinUser(seal.userName, toUser),
  );
  for (const [region] of strays)
    missing.push(
      `In ${region} the row has another PIN than that of ${toUser}: go back with --back, or end it with --done --force.`,
    );
  if (strays.length === 0) facts.push(`The PIN of ${toUser} is sealed in ${Object.keys(pins).toSorted().join(', ')}.`);

  if (breaker.isPinDoubtful === true && breaker.state !== 'closed') {
    missing.push(
      `A PIN was refused (${breaker.detail ?? 'no detail'}): see that ${toUser} has that password and is not locked, or go back with --back; then mintmark queue resume --issuer ${issuerId}.`,
    );
  } else facts.push('No PIN is in doubt: none that was tried was refused.');

  const drained = drainedAt(rotation, functions);
  const old = functions.filter((one) => drainedAt(rotation, [one]) === undefined);
  for (const { functionName, updatedAt } of old) {
    missing.push(
      `${functionName} was last updated ${updatedAt === undefined ? 'at a time that Lambda does not say' : shortTime(updatedAt)}: environments of before may run, logged in as ${fromUser}, and which is not to be seen. Deploying ends them all: npx serverless deploy --force.`,
    );
  }
  if (drained !== undefined && now < drained) {
    missing.push(`What ran before the deployment has ended by ${shortTime(drained)}: look again then.`);
  } else if (drained !== undefined) {
    facts.push(`Every environment that can sign began after the PIN was sealed, by ${shortTime(drained)}.`);
    if (signatures !== undefined && signatures > 0) {
      facts.push(`Such environments have made ${signatures} signatures for ${issuerId}, as ${toUser}.`);
    } else {
      missing.push(
        `Nothing was signed for ${issuerId} since then, as far as CloudWatch has read the functions' logs: have something issued (mintmark request), and look again in a few minutes.`,
      );
    }
  }
  if (alsoOf.length > 0) {
    facts.push(
      `${fromUser} is the crypto user of ${alsoOf.join(', ')}, too: change its password when those are rotated.`,
    );
  }
  return { isProved: missing.length === 0, facts, missing };
}

/** @throws what the clients throw */
export async function readRotationEvidence(
  session: Session,
  row: IssuerPins & { readonly rotation: PinRotation },
  others: readonly IssuerPins[],
): Promise<RotationEvidence> {
  const { issueFunction, reconcileFunction, stage, tables } = session.target();
  const functions = await Promise.all([issueFunction, reconcileFunction].map((name) => readUpdated(session, name)));
  const breakers = new Breakers(await session.clients.dynamoDB(), tables.issuers);
  const breaker = await breakers.read(row.issuerId);
  const drained = drainedAt(row.rotation, functions);
  const now = session.now();
  const from = Math.ceil((drained ?? now) / minute) * minute;
  const signatures =
    drained === undefined || from >= now ? undefined : await countSignatures(session, stage, row.issuerId, from);
  return { functions, breaker, signatures, alsoOf: sharing(row, others) };
}

async function countSignatures(session: Session, stage: string, issuerId: string, from: number): Promise<number> {
  const now = session.now();
  const counted: ReadonlyMap<string, Counted> = await readCounted(
    await session.clients.cloudWatch(),
    stage,
    [issuerId],
    periodOf(from, now, now),
    session.interrupted,
  );
  return counted.get(issuerId)?.made ?? 0;
}

async function readUpdated(session: Session, functionName: string): Promise<UpdatedFunction> {
  const lambda = await session.clients.lambda();
  const command = new GetFunctionConfigurationCommand({ FunctionName: functionName });
  const found = await lambda.send(command, { abortSignal: session.interrupted });
  // While it is at it, invocations go to the version of before (AWS Lambda API reference, UpdateFunctionConfiguration).
  const isDone = found.LastUpdateStatus === 'Successful';
  // As in 2026-11-22T12:00:00.000+0000
  const time = Date.parse((found.LastModified ?? '').replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
  return { functionName, updatedAt: isDone && !Number.isNaN(time) ? time : undefined };
}

/** A crypto user signs for several issuers of a cluster. */
const sharing = ({ issuerId, clusterId, rotation }: IssuerPins, others: readonly IssuerPins[]): string[] =>
  others
    .filter((other) => other.issuerId !== issuerId && other.clusterId === clusterId)
    .filter(({ pins }) =>
      Object.values(pins).some(
        ({ seal }) => seal !== undefined && isSamePinUser(seal.userName, rotation?.fromUser ?? ''),
      ),
    )
    .map((other) => other.issuerId);
