import { setTimeout as delay } from 'node:timers/promises';
import {
  type CallerCount,
  CallerCounts,
  compare,
  deliveryTime,
  type Evidence,
  type Finding,
  IssuedCounts,
  lookUpSignEvents,
  lookupsPerSecond,
  type Period,
  readCounted,
  readFunctionRoles,
} from '../../shared/audit/index.ts';
import { paceOf } from '../../shared/failures/index.ts';
import { IssuanceRecords, type IssuerCertificates, readIssuerCertificates } from '../../shared/ledger/index.ts';
import { isAwsKmsUri, parseAwsKmsUri } from '../../shared/signer/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { auditPeriodOf } from '../audit-period.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { interruptible } from '../interruptible.ts';
import { isoTime, shortTime } from '../json.ts';
import type { Session } from '../session.ts';
import { notEmpty, time } from '../values.ts';

interface Options {
  readonly since?: number;
  readonly until?: number;
  readonly issuer?: string;
}

/** An issuer that is looked at. */
interface Audited extends Evidence {
  readonly issuerId: string;
  /** Of a key in KMS: its ARN, or its id alone. */
  readonly keyId: string | undefined;
  readonly findings: readonly Finding[];
}

/** Of a key in CloudHSM ("AWS CloudHSM audit log reference", AWS CloudHSM user guide). */
const notRecorded =
  "CloudHSM's audit logs record logins, users and key management, and never a signature: what the functions counted is all there is to compare with.";

export const command = defineCommand<Options>({
  details: [
    'For a key in KMS, three records are laid side by side: the kms:Sign events in CloudTrail, by caller; what the functions',
    'counted; and the certificates in the issuance table, all of which is read. CloudTrail says who signed, with which key',
    'and when, and not what. For a key in CloudHSM there is no such record at AWS, and the other two are compared. A day',
    "unless --since says otherwise, until 15 minutes ago; CloudTrail's history goes back 90 days, and is read at fifty",
    'signatures in half a second. Exit code 1 when something is critical: a caller that is none of the functions, more',
    'signatures than requests explain, or more certificates than signatures.',
  ],
  declare: (command) =>
    command
      .option('--since <time>', 'from this time on, such as 2026-11-22 or 2026-11-22T14:30Z (UTC)', time)
      .option('--until <time>', 'until this time; without it, until 15 minutes ago', time)
      .option('--issuer <id>', 'of this issuing CA; without it, of all that are active', notEmpty),
  run: async (session, options) => {
    const now = session.now();
    const period = auditPeriodOf(options, now);
    if (period.to > now - deliveryTime) {
      session.note('CloudTrail and CloudWatch may not have everything of the last 15 minutes yet.');
    }
    const issuers = await issuersOf(session, options.issuer);
    const audited = await audit(session, issuers, period);
    const findings = audited.flatMap((one) => one.findings);
    const critical = findings.filter(({ severity }) => severity === 'critical').length;
    const { stage } = session.target();
    const [from, until] = [shortTime(period.from), shortTime(period.to)];
    const notes = findings.length - critical;
    return {
      exitCode: critical > 0 ? 1 : 0,
      json: {
        stage,
        from: isoTime(period.from),
        until: isoTime(period.to),
        critical,
        notes,
        issuers: audited.map(auditedJson),
      },
      lines: [
        ...audited.flatMap(linesOf),
        `${critical} critical, ${notes} ${notes === 1 ? 'note' : 'notes'} in stage ${stage} from ${from} until ${until}`,
      ],
    };
  },
});

/** The active issuers, or the one that is named. @throws UsageError for one that is not there */
async function issuersOf(session: Session, issuer: string | undefined): Promise<IssuerCertificates[]> {
  const issuers = await readIssuerCertificates(await session.clients.dynamoDB(), session.target().tables.issuers);
  const meant = issuers.filter(({ issuerId, state }) =>
    issuer === undefined ? state === 'active' : issuerId === issuer,
  );
  if (meant.length > 0) return meant;
  const names = issuers.map(({ issuerId }) => issuerId).join(', ');
  const message = issuer === undefined ? 'There is no active issuer.' : `There is no issuer ${issuer}.`;
  throw new UsageError(message, `The issuers are: ${names === '' ? 'none' : names}.`);
}

async function audit(session: Session, issuers: readonly IssuerCertificates[], period: Period): Promise<Audited[]> {
  const { stage } = session.target();
  const keyIds = new Map(issuers.map((issuer) => [issuer.issuerId, keyIdOf(issuer)]));
  const inKms = new Set([...keyIds.values()].filter((keyId) => keyId !== undefined));
  const cloudWatch = await session.clients.cloudWatch();
  // One after the other, the longest last: what cannot be read is known before hours are spent.
  const counted = await readCounted(cloudWatch, stage, [...keyIds.keys()], period, session.interrupted);
  const issued = await issuedIn(session, period);
  const callers = await callersOf(session, [...inKms], period);
  return [...keyIds].map(([issuerId, keyId]) => {
    const evidence: Evidence = {
      counted: counted.get(issuerId) ?? { made: 0, repeated: 0 },
      issued: issued.of(issuerId),
      callers: keyId === undefined ? undefined : callers.of(keyId),
    };
    return { issuerId, keyId, ...evidence, findings: compare(evidence) };
  });
}

/** undefined for a key in CloudHSM. @throws UsageError for a row that does not say where its key is */
function keyIdOf({ issuerId, signerUri }: IssuerCertificates): string | undefined {
  if (signerUri === undefined) {
    throw new UsageError(`The row of the issuer ${issuerId} has no signerUri.`, 'Mend the row in the issuers table.');
  }
  return isAwsKmsUri(signerUri) ? parseAwsKmsUri(signerUri).keyId : undefined;
}

async function callersOf(session: Session, keyIds: readonly string[], period: Period): Promise<CallerCounts> {
  if (keyIds.length === 0) return new CallerCounts([], [], period);
  const { issueFunction, reconcileFunction } = session.target();
  const { interrupted: signal } = session;
  const roles = await readFunctionRoles(await session.clients.lambda(), [issueFunction, reconcileFunction], signal);
  const counts = new CallerCounts(keyIds, roles, period);
  const wait = (milliseconds: number): Promise<void> => delay(milliseconds, undefined, { signal });
  const pace = paceOf(lookupsPerSecond, () => session.now(), wait);
  const pages = lookUpSignEvents(await session.clients.cloudTrail(), { period, pace, signal });
  const progress = new Told(session, 'calls of kms:Sign read from CloudTrail');
  for await (const events of interruptible(pages, signal)) {
    for (const event of events) counts.add(event);
    progress.add(events.length);
  }
  progress.end();
  return counts;
}

async function issuedIn(session: Session, period: Period): Promise<IssuedCounts> {
  const records = new IssuanceRecords(await session.clients.dynamoDB(), session.target().tables.issuance);
  const issued = new IssuedCounts(period);
  const progress = new Told(session, 'rows read');
  // No index is by the time of issuance.
  for await (const { record } of interruptible(records.find({ by: 'nothing' }), session.interrupted)) {
    issued.add(record);
    progress.add(1);
  }
  progress.end();
  return issued;
}

/** Tells on stderr how far it is where nobody knows how far it goes: each thousand, and the end. */
class Told {
  readonly #session: Session;
  readonly #what: string;
  #count = 0;

  constructor(session: Session, what: string) {
    this.#session = session;
    this.#what = what;
  }

  add(count: number): void {
    const before = Math.floor(this.#count / 1_000);
    this.#count += count;
    if (Math.floor(this.#count / 1_000) > before) this.end();
  }

  end(): void {
    this.#session.note(`${this.#count} ${this.#what}`);
  }
}

/** One issuer as --json has it; scripts read it, so fields are added, never renamed. */
const auditedJson = ({ issuerId, keyId, callers, counted, issued, findings }: Audited) => ({
  issuerId,
  keyId: keyId ?? null,
  signed: callers === undefined ? null : signedOf(callers),
  callers:
    callers?.map(({ arn, isExpected, signed, refused }) => ({ caller: arn, expected: isExpected, signed, refused })) ??
    null,
  counted: counted.made,
  repeated: counted.repeated,
  issued: issued.certificates,
  unfinished: issued.unfinished,
  findings,
});

function linesOf({ issuerId, keyId, callers, counted, issued, findings }: Audited): string[] {
  const rows = (callers ?? []).map(({ arn, isExpected, signed, refused }) => [
    arn,
    isExpected ? 'issues' : 'unexpected',
    String(signed),
    String(refused),
  ]);
  return [
    ...table(
      ['ISSUER', 'KEY', 'SIGNED', 'COUNTED', 'REPEATED', 'ISSUED', 'UNFINISHED'],
      [
        [
          issuerId,
          keyId ?? 'CloudHSM',
          callers === undefined ? 'unknown' : String(signedOf(callers)),
          String(counted.made),
          String(counted.repeated),
          String(issued.certificates),
          String(issued.unfinished),
        ],
      ],
    ),
    '',
    ...(rows.length === 0 ? [] : [...table(['CALLER', 'IS', 'SIGNED', 'REFUSED'], rows), '']),
    ...(callers === undefined ? [`${issuerId}: ${notRecorded}`] : []),
    ...findings.map(({ severity, code, sentence }) => `${severity}: ${issuerId}: ${sentence} (${code})`),
    ...(callers === undefined || findings.length > 0 ? [''] : []),
  ];
}

const signedOf = (callers: readonly CallerCount[]): number => callers.reduce((sum, { signed }) => sum + signed, 0);
