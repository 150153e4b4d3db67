import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Command } from 'commander';
import { MintmarkError } from '../../shared/errors.ts';
import { type Profile, verifyIssuerChain } from '../../shared/issuance/index.ts';
import { type Issuer, IssuerNameRecords, Issuers, issuerNameLifetime } from '../../shared/ledger/index.ts';
import { isAwsKmsUri } from '../../shared/signer/index.ts';
import { readBreakers } from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles, readDeployedProfiles } from '../deployed-profiles.ts';
import { UsageError } from '../errors.ts';
import { changedMeanwhile, rowOf } from '../issuer-names.ts';
import { issuerAmong, readIssuers } from '../issuers.ts';
import { profilesBeyond } from '../issuing.ts';
import { isoTime, shortTime } from '../json.ts';
import { checkKmsKey, uncheckedKeyOption } from '../kms-issuer-key.ts';
import type { Session } from '../session.ts';
import { issuerId as parseIssuerId } from './issuers-add.ts';

interface Options extends DeployedProfilesOptions {
  readonly name: string;
  readonly from?: string;
  readonly newName?: true;
  readonly uncheckedKey?: true;
}

export const command = defineCommand<Options>({
  details: [
    'Profiles whose issuer is that name issue by it within a minute, without a deployment; what was begun under the CA of before',
    'ends under it. It is one conditional write on what the name led to when this looked: of two operators at the same moment',
    'one fails. A name without a row is the id of an issuer, so the first activation of a name that is one switches from it.',
    'Refused: an issuer that is retired, whose certificate or chain is not valid now, that has no PIN sealed for this Region (key',
    'in CloudHSM) or whose key is not the one in its certificate (key in KMS); and a name that no profile has. Warned of: profiles',
    'that it is too short for, and a breaker that is not closed.',
  ],
  declare: (command) => declareDeployedProfiles(declareOwn(command)),
  run: async (session, options, [issuerId = '']) => {
    const { name } = options;
    const profiles = readDeployedProfiles(session, options);
    const dynamoDB = await session.clients.dynamoDB();
    const { issuers: table } = session.target().tables;
    const [issuers, records] = [new Issuers(dynamoDB, table), new IssuerNameRecords(dynamoDB, table)];
    const known = await readIssuers(session);
    issuerAmong(known, issuerId);
    const issuer = await issuers.read(issuerId);
    const before = await rowOf(records, name);
    const target = before?.target ?? name;
    if (options.from !== undefined && options.from !== target && target !== issuerId) {
      throw new UsageError(
        `${name} leads to ${target}, not to ${options.from}.`,
        'Look, and decide anew: mintmark issuers list.',
      );
    }
    if (target === issuerId) {
      return {
        exitCode: 0,
        json: { change: 'unchanged', name, issuerId, previousIssuerId: before?.previousTarget ?? null, warnings: [] },
        lines: [
          `${name} leads to ${issuerId} already${before?.activatedAt === undefined ? '' : `, since ${shortTime(before.activatedAt)}`}.`,
        ],
      };
    }
    // A name without a row is an issuer's id, and which profiles have it no file here may say.
    const isInUse = before !== undefined || (profiles === undefined && known.some((each) => each.issuerId === name));
    if (options.newName !== true && !isInUse) requireNamed(name, profiles);
    const ready = requireActive(issuer, issuerId);
    const { notAfter } = await requireReady(ready, dynamoDB, session.now());
    const warnings = [
      ...(await checkKmsKey(session, ready, options.uncheckedKey === true)),
      ...warningsOf(issuerId, name, profiles, notAfter, session.now()),
      ...(await breakerWarnings(session, issuerId)),
    ];
    const now = session.now();
    if (!(await records.point(name, issuerId, before, now))) throw changedMeanwhile(name);
    await requireStillActive(issuers, records, { issuerId, name, target, now: session.now() });
    const effectiveAt = now + issuerNameLifetime;
    const previous = known.some((each) => each.issuerId === target) ? target : undefined;
    return {
      exitCode: 0,
      json: {
        change: 'activated',
        name,
        issuerId,
        previousIssuerId: previous ?? null,
        activatedAt: isoTime(now),
        effectiveAt: isoTime(effectiveAt),
        warnings,
      },
      lines: [
        `${name} leads to ${issuerId}; before, to ${previous ?? 'no issuer'}.`,
        `Everybody issues by it from ${shortTime(effectiveAt)} on; who reads the name anew, from now.`,
        ...warnings,
      ],
    };
  },
});

const declareOwn = (command: Command): Command =>
  command
    .argument('<issuer>', "the issuer's id")
    .requiredOption('--name <name>', 'as the profiles name their issuer', parseIssuerId)
    .option('--from <issuer>', 'only if it leads to this issuer now', parseIssuerId)
    .option('--new-name', 'a name that no profile has yet')
    .option(...uncheckedKeyOption);

/**
 * A slip of the finger would write a name that nobody issues by, while the one that is meant leads where it led.
 * @throws UsageError
 */
function requireNamed(name: string, profiles: readonly Profile[] | undefined): void {
  if (profiles?.some(({ issuer }) => issuer === name) === true) return;
  throw profiles === undefined
    ? new UsageError(
        `No profiles are read, and no issuer was ever activated by the name ${name}.`,
        'Name the folder of the profiles that are deployed with --profiles; or say --new-name.',
      )
    : new UsageError(
        `No profile that was read names ${name}: nothing would be issued by it.`,
        `The profiles name ${[...new Set(profiles.map(({ issuer }) => issuer))].join(', ')}; where one with that name is yet to be deployed, say --new-name.`,
      );
}

/** @throws UsageError */
function requireActive(issuer: Issuer | undefined, issuerId: string): Issuer {
  if (issuer?.state === 'active') return issuer;
  throw new UsageError(
    `${issuerId} is retired.`,
    'Take that back with mintmark issuers retire --undo, or name another.',
  );
}

/** @throws UsageError where it could not issue */
async function requireReady(
  issuer: Issuer,
  dynamoDB: DynamoDBClient,
  now: number,
): Promise<{ readonly notAfter: number }> {
  const { issuerId } = issuer;
  const region = await dynamoDB.config.region();
  if (!isAwsKmsUri(issuer.signerUri) && issuer.sealedPins[region] === undefined) {
    throw new UsageError(
      `${issuerId} has no PIN sealed for the Region ${region}, so nobody could sign with its key there.`,
      'Seal it first: docs/operating.md, "Issuing CAs and their rotation".',
    );
  }
  try {
    return verifyIssuerChain(issuerId, issuer.certificate, issuer.chain, now);
  } catch (error) {
    if (!(error instanceof MintmarkError)) throw error;
    throw new UsageError(error.message, 'Name another issuer, or add a new one.', { cause: error });
  }
}

function warningsOf(
  issuerId: string,
  name: string,
  profiles: readonly Profile[] | undefined,
  notAfter: number,
  now: number,
): string[] {
  if (profiles === undefined) return [];
  const naming = profiles.filter(({ issuer }) => issuer === name);
  if (naming.length === 0) return [`No profile that was read names ${name}: nothing is issued by it.`];
  const beyond = profilesBeyond(naming, { notAfter }, now).map((profile) => profile.name);
  return beyond.length === 0
    ? []
    : [
        `${issuerId} ends on ${shortTime(notAfter)}, before the certificates of ${beyond.join(', ')} would: their requests wait, and are given up in the end (ISSUER_EXPIRES_TOO_SOON).`,
      ];
}

async function breakerWarnings(session: Session, issuerId: string): Promise<string[]> {
  const { records, unreadable } = await readBreakers(session, issuerId);
  return [
    ...unreadable.map(({ message }) => message),
    ...records
      .filter(({ state }) => state !== 'closed')
      .map(({ state }) => `Its breaker is ${state}: requests wait until it closes (mintmark queue status).`),
  ];
}

interface Activation {
  readonly issuerId: string;
  readonly name: string;
  /** Where the name led before. */
  readonly target: string;
  readonly now: number;
}

/**
 * Whoever retires an issuer writes that before reading the names, as this writes the name before reading the issuer: of two at
 * the same moment at least one sees the other.
 */
async function requireStillActive(
  issuers: Issuers,
  records: IssuerNameRecords,
  { issuerId, name, target, now }: Activation,
): Promise<void> {
  if ((await issuers.read(issuerId))?.state === 'active') return;
  const row = await rowOf(records, name);
  const isBack = row?.target === issuerId && (await records.point(name, target, row, now));
  throw new UsageError(
    `${issuerId} was retired at the same moment: ${isBack ? `${name} leads to ${target} again` : `${name} leads elsewhere by now`}.`,
    'Look at mintmark issuers list, and decide anew.',
  );
}
