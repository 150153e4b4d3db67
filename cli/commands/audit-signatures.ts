import { setTimeout as delay } from 'node:timers/promises';
import {
  type AuditedIssuer,
  type AuditedKey,
  type CallerCount,
  CallerCounts,
  type Counted,
  compare,
  deliveryTime,
  type Finding,
  type FunctionRole,
  type Issued,
  IssuedRows,
  issuersUnknown,
  keysOf,
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
import { auditPeriodOf, checkHistory } from '../audit-period.ts';
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

/** What is known of one issuer. */
interface AuditedRow {
  readonly issuerId: string;
  /** Of a key in KMS: its ARN, or its id alone. */
  readonly keyId: string | undefined;
  readonly counted: Counted;
  readonly issued: Issued;
  /** Certificates that were found to be of the key, of whatever time. */
  readonly verified: number;
}

/** A key that is looked at. */
interface Audited {
  /** Of each issuer that has it. */
  readonly rows: readonly AuditedRow[];
  /** undefined for a key in CloudHSM. */
  readonly callers: readonly CallerCount[] | undefined;
  readonly findings: readonly Finding[];
}

/** Everything that was found. */
interface Audit {
  readonly keys: readonly Audited[];
  /** Of no key. */
  readonly findings: readonly Finding[];
  /** Who was expected to sign with keys in KMS. */
  readonly signing: readonly FunctionRole[];
}

/** Of a key in CloudHSM ("AWS CloudHSM audit log reference", AWS CloudHSM user guide). */
const notRecorded =
  "CloudHSM's audit logs record logins, users and key management, and never a signature: what the functions counted is all there is to compare with.";

export const command = defineCommand<Options>({
  details: [
    'For a key in KMS, three records are laid side by side: the kms:Sign events in CloudTrail, by caller; what the functions',
    'counted; and the certificates in the issuance table, all of which is read. CloudTrail says who signed, with which key',
    'and when, and not what. For a key in CloudHSM there is no such record at AWS, and the other two are compared. Each',
    "certificate in the table, of whatever time, is verified with its issuer's public key. A day unless --since says",
    "otherwise, until 15 minutes ago; of a key in KMS it can begin 90 days ago, as CloudTrail's history does, which is read",
    'at fifty signatures in half a second; of a key in CloudHSM 455 days ago, as CloudWatch has what was counted. Exit code 1 when something is critical: a caller that is none of the functions, more signatures than they asked',
    'for, more certificates than signatures, or a row that no function of ours can have written.',
  ],
  declare: (command) =>
    command
      .option('--since <time>', 'from this time on, such as 2026-11-22 or 2026-11-22T14:30Z (UTC)', time)
      .option('--until <time>', 'until this time; without it, until 15 minutes ago', time)
      .option(
        '--issuer <id>',
        'of this issuing CA, and whichever has the same key; without it, of all, retired ones too',
        notEmpty,
      ),
  run: async (session, options) => {
    const now = session.now();
    const period = auditPeriodOf(options, now);
    const issuers = await readIssuers(session);
    const keys = keysMeant(issuers, options.issuer);
    checkHistory(period, keys, now);
    if (period.to > now - deliveryTime) {
      const late = keys.some(({ isInKms }) => isInKms) ? 'CloudTrail and CloudWatch' : 'CloudWatch';
      session.note(`${late} may not have everything of the last 15 minutes yet.`);
    }
    const audited = await audit(session, issuers, keys, period, now);
    const findings = [...audited.keys.flatMap((one) => one.findings), ...audited.findings];
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
        expected: audited.signing.map(({ functionName, roleArn }) => ({ function: functionName, role: roleArn })),
        issuers: audited.keys.flatMap(auditedJson),
        findings: audited.findings,
      },
      lines: [
        ...audited.keys.flatMap(linesOf),
        ...audited.findings.map((finding) => lineOf(finding)),
        ...(audited.findings.length > 0 ? [''] : []),
        `${critical} critical, ${notes} ${notes === 1 ? 'note' : 'notes'} in stage ${stage} from ${from} until ${until}`,
      ],
    };
  },
});

/** Every issuer, the active ones first. @throws UsageError for a row that does not say where its key is */
async function readIssuers(session: Session): Promise<AuditedIssuer[]> {
  const issuers = await readIssuerCertificates(await session.clients.dynamoDB(), session.target().tables.issuers);
  const rank = ({ state }: IssuerCertificates): number => (state === 'active' ? 0 : 1);
  return issuers
    .toSorted((one, other) => rank(one) - rank(other))
    .map((issuer) => ({ issuerId: issuer.issuerId, certificate: issuer.certificate, keyId: keyIdOf(issuer) }));
}

/** Every key there is, or that of the issuer that is named. @throws UsageError for one that is not there */
function keysMeant(issuers: readonly AuditedIssuer[], issuer: string | undefined): AuditedKey<AuditedIssuer>[] {
  const meant = keysOf(issuers).filter(
    ({ issuers: of }) => issuer === undefined || of.some(({ issuerId }) => issuerId === issuer),
  );
  if (meant.length > 0) return meant;
  const names = issuers.map(({ issuerId }) => issuerId).join(', ');
  const message = issuer === undefined ? 'There is no issuer.' : `There is no issuer ${issuer}.`;
  throw new UsageError(message, `The issuers are: ${names === '' ? 'none' : names}.`);
}

async function audit(
  session: Session,
  all: readonly AuditedIssuer[],
  keys: readonly AuditedKey<AuditedIssuer>[],
  period: Period,
  now: number,
): Promise<Audit> {
  const audited = keys.flatMap(({ issuers }) => issuers);
  const issuerIds = audited.map(({ issuerId }) => issuerId);
  const cloudWatch = await session.clients.cloudWatch();
  const inKms = keys.filter(({ isInKms }) => isInKms);
  const { interrupted: signal } = session;
  // One after the other, the longest last: what cannot be read is known before hours are spent.
  const signing = inKms.length === 0 ? [] : await rolesThatSign(session);
  const counted = await readCounted(cloudWatch, session.target().stage, issuerIds, period, signal);
  const known = all.map(({ issuerId }) => issuerId);
  const issued = new IssuedRows(audited, known, period, now);
  const rows = await readRows(session, issued);
  const callers = await callersOf(session, inKms, signing, period);
  return {
    keys: keys.map((key): Audited => {
      const ofKey = key.issuers.map(({ issuerId, keyId }): AuditedRow => {
        const ofIssuer = issued.of(issuerId);
        return {
          issuerId,
          keyId,
          counted: counted.get(issuerId) ?? { requested: 0, made: 0, repeated: 0 },
          issued: ofIssuer,
          verified: (rows.get(issuerId) ?? 0) - ofIssuer.notVerified.count,
        };
      });
      const { isMultiRegion } = key;
      const calling = key.isInKms ? callers.of(key.name) : undefined;
      return { rows: ofKey, callers: calling, findings: compare({ issuers: ofKey, callers: calling, isMultiRegion }) };
    }),
    findings: issuersUnknown(issued.ofNobody),
    signing,
  };
}

/** undefined for a key in CloudHSM. @throws UsageError for a row that does not say where its key is */
function keyIdOf({ issuerId, signerUri }: IssuerCertificates): string | undefined {
  if (signerUri === undefined) {
    throw new UsageError(`The row of the issuer ${issuerId} has no signerUri.`, 'Mend the row in the issuers table.');
  }
  return isAwsKmsUri(signerUri) ? parseAwsKmsUri(signerUri).keyId : undefined;
}

async function rolesThatSign(session: Session): Promise<FunctionRole[]> {
  const { issueFunction, reconcileFunction } = session.target();
  const names = [issueFunction, reconcileFunction];
  const signing = await readFunctionRoles(await session.clients.lambda(), names, session.interrupted);
  session.note(
    'Expected to sign are issue and reconcile with the roles that they have now: one that was swapped since is expected, and what was signed with the one before is not.',
  );
  return signing;
}

async function callersOf(
  session: Session,
  keys: readonly AuditedKey<AuditedIssuer>[],
  signing: readonly FunctionRole[],
  period: Period,
): Promise<CallerCounts> {
  const keyIds = new Map(keys.map(({ name, issuers }) => [name, issuers.flatMap(({ keyId }) => keyId ?? [])]));
  const counts = new CallerCounts(keyIds, signing, period);
  if (keys.length === 0) return counts;
  const { interrupted: signal } = session;
  const wait = (milliseconds: number): Promise<void> => delay(milliseconds, undefined, { signal });
  const pace = paceOf(lookupsPerSecond, () => session.now(), wait);
  const pages = lookUpSignEvents(await session.clients.cloudTrail(), { period, pace, signal });
  const progress = new RunningCount(session, 'calls of kms:Sign read from CloudTrail');
  for await (const events of interruptible(pages, signal)) {
    for (const event of events) counts.add(event);
    progress.add(events.length);
  }
  progress.end();
  return counts;
}

/** @returns how many rows were issued by each issuer */
async function readRows(session: Session, issued: IssuedRows): Promise<ReadonlyMap<string, number>> {
  const records = new IssuanceRecords(await session.clients.dynamoDB(), session.target().tables.issuance);
  const progress = new RunningCount(session, 'rows read');
  const byIssuer = new Map<string, number>();
  // No index is by the time of issuance.
  for await (const { record } of interruptible(records.find({ by: 'nothing' }), session.interrupted)) {
    issued.add(record);
    const { state, issuerId = '' } = record;
    if (state === 'issued') byIssuer.set(issuerId, (byIssuer.get(issuerId) ?? 0) + 1);
    progress.add(1);
  }
  progress.end();
  return byIssuer;
}

/** Tells on stderr how far it is where nobody knows how far it goes: each thousand, and the end. */
class RunningCount {
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

/**
 * A key's issuers as --json has them; scripts read it, so fields are added, never renamed. What was signed, by whom, and
 * what was found is of the key: of several issuers that have it, the first has what was found.
 */
const auditedJson = ({ rows, callers, findings }: Audited) =>
  rows.map(({ issuerId, keyId, counted, issued, verified }, index) => ({
    issuerId,
    keyId: keyId ?? null,
    sameKey: rows.map(({ issuerId: of }) => of).filter((of) => of !== issuerId),
    signed: callers === undefined ? null : signedOf(callers),
    callers:
      callers?.map(({ arn, functionArn, isExpected, signed, refused }) => ({
        caller: arn,
        function: functionArn ?? null,
        expected: isExpected,
        signed,
        refused,
      })) ?? null,
    requested: counted.requested,
    counted: counted.made,
    repeated: counted.repeated,
    issued: issued.certificates,
    unfinished: issued.unfinished,
    verified,
    notVerified: issued.notVerified.count,
    notDated: issued.notDated.count,
    findings: index === 0 ? findings : [],
  }));

function linesOf({ rows, callers, findings }: Audited): string[] {
  const names = rows.map(({ issuerId }) => issuerId).join(', ');
  const calling = (callers ?? []).map(({ arn, isExpected, signed, refused }) => [
    arn,
    isExpected ? 'issues' : 'unexpected',
    String(signed),
    String(refused),
  ]);
  const signed = callers === undefined ? 'unknown' : String(signedOf(callers));
  return [
    ...table(
      ['ISSUER', 'KEY', 'SIGNED', 'REQUESTED', 'COUNTED', 'REPEATED', 'ISSUED', 'UNFINISHED'],
      rows.map(({ issuerId, keyId, counted, issued }) => [
        issuerId,
        keyId ?? 'CloudHSM',
        signed,
        String(counted.requested),
        String(counted.made),
        String(counted.repeated),
        String(issued.certificates),
        String(issued.unfinished),
      ]),
    ),
    '',
    ...(rows.length === 1 ? [] : [`${names} have one key: SIGNED is of them together.`, '']),
    ...(calling.length === 0 ? [] : [...table(['CALLER', 'IS', 'SIGNED', 'REFUSED'], calling), '']),
    `${names}: ${verifiedOf(rows)}`,
    ...(callers === undefined ? [`${names}: ${notRecorded}`] : []),
    ...findings.map((finding) => lineOf(finding, names)),
    '',
  ];
}

function verifiedOf(rows: readonly AuditedRow[]): string {
  const verified = rows.reduce((sum, row) => sum + row.verified, 0);
  const all = rows.reduce((sum, row) => sum + row.verified + row.issued.notVerified.count, 0);
  if (all === 0) return 'there is no certificate to verify.';
  const which = all === 1 ? 'of 1 certificate in the table' : `of ${all} certificates in the table, of whatever time,`;
  return `${which} ${verified} ${verified === 1 ? 'was' : 'were'} verified with the CA key's public half.`;
}

const lineOf = ({ severity, code, sentence }: Finding, names?: string): string =>
  `${severity}: ${names === undefined ? '' : `${names}: `}${sentence} (${code})`;

const signedOf = (callers: readonly CallerCount[]): number => callers.reduce((sum, { signed }) => sum + signed, 0);
